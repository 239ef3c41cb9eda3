//! One batched write, from its first call to what is left to hand off.

use std::time::Duration;

use crate::batch::{Batch, Call, Decision, Family};

/// When things happen in a write, from its start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTimes {
    /// When calls that keep failing have failed for good.
    pub deadline: Duration,
    /// When calls that were held back are made if the write is undecided.
    pub hedge: Duration,
    /// The wait before the second attempt of a call; each further one is twice
    /// as long.
    pub first_backoff: Duration,
    /// The longest wait between two attempts.
    pub longest_backoff: Duration,
}

/// What the driver of a write does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make this call, and report its answer.
    Call(usize),
    /// Keep what this call carries, but what was refused, and deliver it later:
    /// the write has succeeded without it.
    HandOff(usize),
}

/// A write of many items to many instances; a [`Batch`] whose calls may fail
/// more than once.
///
/// ```text
///            ┌────── backoff ──────┐
///            ▼                     │ failed, and may still matter
/// held ─▶ waiting ── due ──▶ running ──▶ done
///   │        │                     │
///   └────────┴──── decided ────────┴──▶ handed off (success), dropped (failure)
/// ```
///
/// The client is answered at the first [`decision`](Self::decision). Calls that
/// run then go on; those that have not succeeded when the write has are handed
/// off, without the items that were refused. Of a write that failed nothing is:
/// its client tries again.
#[derive(Debug)]
pub struct Write<E> {
    batch: Batch<E>,
    calls: Vec<Progress<E>>,
    times: WriteTimes,
    started: Duration,
}

#[derive(Debug)]
enum Progress<E> {
    /// Not made yet: it is held back, or before its first attempt, or in the
    /// pause after a failed one.
    Waiting {
        due: Duration,
        held: bool,
        failures: u32,
        error: Option<E>,
    },
    Running {
        failures: u32,
    },
    /// Given up, and known as failed to the batch if that is undecided; or never
    /// to be made.
    Missed,
    Done,
}

impl<E> Write<E> {
    /// Starts a write at `now`, on any monotonic clock. Calls for which `held`
    /// is true are made only if the others give no quorum.
    pub fn new(
        batch: Batch<E>,
        held: impl Fn(usize) -> bool,
        times: WriteTimes,
        now: Duration,
    ) -> Self {
        let waiting = |call: usize| Progress::Waiting {
            due: match held(call) {
                true => now + times.hedge.min(times.deadline),
                false => now,
            },
            held: held(call),
            failures: 0,
            error: None,
        };
        let begin = |(call, to): (usize, &Call)| match to.is_absent {
            true => Progress::Missed,
            false => waiting(call),
        };
        Self {
            calls: batch.calls().iter().enumerate().map(begin).collect(),
            batch,
            times,
            started: now,
        }
    }

    /// Returns the calls and what they carry.
    pub fn batch(&self) -> &Batch<E> {
        &self.batch
    }

    /// Returns the decision on the whole write, once there is one; it stands.
    pub fn decision(&self) -> Option<Decision<'_, E>> {
        self.batch.decision()
    }

    /// Returns what to do at `now`, until there is nothing left to do.
    pub fn poll(&mut self, now: Duration) -> Option<Step> {
        if self.batch.decision().is_none() && self.is_late(now) {
            self.give_up();
        }
        match self.batch.decision() {
            None => self.next_call(now).map(Step::Call),
            Some(Decision::Success | Decision::Refused) => self.next_hand_off().map(Step::HandOff),
            Some(Decision::Failed { .. }) => {
                self.calls
                    .iter_mut()
                    .for_each(Progress::drop_unless_running);
                None
            }
        }
    }

    /// Returns when [`poll`](Self::poll) has something to do next, if no answer
    /// comes before.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.batch.decision().is_some() {
            return None;
        }
        let due = (0..self.calls.len()).filter_map(|call| self.due(call));
        due.min().map(|due| due.min(self.deadline()))
    }

    /// Returns when the write ends, answered or not.
    pub fn deadline(&self) -> Duration {
        self.started + self.times.deadline
    }

    /// Takes the answer of a running call; of any other it is ignored.
    pub fn answered(&mut self, call: usize, answer: Result<(), (Family, E)>, now: Duration) {
        let Some(Progress::Running { failures }) = self.calls.get(call) else {
            return;
        };
        let failures = *failures;
        match answer {
            Err((Family::Server, error)) if self.retries(call, now) => {
                self.calls[call] = Progress::Waiting {
                    due: now + self.times.backoff(failures),
                    held: false,
                    failures: failures + 1,
                    error: Some(error),
                };
            }
            Err((Family::Server, error)) => self.missed(call, error),
            answer => {
                self.batch.record(call, answer);
                self.calls[call] = Progress::Done;
            }
        }
    }

    /// Takes the answer of a running call that is not worth another attempt in
    /// this write, but is worth handing off.
    pub fn missed(&mut self, call: usize, error: E) {
        if let Some(Progress::Running { .. }) = self.calls.get(call) {
            self.batch.record(call, Err((Family::Server, error)));
            self.calls[call] = Progress::Missed;
        }
    }

    /// Takes the answer of a running call that refused these of its items, and
    /// took all others.
    pub fn took_in_part(&mut self, call: usize, refused: Vec<(usize, E)>) {
        if let Some(Progress::Running { .. }) = self.calls.get(call) {
            self.batch.record_in_part(call, refused);
            self.calls[call] = Progress::Done;
        }
    }

    fn is_late(&self, now: Duration) -> bool {
        now >= self.deadline()
    }

    fn retries(&self, call: usize, now: Duration) -> bool {
        self.batch.decision().is_none() && self.batch.matters(call) && !self.is_late(now)
    }

    /// Finds the next call that is due, or that the others cannot do without.
    fn next_call(&mut self, now: Duration) -> Option<usize> {
        let is_due = |call: &usize| self.due(*call).is_some_and(|due| due <= now);
        let call = (0..self.calls.len())
            .find(is_due)
            .or_else(|| self.needed_although_held())?;
        if let Progress::Waiting { failures, .. } = self.calls[call] {
            self.calls[call] = Progress::Running { failures };
        }
        Some(call)
    }

    /// Returns when a call is made if nothing else happens. The first attempt of
    /// one that is not held is made in any case.
    fn due(&self, call: usize) -> Option<Duration> {
        match self.calls[call] {
            Progress::Waiting {
                due,
                held,
                failures,
                ..
            } => (failures == 0 && !held || self.batch.matters(call)).then_some(due),
            _ => None,
        }
    }

    fn needed_although_held(&self) -> Option<usize> {
        let is_held =
            |call: &usize| matches!(self.calls[*call], Progress::Waiting { held: true, .. });
        if !(0..self.calls.len()).any(|call| is_held(&call)) {
            return None;
        }
        let runs = |call: usize| matches!(self.calls[call], Progress::Running { .. });
        self.batch.needed(runs).into_iter().find(is_held)
    }

    /// Counts calls that wait for another attempt as failed.
    fn give_up(&mut self) {
        for (call, progress) in self.calls.iter_mut().enumerate() {
            if let Progress::Waiting { error, .. } = progress
                && let Some(error) = error.take()
            {
                self.batch.record(call, Err((Family::Server, error)));
                *progress = Progress::Missed;
            }
        }
    }

    fn next_hand_off(&mut self) -> Option<usize> {
        loop {
            let is_left = |progress: &Progress<E>| {
                matches!(progress, Progress::Waiting { .. } | Progress::Missed)
            };
            let call = self.calls.iter().position(is_left)?;
            self.calls[call] = Progress::Done;
            let items = &self.batch.calls()[call].items;
            if items.iter().any(|&item| self.batch.has_quorum(item)) {
                return Some(call);
            }
        }
    }
}

impl<E> Progress<E> {
    fn drop_unless_running(&mut self) {
        if !matches!(self, Self::Running { .. }) {
            *self = Self::Done;
        }
    }
}

impl WriteTimes {
    fn backoff(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.first_backoff
            .saturating_mul(factor)
            .min(self.longest_backoff)
    }
}
