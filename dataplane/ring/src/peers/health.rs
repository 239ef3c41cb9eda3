//! Whether one instance takes what it is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Limits;

/// What became of something sent to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was taken.
    Took,
    /// It was understood and refused: another attempt fails the same way.
    Refused,
    /// It failed, or there was no answer in time.
    Failed,
}

/// The health of an instance as its callers see it.
///
/// ```text
/// up ── failures in a row, or silence ──▶ down ──┐ a probe without an answer
///  ▲                                       │ ▲   │
///  └── an answer to anything, or a probe ──┘ └───┘
/// ```
#[derive(Debug)]
pub(super) struct Health {
    state: State,
    failures: u32,
    /// Whether a probe has no answer yet.
    is_probing: bool,
    /// The wait before the next probe.
    wait: Duration,
    /// When it answered last.
    heard: Duration,
    in_flight: BTreeMap<u64, Sent>,
    in_flight_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down { probe_at: Duration },
}

#[derive(Debug)]
struct Sent {
    at: Duration,
    bytes: u64,
}

impl Health {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: State::Up,
            failures: 0,
            is_probing: false,
            wait: limits.first_probe,
            heard: Duration::ZERO,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Whether there is room to send so many bytes more.
    pub(super) fn has_room(&self, bytes: u64, limits: &Limits) -> bool {
        self.in_flight.is_empty() || self.in_flight_bytes + bytes <= limits.in_flight_bytes
    }

    pub(super) fn sent(&mut self, ticket: u64, bytes: u64, now: Duration) {
        self.in_flight.insert(ticket, Sent { at: now, bytes });
        self.in_flight_bytes += bytes;
    }

    pub(super) fn answered(&mut self, ticket: u64, answer: Answer, limits: &Limits, now: Duration) {
        let Some(sent) = self.in_flight.remove(&ticket) else {
            return;
        };
        self.in_flight_bytes -= sent.bytes;
        match answer {
            Answer::Took | Answer::Refused => {
                self.heard = now;
                self.failures = 0;
                self.wait = limits.first_probe;
                self.state = State::Up;
            }
            Answer::Failed => {
                self.failures += 1;
                if self.is_up() && self.failures >= limits.failures {
                    self.go_down(limits, now);
                }
            }
        }
    }

    /// Takes the answer to a probe. One failure is enough to be down again.
    pub(super) fn probed(&mut self, answered: bool, limits: &Limits, now: Duration) {
        self.is_probing = false;
        if self.is_up() {
            return;
        }
        if answered {
            self.heard = now;
            self.failures = limits.failures.saturating_sub(1);
            self.state = State::Up;
        } else {
            self.go_down(limits, now);
        }
    }

    /// Goes down when there has been silence for too long.
    pub(super) fn notice_silence(&mut self, limits: &Limits, now: Duration) {
        if self.silent_at(limits).is_some_and(|at| at <= now) {
            self.state = State::Down { probe_at: now };
        }
    }

    /// Returns whether a probe is due, which then counts as sent.
    pub(super) fn probe(&mut self, now: Duration) -> bool {
        let is_due = matches!(self.state, State::Down { probe_at } if probe_at <= now);
        let probes = is_due && !self.is_probing;
        self.is_probing |= probes;
        probes
    }

    pub(super) fn next_timeout(&self, limits: &Limits) -> Option<Duration> {
        match self.state {
            State::Up => self.silent_at(limits),
            State::Down { probe_at } => (!self.is_probing).then_some(probe_at),
        }
    }

    /// Returns when an instance that is up counts as down if it goes on saying
    /// nothing while something it was sent is unanswered.
    fn silent_at(&self, limits: &Limits) -> Option<Duration> {
        if !self.is_up() {
            return None;
        }
        let (_, oldest) = self.in_flight.first_key_value()?;
        Some(oldest.at.max(self.heard) + limits.silence)
    }

    fn go_down(&mut self, limits: &Limits, now: Duration) {
        self.state = State::Down {
            probe_at: now + self.wait,
        };
        self.wait = (self.wait * 2).min(limits.longest_probe);
    }
}
