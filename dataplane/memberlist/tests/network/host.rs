//! One host: its process, if one runs, and what stands between it and the network.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pyroscope_memberlist::{Address, Broadcast, Event, Machine, Origin, Timestamp};

use super::Parcel;

/// Most parcels that wait for a process that is stopped; a kernel's backlog is no longer.
const MAX_MAIL: usize = 256;
/// Longest wait for local updates to be sent, and then for the farewell, as the driver has it.
pub(super) const LEAVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a driver does beside the membership: a replicated state.
pub(crate) trait Replica {
    /// Takes a user message of a peer.
    fn receive(&mut self, now: Timestamp, message: &[u8]) -> Reaction;
    /// Takes a peer's whole state.
    fn merge(&mut self, now: Timestamp, state: &[u8]) -> Reaction;
    /// Returns the whole state.
    fn state(&self) -> Vec<u8>;
    /// Does what is due.
    fn poll(&mut self, now: Timestamp) -> Reaction;
    /// Returns when something is due.
    fn next_timeout(&self) -> Option<Timestamp>;
    /// Says goodbye.
    fn stop(&mut self, now: Timestamp) -> Reaction;
}

/// What a replica asks of its driver.
#[derive(Debug, Default)]
pub(crate) struct Reaction {
    pub(crate) broadcasts: Vec<(Origin, Broadcast)>,
    /// A gap was noticed that a push/pull fills.
    pub(crate) wants_push_pull: bool,
}

/// A machine with its driver.
pub(crate) struct Process<R> {
    pub(crate) machine: Machine,
    pub(crate) replica: R,
    /// What happened, as its driver was told.
    pub(crate) events: Vec<Event>,
    pub(super) phase: Phase,
    pub(super) joiner: Option<Joiner>,
}

/// How far a process is with leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Local updates are still sent.
    Draining(Timestamp),
    /// Others are told.
    Leaving(Timestamp),
}

/// Joins until one seed has answered, and again now and then.
#[derive(Debug)]
pub(super) struct Joiner {
    pub(super) next: Timestamp,
    pub(super) backoff: Duration,
    pub(super) joined: bool,
}

/// A place where a process may run.
pub(crate) struct Host<R> {
    pub(super) process: Option<Process<R>>,
    pub(super) address: Address,
    /// The address as a socket shows it.
    pub(super) source: Rc<str>,
    /// Counts the processes that ran here; a connection ends with its process.
    pub(super) life: u32,
    /// What waits for a stopped process.
    pub(super) mail: Option<Vec<Letter>>,
    /// When the process wants to be woken.
    pub(super) wanted: Timestamp,
    /// The earliest wake-up in the calendar.
    pub(super) scheduled: Timestamp,
}

/// What is on its way.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) from: usize,
    pub(super) from_life: u32,
    pub(super) source: Rc<str>,
    pub(super) to: SocketAddr,
    /// The process that the connection belongs to, if there is one yet.
    pub(super) to_life: Option<u32>,
    pub(super) parcel: Parcel,
}

impl<R> Host<R> {
    pub(super) fn new(address: Address) -> Self {
        Self {
            process: None,
            address,
            source: address.to_string().into(),
            life: 0,
            mail: None,
            wanted: Timestamp::MAX,
            scheduled: Timestamp::MAX,
        }
    }

    pub(super) fn move_to(&mut self, address: Address) {
        self.address = address;
        self.source = address.to_string().into();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.mail.is_some()
    }

    pub(super) fn keep(&mut self, letter: Letter) {
        if let Some(mail) = &mut self.mail
            && mail.len() < MAX_MAIL
        {
            mail.push(letter);
        }
    }
}

impl<R: Replica> Process<R> {
    /// Goes on with leaving as far as possible; returns whether the process ends.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        if let Phase::Draining(deadline) = self.phase {
            let sent = self.machine.queued_broadcasts(Origin::Local) == 0;
            if sent || self.machine.alive_count() <= 1 || now >= deadline {
                self.machine.leave(now);
                self.phase = Phase::Leaving(now + LEAVE_TIMEOUT);
            }
        }
        match self.phase {
            Phase::Leaving(deadline) => self.machine.has_left() || now >= deadline,
            _ => false,
        }
    }

    /// Returns when the process wants to be woken.
    pub(super) fn next_timeout(&self) -> Timestamp {
        let phase = match self.phase {
            Phase::Running => None,
            Phase::Draining(deadline) | Phase::Leaving(deadline) => Some(deadline),
        };
        let joiner = self.joiner.as_ref().map(|joiner| joiner.next);
        [phase, joiner, self.replica.next_timeout()]
            .into_iter()
            .flatten()
            .fold(self.machine.next_timeout(), Timestamp::min)
    }
}
