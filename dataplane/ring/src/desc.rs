//! Merging of ring descriptors: the conflict-free part of the ring.
//!
//! A descriptor maps instance ids to records. Per instance the record with the
//! newer timestamp (Unix seconds) wins as a whole; with equal timestamps a
//! tombstone wins from a live record, and otherwise the record that is already
//! there stays. Tokens claimed by two instances are taken from one of them by
//! a rule that every node computes for itself. This is the merge of Grafana
//! dskit, record by record (`tests/vectors/merge.json`).

use std::collections::{BTreeMap, BTreeSet};

use proto::ring::{Desc, InstanceDesc};

use crate::State;

/// Merges a descriptor received from a peer into `local` and returns the
/// change: the records that were taken, to be gossiped on.
///
/// `None` means that nothing changed and nothing may be sent on; sending
/// anyway makes gossip storms. A first value is merged into an empty
/// descriptor.
///
/// Merging is idempotent. It is commutative and associative as long as no two
/// live records of an instance differ at the same timestamp (the first one seen
/// stays), none is dated before 1 (an unknown instance counts as known at 0)
/// and no tokens are in conflict: the loser's tokens are cut without a new
/// timestamp, so it does not get them back when the winner gives them up, and
/// nodes differ until its next heartbeat.
pub fn merge(local: &mut Desc, incoming: Desc) -> Option<Desc> {
    let mut merge = Merge::new(local);
    merge.take_newer(incoming);
    merge.finish()
}

/// Merges a descriptor that this node itself has edited: instances that
/// `updated` leaves out become tombstones.
///
/// A tombstone's timestamp is `now` (Unix seconds) but never before the record
/// that it removes, so that a pending message cannot bring that record back.
/// This is not commutative, so it is for local edits alone.
pub fn merge_local(local: &mut Desc, updated: Desc, now: i64) -> Option<Desc> {
    let kept: BTreeSet<String> = updated.ingesters.keys().cloned().collect();
    let mut merge = Merge::new(local);
    merge.take_newer(updated);
    merge.bury_missing(&kept, now);
    merge.finish()
}

/// Merges one record, as a lifecycler publishes it.
pub fn put(local: &mut Desc, id: &str, instance: InstanceDesc) -> Option<Desc> {
    let ingesters = BTreeMap::from([(id.to_owned(), instance)]);
    merge(local, Desc { ingesters })
}

/// Removes one instance from the ring by a tombstone dated `now` (Unix
/// seconds) and returns the change; `None` when there is no live record.
pub fn forget(local: &mut Desc, id: &str, now: i64) -> Option<Desc> {
    let tombstone = tombstone(local.ingesters.get(id)?, now)?;
    put(local, id, tombstone)
}

/// Returns tombstones, dated `now` (Unix seconds), that [`merge`] removes these
/// instances with; ids without a live record are left out.
pub fn tombstones<'a>(desc: &Desc, ids: impl IntoIterator<Item = &'a String>, now: i64) -> Desc {
    let buried = |id: &String| Some((id.clone(), tombstone(desc.ingesters.get(id)?, now)?));
    Desc {
        ingesters: ids.into_iter().filter_map(buried).collect(),
    }
}

/// Drops the tombstones older than `before` (Unix seconds) and returns how many.
///
/// A peer that was cut off for longer than tombstones are kept brings its
/// removed instances back.
pub fn expire_tombstones(desc: &mut Desc, before: i64) -> usize {
    let count = desc.ingesters.len();
    desc.ingesters
        .retain(|_, instance| State::of(instance) != State::Left || instance.timestamp >= before);
    count - desc.ingesters.len()
}

/// Returns the descriptor as readers see it: the instances that have not left.
pub fn without_tombstones(desc: &Desc) -> Desc {
    Desc {
        ingesters: live(desc)
            .map(|(id, instance)| (id.clone(), instance.clone()))
            .collect(),
    }
}

/// Returns every token that an instance of the ring owns.
pub fn tokens(desc: &Desc) -> BTreeSet<u32> {
    live(desc)
        .flat_map(|(_, instance)| instance.tokens.iter().copied())
        .collect()
}

/// Iterates over the instances that have not left.
pub fn live(desc: &Desc) -> impl Iterator<Item = (&String, &InstanceDesc)> {
    desc.ingesters
        .iter()
        .filter(|(_, instance)| State::of(instance) != State::Left)
}

/// One merge under way: the descriptor being changed and the ids that changed.
struct Merge<'a> {
    local: &'a mut Desc,
    changed: BTreeSet<String>,
    tokens_changed: bool,
}

impl<'a> Merge<'a> {
    fn new(local: &'a mut Desc) -> Self {
        Self {
            local,
            changed: BTreeSet::new(),
            tokens_changed: false,
        }
    }

    fn take_newer(&mut self, incoming: Desc) {
        for (id, mut instance) in incoming.ingesters {
            normalize(&mut instance);
            let known = self.local.ingesters.get(&id);
            if !supersedes(&instance, known) {
                continue;
            }
            self.tokens_changed |= known.map_or(&[][..], |known| &known.tokens) != instance.tokens;
            self.local.ingesters.insert(id.clone(), instance);
            self.changed.insert(id);
        }
    }

    fn bury_missing(&mut self, kept: &BTreeSet<String>, now: i64) {
        for (id, instance) in &mut self.local.ingesters {
            if kept.contains(id) {
                continue;
            }
            if let Some(tombstone) = tombstone(instance, now) {
                *instance = tombstone;
                self.changed.insert(id.clone());
            }
        }
    }

    fn finish(self) -> Option<Desc> {
        if self.changed.is_empty() {
            return None;
        }
        if self.tokens_changed {
            resolve_token_conflicts(self.local);
        }
        let ingesters = &self.local.ingesters;
        let record = |id: String| ingesters.get(&id).cloned().map(|instance| (id, instance));
        Some(Desc {
            ingesters: self.changed.into_iter().filter_map(record).collect(),
        })
    }
}

/// Whether a record replaces the known one. An unknown instance counts as
/// ACTIVE at timestamp 0.
fn supersedes(incoming: &InstanceDesc, known: Option<&InstanceDesc>) -> bool {
    let (timestamp, left) = known.map_or((0, false), |known| {
        (known.timestamp, State::of(known) == State::Left)
    });
    let tie = incoming.timestamp == timestamp;
    incoming.timestamp > timestamp || (tie && !left && State::of(incoming) == State::Left)
}

fn normalize(instance: &mut InstanceDesc) {
    if State::of(instance) == State::Left {
        instance.tokens.clear();
        return;
    }
    instance.tokens.sort_unstable();
    instance.tokens.dedup();
}

fn tombstone(instance: &InstanceDesc, now: i64) -> Option<InstanceDesc> {
    (State::of(instance) != State::Left).then(|| InstanceDesc {
        state: State::Left.into(),
        tokens: Vec::new(),
        timestamp: now.max(instance.timestamp),
        ..instance.clone()
    })
}

/// Leaves every token with one owner: a LEAVING instance loses it to one that
/// stays, otherwise the smaller id keeps it.
fn resolve_token_conflicts(desc: &mut Desc) {
    if !has_token_conflict(desc) {
        return;
    }
    let mut owners: BTreeMap<u32, (bool, &str)> = BTreeMap::new();
    for (id, instance) in &desc.ingesters {
        let claim = (State::of(instance) == State::Leaving, id.as_str());
        for token in &instance.tokens {
            let owner = owners.entry(*token).or_insert(claim);
            *owner = claim.min(*owner);
        }
    }
    let owners: BTreeMap<u32, String> = owners
        .into_iter()
        .map(|(token, (_, id))| (token, id.to_owned()))
        .collect();
    for (id, instance) in &mut desc.ingesters {
        instance
            .tokens
            .retain(|token| owners.get(token).is_some_and(|owner| owner == id));
    }
}

/// Whether a token occurs twice. Sorting all of them costs a fraction of a map
/// of owners, and conflicts are rare.
fn has_token_conflict(desc: &Desc) -> bool {
    let tokens = desc.ingesters.values().flat_map(|one| &one.tokens);
    let mut tokens: Vec<u32> = tokens.copied().collect();
    tokens.sort_unstable();
    tokens.windows(2).any(|pair| pair[0] == pair[1])
}
