//! Instances as those who write to them see them: which of them take what they
//! are sent, how much is on its way to each, and what waits for each until it
//! is back.

mod health;
mod queue;

use std::collections::BTreeMap;
use std::time::Duration;

pub use health::Answer;
pub use queue::Parcel;

use health::Health;
use queue::Queue;

/// Bounds and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes on their way to one instance.
    pub in_flight_bytes: u64,
    /// Failures in a row after which an instance is down.
    pub failures: u32,
    /// How long an instance may say nothing while something is on its way to
    /// it; then it is down.
    pub silence: Duration,
    /// The wait before the first probe of an instance that is down; it doubles
    /// with each that fails.
    pub first_probe: Duration,
    /// The longest wait between two probes.
    pub longest_probe: Duration,
    /// Most bytes that wait for one instance.
    pub queue_bytes: u64,
    /// How long something waits before it is dropped.
    pub queue_age: Duration,
    /// Bytes delivered at once, unless a single parcel is larger.
    pub delivery_bytes: u64,
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Task<T> {
    /// Ask the instance for any sign of life; report to [`Peers::probed`].
    Probe {
        /// Its id.
        id: String,
    },
    /// Send these, oldest first; report to [`Peers::delivered`].
    Deliver {
        /// The id of the instance.
        id: String,
        /// Names the delivery in the report.
        ticket: u64,
        /// What to send.
        parcels: Vec<Parcel<T>>,
    },
}

/// Profiles that were handed off, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed off, whatever came then.
    pub handed_off: u64,
    /// Delivered.
    pub delivered: u64,
    /// Refused by the instance when they were delivered.
    pub refused: u64,
    /// Dropped because there was no room.
    pub full: u64,
    /// Dropped because they had waited for too long.
    pub expired: u64,
    /// Dropped when the process stopped.
    pub stopped: u64,
}

/// How one instance stands, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it takes what it is sent, as far as is known.
    pub is_up: bool,
    /// Bytes on their way to it.
    pub in_flight_bytes: u64,
    /// Bytes that wait for it.
    pub queued_bytes: u64,
    /// Profiles that wait for it.
    pub queued_profiles: u64,
}

/// The instances that are written to, and a hand-off queue for each.
///
/// Nothing waits for more than it must: callers ask [`is_open`](Self::is_open)
/// whether an instance is worth a call, take a ticket with
/// [`send`](Self::send), and report the [answer](Self::answered). Parcels that
/// an instance missed are [handed off](Self::hand_off); a driver polls for
/// probes and deliveries. An instance has one delivery at a time, and none while
/// it is down.
#[derive(Debug)]
pub struct Peers<T> {
    limits: Limits,
    peers: BTreeMap<String, Peer<T>>,
    next_ticket: u64,
    counts: Counts,
    is_stopping: bool,
}

#[derive(Debug)]
struct Peer<T> {
    health: Health,
    queue: Queue<T>,
}

impl<T> Peers<T> {
    /// Creates the view of instances of which nothing is known: they are up.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            peers: BTreeMap::new(),
            next_ticket: 0,
            counts: Counts::default(),
            is_stopping: false,
        }
    }

    /// Whether an instance is up and has room for so many bytes more.
    pub fn is_open(&mut self, id: &str, bytes: u64, now: Duration) -> bool {
        let limits = self.limits;
        self.peers.get_mut(id).is_none_or(|peer| {
            peer.health.notice_silence(&limits, now);
            peer.health.is_up() && peer.health.has_room(bytes, &limits)
        })
    }

    /// Counts bytes as on their way to an instance, also to one that is down;
    /// returns the ticket to report the answer with, or `None` when too much is
    /// on its way already. One message is sent whatever its size.
    pub fn send(&mut self, id: &str, bytes: u64, now: Duration) -> Option<u64> {
        let limits = self.limits;
        let ticket = self.next_ticket;
        let peer = self.peer(id);
        if !peer.health.has_room(bytes, &limits) {
            return None;
        }
        peer.health.sent(ticket, bytes, now);
        self.next_ticket += 1;
        Some(ticket)
    }

    /// Takes the answer to what was sent with this ticket.
    pub fn answered(&mut self, id: &str, ticket: u64, answer: Answer, now: Duration) {
        let limits = self.limits;
        if let Some(peer) = self.peers.get_mut(id) {
            peer.health.answered(ticket, answer, &limits, now);
        }
    }

    /// Keeps what an instance missed until it can be delivered; drops it when
    /// there is no room, or nobody to deliver it any more.
    pub fn hand_off(&mut self, id: &str, content: T, bytes: u64, profiles: u64, now: Duration) {
        let limits = self.limits;
        self.counts.handed_off += profiles;
        if self.is_stopping {
            self.counts.stopped += profiles;
            return;
        }
        let peer = self.peer(id);
        let expired = peer.queue.expire(&limits, now);
        let parcel = Parcel {
            content,
            bytes,
            profiles,
            since: now,
        };
        let has_room = peer.queue.push(parcel, &limits);
        self.counts.expired += expired;
        if !has_room {
            self.counts.full += profiles;
        }
    }

    /// Takes the answer to a probe: whether there was any.
    pub fn probed(&mut self, id: &str, answered: bool, now: Duration) {
        let limits = self.limits;
        if let Some(peer) = self.peers.get_mut(id) {
            peer.health.probed(answered, &limits, now);
        }
    }

    /// Ends a delivery with what became of each of its parcels.
    pub fn delivered(
        &mut self,
        id: &str,
        ticket: u64,
        parcels: Vec<(Parcel<T>, Answer)>,
        now: Duration,
    ) {
        let limits = self.limits;
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        let has_failed = parcels.iter().any(|(_, answer)| *answer == Answer::Failed);
        let overall = if has_failed {
            Answer::Failed
        } else {
            Answer::Took
        };
        peer.health.answered(ticket, overall, &limits, now);
        let (mut gone, mut returned) = (Vec::new(), Vec::new());
        for (parcel, answer) in parcels {
            match answer {
                Answer::Took => self.counts.delivered += parcel.profiles,
                Answer::Refused => self.counts.refused += parcel.profiles,
                Answer::Failed => {
                    returned.push(parcel);
                    continue;
                }
            }
            gone.push(parcel);
        }
        peer.queue.delivered(&gone, returned, &limits, now);
        if self.is_stopping && has_failed {
            self.counts.stopped += peer.queue.clear();
        }
    }

    /// Returns what to do at `now`, until there is nothing left to do.
    pub fn poll(&mut self, now: Duration) -> Option<Task<T>> {
        let limits = self.limits;
        for (id, peer) in &mut self.peers {
            self.counts.expired += peer.queue.expire(&limits, now);
            peer.health.notice_silence(&limits, now);
            if !self.is_stopping && peer.health.probe(now) {
                return Some(Task::Probe { id: id.clone() });
            }
            let is_due = |at| self.is_stopping || (at <= now && peer.health.is_up());
            if peer.queue.deliverable_at().is_some_and(is_due) {
                let parcels = peer.queue.next_delivery(&limits);
                let bytes = parcels.iter().map(|parcel| parcel.bytes).sum();
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                peer.health.sent(ticket, bytes, now);
                return Some(Task::Deliver {
                    id: id.clone(),
                    ticket,
                    parcels,
                });
            }
        }
        None
    }

    /// Returns when [`poll`](Self::poll) has something to do next, if nothing
    /// is reported before.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.is_stopping {
            return None;
        }
        let of_peer = |peer: &Peer<T>| {
            let delivery = peer.queue.deliverable_at();
            [
                peer.health.next_timeout(&self.limits),
                peer.queue.expires_at(&self.limits),
                delivery.filter(|_| peer.health.is_up()),
            ]
        };
        self.peers.values().flat_map(of_peer).flatten().min()
    }

    /// Delivers what waits, also to instances that are down, once each: what
    /// fails then is dropped, and what is handed off from now on too.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Drops what waits.
    pub fn clear(&mut self) {
        for peer in self.peers.values_mut() {
            self.counts.stopped += peer.queue.clear();
        }
    }

    /// Whether nothing waits and nothing is being delivered.
    pub fn is_drained(&self) -> bool {
        self.peers.values().all(|peer| peer.queue.is_idle())
    }

    /// Whether it is stopped and drained, so that nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.is_stopping && self.is_drained()
    }

    /// Forgets instances for which `keep` is false and nothing waits.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.peers.retain(|id, peer| {
            keep(id) || !peer.queue.is_idle() || peer.health.in_flight_bytes() > 0
        });
    }

    /// Returns what became of profiles that were handed off.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Iterates over the instances that something was sent to.
    pub fn standings(&self) -> impl Iterator<Item = Standing<'_>> {
        self.peers.iter().map(|(id, peer)| Standing {
            id,
            is_up: peer.health.is_up(),
            in_flight_bytes: peer.health.in_flight_bytes(),
            queued_bytes: peer.queue.bytes(),
            queued_profiles: peer.queue.profiles(),
        })
    }

    fn peer(&mut self, id: &str) -> &mut Peer<T> {
        if !self.peers.contains_key(id) {
            let peer = Peer {
                health: Health::new(&self.limits),
                queue: Queue::new(&self.limits),
            };
            self.peers.insert(id.to_owned(), peer);
        }
        self.peers.get_mut(id).expect("it was just put there")
    }
}
