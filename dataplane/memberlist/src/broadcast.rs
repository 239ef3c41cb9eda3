//! Updates waiting to be gossiped, each a limited number of times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

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
}

impl Broadcast {
    fn replaces(&self, queued: &Self) -> bool {
        self.version >= queued.version && queued.ids.is_subset(&self.ids)
    }
}

/// Fewest transmissions first, then the longest message, then the newest.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// A queue that forgets an update once it was sent often enough or is out of date.
#[derive(Debug)]
pub(crate) struct BroadcastQueue {
    ranked: BTreeMap<Rank, Broadcast>,
    by_key: BTreeMap<Arc<str>, BTreeSet<Rank>>,
    next_id: u64,
    capacity: usize,
}

impl BroadcastQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ranked: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next_id: 0,
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ranked.len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Queues `broadcast`, drops what it replaces and, if the queue is full, what was sent most often.
    pub(crate) fn push(&mut self, broadcast: Broadcast) {
        let queued = self.by_key.get(&broadcast.key);
        let replaced: Vec<Rank> = queued
            .into_iter()
            .flatten()
            .filter(|rank| broadcast.replaces(&self.ranked[rank]))
            .copied()
            .collect();
        for rank in replaced {
            self.remove(rank);
        }
        if self.ranked.len() >= self.capacity
            && let Some((&last, _)) = self.ranked.last_key_value()
        {
            self.remove(last);
        }
        let rank = (0, Reverse(broadcast.payload.len()), Reverse(self.next_id));
        self.next_id += 1;
        self.insert(rank, broadcast);
    }

    /// Takes messages within `limits`, which it reduces by what it took, and counts them as sent.
    ///
    /// Each message costs `overhead` bytes more than its length. One sent `transmit_limit` times is forgotten.
    pub(crate) fn take(
        &mut self,
        limits: &mut TakeLimits,
        overhead: usize,
        transmit_limit: u32,
    ) -> Vec<Bytes> {
        let mut chosen = Vec::new();
        for (&rank, broadcast) in &self.ranked {
            let cost = broadcast.payload.len() + overhead;
            if chosen.len() == limits.count {
                break;
            }
            if cost <= limits.budget && broadcast.payload.len() <= limits.max_len {
                limits.budget -= cost;
                chosen.push(rank);
            }
        }
        limits.count -= chosen.len();
        chosen
            .into_iter()
            .filter_map(|rank| self.sent(rank, transmit_limit))
            .collect()
    }

    fn sent(&mut self, rank: Rank, transmit_limit: u32) -> Option<Bytes> {
        let broadcast = self.remove(rank)?;
        let payload = broadcast.payload.clone();
        let (transmissions, length, id) = rank;
        if transmissions + 1 < transmit_limit {
            self.insert((transmissions + 1, length, id), broadcast);
        }
        Some(payload)
    }

    fn insert(&mut self, rank: Rank, broadcast: Broadcast) {
        self.by_key
            .entry(Arc::clone(&broadcast.key))
            .or_default()
            .insert(rank);
        self.ranked.insert(rank, broadcast);
    }

    fn remove(&mut self, rank: Rank) -> Option<Broadcast> {
        let broadcast = self.ranked.remove(&rank)?;
        if let Some(ranks) = self.by_key.get_mut(&broadcast.key) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.by_key.remove(&broadcast.key);
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
