//! Work that several threads do, with results in order and bounded memory.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Jobs that a thread has waiting, at work or finished, at most.
const DEPTH: usize = 8;
/// Threads, at most: more do not make one disk faster.
const MAX_THREADS: usize = 8;
/// Sizes of the jobs under way together, at most, unless one alone is longer.
const MAX_SIZE: usize = 8 << 20;

/// Hands jobs to threads in turn, and takes their results in the same turn.
pub(super) struct Lanes<J, T, A> {
    lanes: Vec<(SyncSender<J>, Receiver<T>)>,
    /// Sizes of the jobs under way; the first is that of `oldest`.
    sizes: VecDeque<usize>,
    size: usize,
    /// Turns taken so far.
    submitted: usize,
    taken: usize,
    apply: A,
}

/// Runs `produce`, which [submits](Lanes::submit) jobs; `work` does them on as
/// many threads as there are processors, and `apply` gets each result on this
/// thread, in the order of submission.
pub(super) fn in_order<J: Send, T: Send, A: FnMut(T), R>(
    work: impl Fn(J) -> T + Sync,
    apply: A,
    produce: impl FnOnce(&mut Lanes<J, T, A>) -> R,
) -> R {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let work = &work;
    thread::scope(|scope| {
        let lane = |_| {
            let (submit, jobs) = sync_channel::<J>(DEPTH);
            let (finish, results) = sync_channel(DEPTH);
            scope.spawn(move || {
                // Whoever no longer wants results has panicked.
                let _ = jobs.iter().try_for_each(|job| finish.send(work(job)));
            });
            (submit, results)
        };
        let mut lanes = Lanes {
            lanes: (0..threads.min(MAX_THREADS)).map(lane).collect(),
            sizes: VecDeque::new(),
            size: 0,
            submitted: 0,
            taken: 0,
            apply,
        };
        let produced = produce(&mut lanes);
        while lanes.take() {}
        produced
    })
}

impl<J, T, A: FnMut(T)> Lanes<J, T, A> {
    /// Submits a job of a size, once there is room for it.
    pub(super) fn submit(&mut self, job: J, size: usize) {
        let most = self.lanes.len() * DEPTH;
        while self.sizes.len() >= most || (self.size + size > MAX_SIZE && self.size > 0) {
            self.take();
        }
        let (lane, _) = &self.lanes[self.submitted % self.lanes.len()];
        // A thread that is gone has panicked, which ends the scope of all.
        let _ = lane.send(job);
        self.submitted += 1;
        self.sizes.push_back(size);
        self.size += size;
    }

    /// Applies the oldest result, and tells whether there was one under way.
    fn take(&mut self) -> bool {
        let Some(size) = self.sizes.pop_front() else {
            return false;
        };
        self.size -= size;
        let (_, results) = &self.lanes[self.taken % self.lanes.len()];
        self.taken += 1;
        if let Ok(result) = results.recv() {
            (self.apply)(result);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_in_order_and_few_are_under_way() {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut results = Vec::new();
        in_order(
            |n: usize| {
                if n.is_multiple_of(7) {
                    thread::yield_now();
                }
                n * 2
            },
            |doubled| {
                under_way.fetch_sub(1, Ordering::SeqCst);
                results.push(doubled);
            },
            |lanes| {
                for n in 0..1000_usize {
                    let is_long = n.is_multiple_of(100);
                    lanes.submit(n, if is_long { 2 * MAX_SIZE } else { 1 });
                    let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                }
            },
        );
        assert_eq!(results, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= MAX_THREADS * DEPTH);
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_ends_all() {
        let work = |n: usize| assert_ne!(n, 5);
        in_order(work, drop, |lanes| {
            (0..500).for_each(|n| lanes.submit(n, 1))
        });
    }
}
