//! The bound on the memory of the head.

use std::sync::Arc;

use parking_lot::Mutex;

/// Estimated bytes that are used, and those promised to pushes under way.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    used: u64,
    reserved: u64,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) used: u64,
    pub(crate) max: u64,
}

/// Room that is kept free for a push, until dropped or settled.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            max,
            spent: Mutex::default(),
        })
    }

    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, Full> {
        let mut spent = self.spent.lock();
        let used = spent.used.saturating_add(spent.reserved);
        if used.saturating_add(bytes) > self.max {
            return Err(Full {
                used,
                max: self.max,
            });
        }
        spent.reserved += bytes;
        Ok(Reservation {
            budget: self.clone(),
            bytes,
        })
    }

    /// Counts bytes that are used whether there is room or not.
    pub(crate) fn spend(&self, bytes: u64) {
        self.spent.lock().used += bytes;
    }

    pub(crate) fn used(&self) -> u64 {
        self.spent.lock().used
    }
}

impl Reservation {
    /// Uses a part of the reservation and keeps the rest.
    pub(crate) fn spend(&mut self, used: u64) {
        debug_assert!(used <= self.bytes, "{used} of {} bytes", self.bytes);
        let mut spent = self.budget.spent.lock();
        spent.used += used;
        let kept = self.bytes.saturating_sub(used);
        spent.reserved -= self.bytes - kept;
        drop(spent);
        self.bytes = kept;
    }

    /// Turns the reservation into what was really used.
    pub(crate) fn settle(mut self, used: u64) {
        self.spend(used);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.spent.lock().reserved -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_count_until_they_are_dropped_or_settled() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).unwrap();
        assert_eq!(budget.reserve(41).unwrap_err(), Full { used: 60, max: 100 });
        let second = budget.reserve(40).unwrap();
        drop(second);
        let mut third = budget.reserve(40).unwrap();
        third.spend(15);
        assert_eq!(budget.used(), 15);
        assert_eq!(budget.reserve(1).unwrap_err().used, 100);
        drop(third);
        budget.reserve(25).unwrap();
        budget.reserve(26).unwrap_err();
        first.settle(10);
        assert_eq!(budget.used(), 25);
        budget.reserve(75).unwrap();
        budget.spend(200);
        assert_eq!(
            budget.reserve(0).unwrap_err(),
            Full {
                used: 225,
                max: 100
            }
        );
    }
}
