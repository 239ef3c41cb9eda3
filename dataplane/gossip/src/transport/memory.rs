//! A common allowance of bytes for messages that are being held.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit: coarse, so that counting costs little.
const GRAIN: usize = 4 << 10;

/// The allowance. Nobody waits for it: waiting holders of parts of it could
/// wait for each other.
#[derive(Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

/// A part of the allowance, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / GRAIN)))
    }

    /// Starts with nothing reserved.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation {
            memory: self.0.clone(),
            held: None,
        }
    }
}

impl Reservation {
    /// Makes the reservation at least `bytes` large; `false` when the
    /// allowance is used up.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(GRAIN).saturating_sub(held);
        let Ok(missing @ 1..) = u32::try_from(missing) else {
            return missing == 0;
        };
        let Ok(permit) = self.memory.clone().try_acquire_many_owned(missing) else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_share_the_allowance_and_give_it_back() {
        let memory = Memory::new(8 * GRAIN);
        let mut first = memory.reservation();
        let mut second = memory.reservation();
        assert!(first.grow_to(1) && first.grow_to(6 * GRAIN) && first.grow_to(5));
        assert!(second.grow_to(2 * GRAIN));
        assert!(!second.grow_to(2 * GRAIN + 1));
        drop(first);
        assert!(second.grow_to(8 * GRAIN));
        assert!(!second.grow_to(usize::MAX));
    }
}
