//! What is going to happen, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Timestamp;

/// Events in the order of their time; those of one time in the order in which they were entered.
pub(crate) struct Calendar<T> {
    due: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    /// The events themselves stay in place while the heap moves their dates.
    events: Vec<Option<T>>,
    free: Vec<usize>,
    entered: u64,
}

impl<T> Calendar<T> {
    pub(crate) fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            entered: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn enter(&mut self, at: Timestamp, event: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.entered += 1;
        self.due.push(Reverse((at, self.entered, place)));
    }

    /// Takes the next event unless it lies after `end`.
    pub(crate) fn next(&mut self, end: Timestamp) -> Option<(Timestamp, T)> {
        let &Reverse((at, _, place)) = self.due.peek()?;
        if at > end {
            return None;
        }
        self.due.pop();
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}
