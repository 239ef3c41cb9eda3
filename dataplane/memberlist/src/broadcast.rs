//! Updates waiting to be gossiped, each a limited number of times.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use bytes::Bytes;

use crate::packet::PART;

/// Where an update comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made by this node; sent first.
    Local,
    /// Heard from another node and passed on.
    Forwarded,
}

/// An update to gossip.
///
/// It replaces queued updates of the same `key` whose `ids` are all among its own and whose `version` is not higher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// What the update is about.
    pub key: Arc<str>,
    /// Which parts of `key` it says something about.
    pub ids: BTreeSet<Arc<str>>,
    /// Order among updates of `key` on this node.
    pub version: u64,
    /// The message; for user updates without its type byte.
    pub payload: Bytes,
    /// A shorter form of `payload`, for nodes that announce a delegate protocol of at least 1.
    pub compact: Option<Bytes>,
    /// Nobody waits for it: it travels along with other news, and alone only every
    /// [`lazy_gossip_interval`](crate::Config::lazy_gossip_interval).
    pub lazy: bool,
}

impl Broadcast {
    /// Creates an update that is gossiped without delay and has one form only.
    pub fn new<I>(key: impl Into<Arc<str>>, ids: I, version: u64, payload: impl Into<Bytes>) -> Self
    where
        I: IntoIterator<Item: Into<Arc<str>>>,
    {
        Self {
            key: key.into(),
            ids: ids.into_iter().map(Into::into).collect(),
            version,
            payload: payload.into(),
            compact: None,
            lazy: false,
        }
    }

    /// Gives it time.
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// Adds a shorter form.
    pub fn with_compact(mut self, compact: impl Into<Bytes>) -> Self {
        self.compact = Some(compact.into());
        self
    }

    fn replaces(&self, queued: &Self) -> bool {
        self.version >= queued.version && queued.ids.is_subset(&self.ids)
    }

    /// Says as much as the update that it replaces: as urgently, and not in a form that leaves out what is news in the other.
    fn inherit(&mut self, replaced: &Self) {
        self.lazy &= replaced.lazy;
        if replaced.compact.is_none() {
            self.compact = None;
        }
    }

    /// Returns what the update is filed under: its key and the first of its ids.
    fn subject(&self) -> Subject {
        (Arc::clone(&self.key), self.ids.first().cloned())
    }

    fn len(&self) -> usize {
        self.payload.len() + self.compact.as_ref().map_or(0, Bytes::len)
    }

    fn form(&self, form: Form) -> &Bytes {
        match (&self.compact, form) {
            (Some(compact), Form::Compact) => compact,
            _ => &self.payload,
        }
    }
}

/// Which form of updates a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The payload only.
    Full,
    /// The shorter form as well.
    Compact,
}

/// Most bytes in a queue; what was sent most often goes first.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The order of sending: what is not lazy first, then by fewest transmissions, then the longest, then the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    lazy: bool,
    transmissions: u32,
    length: Reverse<usize>,
    id: Reverse<u64>,
}

/// A key and an id. An update that covers another one covers the first of its ids, too, so that looking under each of
/// its own ids, and under none, finds all that it replaces.
type Subject = (Arc<str>, Option<Arc<str>>);

/// A queue that forgets an update once it was sent often enough or is out of date.
#[derive(Debug)]
pub(crate) struct BroadcastQueue {
    ranked: BTreeMap<Rank, Broadcast>,
    by_subject: BTreeMap<Subject, BTreeSet<Rank>>,
    /// How many of them are not lazy.
    urgent: usize,
    /// How long they are together.
    bytes: usize,
    next_id: u64,
    capacity: usize,
}

impl BroadcastQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ranked: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            urgent: 0,
            bytes: 0,
            next_id: 0,
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Counts the updates that somebody waits for.
    pub(crate) fn urgent(&self) -> usize {
        self.urgent
    }

    pub(crate) fn contains(&self, key: &Arc<str>) -> bool {
        let first: Subject = (Arc::clone(key), None);
        let found = self.by_subject.range(first..).next();
        found.is_some_and(|((found, _), _)| found == key)
    }

    /// Queues `broadcast`, drops what it replaces and, if the queue is full, what was sent most often.
    pub(crate) fn push(&mut self, mut broadcast: Broadcast) {
        for rank in self.replaced_by(&broadcast) {
            if let Some(replaced) = self.remove(rank) {
                broadcast.inherit(&replaced);
            }
        }
        while (self.ranked.len() >= self.capacity || self.bytes + broadcast.len() > MAX_BYTES)
            && let Some((&last, _)) = self.ranked.last_key_value()
        {
            self.remove(last);
        }
        let rank = Rank {
            lazy: broadcast.lazy,
            transmissions: 0,
            length: Reverse(broadcast.payload.len()),
            id: Reverse(self.next_id),
        };
        self.next_id += 1;
        self.insert(rank, broadcast);
    }

    fn replaced_by(&self, broadcast: &Broadcast) -> Vec<Rank> {
        let ids = broadcast.ids.iter().cloned().map(Some);
        iter::once(None)
            .chain(ids)
            .filter_map(|id| self.by_subject.get(&(Arc::clone(&broadcast.key), id)))
            .flatten()
            .filter(|rank| broadcast.replaces(&self.ranked[rank]))
            .copied()
            .collect()
    }

    /// Moves messages within `limits`, which it reduces by them, to `taken`, and counts them as sent.
    ///
    /// Each message costs [`PART`] bytes more than its length. One sent `transmit_limit` times is forgotten.
    pub(crate) fn take(
        &mut self,
        limits: &mut TakeLimits,
        form: Form,
        transmit_limit: u32,
        taken: &mut Vec<Bytes>,
    ) {
        let mut chosen = Vec::new();
        for (&rank, broadcast) in &self.ranked {
            if chosen.len() == limits.count {
                break;
            }
            let message = broadcast.form(form);
            let cost = message.len() + PART;
            if cost <= limits.budget && message.len() <= limits.max_len {
                limits.budget -= cost;
                chosen.push(rank);
                taken.push(message.clone());
            }
        }
        limits.count -= chosen.len();
        for rank in chosen {
            self.count_transmission(rank, transmit_limit);
        }
    }

    fn count_transmission(&mut self, mut rank: Rank, transmit_limit: u32) {
        let Some(broadcast) = self.remove(rank) else {
            return;
        };
        rank.transmissions += 1;
        if rank.transmissions < transmit_limit {
            self.insert(rank, broadcast);
        }
    }

    fn insert(&mut self, rank: Rank, broadcast: Broadcast) {
        self.urgent += usize::from(!broadcast.lazy);
        self.bytes += broadcast.len();
        self.by_subject
            .entry(broadcast.subject())
            .or_default()
            .insert(rank);
        self.ranked.insert(rank, broadcast);
    }

    fn remove(&mut self, rank: Rank) -> Option<Broadcast> {
        let broadcast = self.ranked.remove(&rank)?;
        self.urgent -= usize::from(!broadcast.lazy);
        self.bytes -= broadcast.len();
        if let Entry::Occupied(mut ranks) = self.by_subject.entry(broadcast.subject()) {
            ranks.get_mut().remove(&rank);
            if ranks.get().is_empty() {
                ranks.remove();
            }
        }
        Some(broadcast)
    }
}

/// What still fits into a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakeLimits {
    /// Bytes left.
    pub(crate) budget: usize,
    /// Messages left.
    pub(crate) count: usize,
    /// Longest message that may be taken.
    pub(crate) max_len: usize,
}

/// Returns how often an update is sent in a cluster of `nodes`.
pub(crate) fn transmit_limit(multiplier: u32, nodes: usize) -> u32 {
    let scale = ((nodes + 1) as f64).log10().ceil() as u32;
    multiplier.saturating_mul(scale)
}
