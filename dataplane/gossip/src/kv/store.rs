//! The key-value store as a pure state machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message;
use proto::memberlist::KeyValuePair;
use proto::ring::Desc;
use ring::State;
use ring::desc::{expire_tombstones, merge, merge_local, without_tombstones};
use thiserror::Error;

use super::codec::{self, CodecError, RING_DESC};
use crate::Config;

/// Most keys of a store; a Pyroscope cluster uses about ten.
const MAX_KEYS: usize = 1024;

/// A replicated map from keys to ring descriptors.
///
/// Every method takes the time as Unix milliseconds. A method that changes a
/// value returns an [`Update`]: what watchers see from now on and what peers
/// must be told.
#[derive(Debug)]
pub struct Store {
    entries: BTreeMap<String, Entry>,
    retention: Retention,
}

/// How long what was removed is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Age at which LEFT instances are dropped; zero keeps them for ever.
    pub tombstones: Duration,
    /// Age at which deleted keys are dropped; zero keeps them for ever.
    pub deleted_keys: Duration,
}

impl From<&Config> for Retention {
    fn from(config: &Config) -> Self {
        Self {
            tombstones: config.left_ingesters_timeout,
            deleted_keys: config.obsolete_entries_timeout,
        }
    }
}

/// One key and its value.
#[derive(Debug, Default)]
struct Entry {
    /// With tombstones.
    value: Arc<Desc>,
    /// Without tombstones: what readers see.
    view: Arc<Desc>,
    /// Counts the changes made on this node; never on the wire.
    version: u64,
    deleted: bool,
    /// Unix milliseconds of the deletion; 0 when not deleted.
    deleted_at_ms: i64,
    changed_at_ms: i64,
}

/// A change that a store made.
#[derive(Clone, Debug)]
pub struct Update {
    /// The key.
    pub key: String,
    /// Its version after the change.
    pub version: u64,
    /// What readers see.
    pub view: Arc<Desc>,
    /// Ids of the instances that the broadcast is about.
    pub instances: Vec<String>,
    /// The user message for peers: the change alone.
    pub broadcast: Bytes,
    /// LEFT instances that are kept.
    pub tombstones: usize,
    /// LEFT instances that were dropped with this change.
    pub expired: usize,
}

/// A value as it was when read, for [`Store::compare_and_set`].
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Without tombstones; `None` when there is no such key.
    pub view: Option<Arc<Desc>>,
    /// 0 when there is no such key.
    pub version: u64,
}

/// Why a local change was not made. The store is as before.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The value changed since it was read. Reading and trying again helps.
    #[error("value changed since it was read")]
    Conflict,
    /// Nothing in the new value is newer than what is stored.
    #[error("nothing in the new value is newer than the stored one")]
    NoChange,
    /// The store is full.
    #[error("store holds {MAX_KEYS} keys already")]
    TooManyKeys,
}

/// Why a change of a peer was not made. The store is as before.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReceiveError {
    /// The bytes are not understood.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The store is full.
    #[error("store holds {MAX_KEYS} keys already, dropped key {0:?}")]
    TooManyKeys(String),
}

/// What is known of a key, for people.
#[derive(Clone, Debug)]
pub struct EntryStatus {
    /// The key.
    pub key: String,
    /// Id of the codec.
    pub codec: &'static str,
    /// Counts the changes made on this node.
    pub version: u64,
    /// Whether the key is marked deleted.
    pub deleted: bool,
    /// Unix milliseconds of the last change.
    pub changed_at_ms: i64,
    /// Instances that have not left.
    pub instances: usize,
    /// Instances that have.
    pub tombstones: usize,
}

impl Store {
    /// Creates an empty store.
    pub fn new(retention: Retention) -> Self {
        Self {
            entries: BTreeMap::new(),
            retention,
        }
    }

    /// Returns what readers see of a key.
    pub fn view(&self, key: &str) -> Option<Arc<Desc>> {
        self.entries.get(key).map(|entry| entry.view.clone())
    }

    /// Returns a key's value with its tombstones.
    pub fn value(&self, key: &str) -> Option<Arc<Desc>> {
        self.entries.get(key).map(|entry| entry.value.clone())
    }

    /// Returns what readers see of a key, and its version.
    pub fn snapshot(&self, key: &str) -> Snapshot {
        self.entries
            .get(key)
            .map(|entry| Snapshot {
                view: Some(entry.view.clone()),
                version: entry.version,
            })
            .unwrap_or_default()
    }

    /// Replaces a value unless it changed since `version` was read. Instances
    /// that `updated` leaves out become tombstones.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn compare_and_set(
        &mut self,
        key: &str,
        version: u64,
        updated: Desc,
        now_ms: i64,
    ) -> Result<Update, StoreError> {
        if version > 0 && self.snapshot(key).version != version {
            return Err(StoreError::Conflict);
        }
        if version == 0 {
            return self.put(key, updated, now_ms);
        }
        let unix = now_ms.div_euclid(1000);
        self.change(key, None, now_ms, |value| merge_local(value, updated, unix))
            .ok_or(StoreError::NoChange)
    }

    /// Merges records of this node's own into a value.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn put(&mut self, key: &str, records: Desc, now_ms: i64) -> Result<Update, StoreError> {
        if !self.has_room_for(key) {
            return Err(StoreError::TooManyKeys);
        }
        self.change(key, None, now_ms, |value| merge(value, records))
            .ok_or(StoreError::NoChange)
    }

    /// Marks a key deleted; `None` when there is no such key or it is already.
    pub fn delete(&mut self, key: &str, now_ms: i64) -> Option<Update> {
        if self.entries.get(key)?.deleted {
            return None;
        }
        self.change(key, Some(now_ms), now_ms, |_| None)
    }

    /// Takes the user message of a peer; `None` when it changes nothing, and
    /// then it must not be sent on.
    ///
    /// # Errors
    ///
    /// See [`ReceiveError`].
    pub fn receive(&mut self, message: &[u8], now_ms: i64) -> Result<Option<Update>, ReceiveError> {
        let pair = codec::decode_pair(message)?;
        self.receive_pair(pair, now_ms)
    }

    /// Takes the full state of a peer, pair by pair.
    pub fn receive_state(
        &mut self,
        state: Bytes,
        now_ms: i64,
    ) -> Vec<Result<Update, ReceiveError>> {
        codec::pairs(state)
            .filter_map(|pair| match pair {
                Ok(pair) => self.receive_pair(pair, now_ms).transpose(),
                Err(error) => Some(Err(error.into())),
            })
            .collect()
    }

    /// Returns the full state for a peer, tombstones included.
    pub fn full_state(&self) -> Bytes {
        let mut state = BytesMut::new();
        for (key, entry) in &self.entries {
            codec::append_pair(&mut state, &entry.pair(key, &entry.value));
        }
        state.freeze()
    }

    /// Forgets keys that were deleted long enough ago.
    pub fn forget_deleted(&mut self, now_ms: i64) {
        if self.retention.deleted_keys.is_zero() {
            return;
        }
        let limit = before(now_ms, self.retention.deleted_keys);
        self.entries
            .retain(|_, entry| !entry.deleted || entry.deleted_at_ms >= limit);
    }

    /// Describes every key.
    pub fn status(&self) -> impl Iterator<Item = EntryStatus> {
        self.entries.iter().map(|(key, entry)| EntryStatus {
            key: key.clone(),
            codec: RING_DESC,
            version: entry.version,
            deleted: entry.deleted,
            changed_at_ms: entry.changed_at_ms,
            instances: entry.view.ingesters.len(),
            tombstones: entry.tombstones(),
        })
    }

    fn has_room_for(&self, key: &str) -> bool {
        self.entries.len() < MAX_KEYS || self.entries.contains_key(key)
    }

    fn receive_pair(
        &mut self,
        pair: KeyValuePair,
        now_ms: i64,
    ) -> Result<Option<Update>, ReceiveError> {
        let desc = codec::decode_desc(&pair)?;
        // A deletion must not bring back a key that is already forgotten.
        if pair.deleted && !self.entries.contains_key(&pair.key) {
            return Ok(None);
        }
        if !self.has_room_for(&pair.key) {
            return Err(ReceiveError::TooManyKeys(pair.key));
        }
        let deleted_at = pair.deleted.then_some(pair.update_time_millis);
        Ok(self.change(&pair.key, deleted_at, now_ms, |value| merge(value, desc)))
    }

    /// Applies `edit` to the value of a key and, with `deleted_at`, marks the
    /// key deleted.
    fn change(
        &mut self,
        key: &str,
        deleted_at: Option<i64>,
        now_ms: i64,
        edit: impl FnOnce(&mut Desc) -> Option<Desc>,
    ) -> Option<Update> {
        // Taken out of the map, so that a value that nobody else holds is
        // edited in place instead of cloned for every message.
        let known = self.entries.remove(key);
        let is_known = known.is_some();
        let mut entry = known.unwrap_or_default();
        let change = edit(Arc::make_mut(&mut entry.value));
        let update = self.settle(key, &mut entry, change, deleted_at, now_ms);
        if is_known || update.is_some() {
            self.entries.insert(key.to_owned(), entry);
        }
        update
    }

    fn settle(
        &self,
        key: &str,
        entry: &mut Entry,
        change: Option<Desc>,
        deleted_at: Option<i64>,
        now_ms: i64,
    ) -> Option<Update> {
        let deleted_now = entry.mark_deleted(deleted_at);
        if change.is_none() && !deleted_now {
            return None;
        }
        let expired = self.expire(entry, now_ms);
        entry.view = Arc::new(without_tombstones(&entry.value));
        // When only expired tombstones were new they are gone again, and
        // there is nothing to tell.
        let change = self
            .without_expired(change, now_ms)
            .or_else(|| deleted_now.then(|| Desc::clone(&entry.value)))?;
        entry.version += 1;
        entry.changed_at_ms = now_ms;
        Some(Update {
            key: key.to_owned(),
            version: entry.version,
            view: entry.view.clone(),
            broadcast: entry.pair(key, &change).encode_to_vec().into(),
            instances: change.ingesters.into_keys().collect(),
            tombstones: entry.tombstones(),
            expired,
        })
    }

    fn expire(&self, entry: &mut Entry, now_ms: i64) -> usize {
        self.tombstone_limit(now_ms).map_or(0, |limit| {
            expire_tombstones(Arc::make_mut(&mut entry.value), limit)
        })
    }

    fn without_expired(&self, change: Option<Desc>, now_ms: i64) -> Option<Desc> {
        let mut change = change?;
        if let Some(limit) = self.tombstone_limit(now_ms) {
            expire_tombstones(&mut change, limit);
        }
        (!change.ingesters.is_empty()).then_some(change)
    }

    /// Returns the Unix second before which tombstones are dropped.
    fn tombstone_limit(&self, now_ms: i64) -> Option<i64> {
        let kept = self.retention.tombstones;
        (!kept.is_zero()).then(|| before(now_ms, kept).div_euclid(1000))
    }
}

impl Entry {
    /// Returns whether the key was not deleted before.
    fn mark_deleted(&mut self, at_ms: Option<i64>) -> bool {
        let Some(at_ms) = at_ms.filter(|at_ms| !self.deleted && *at_ms > 0) else {
            return false;
        };
        self.deleted = true;
        self.deleted_at_ms = at_ms;
        true
    }

    fn pair(&self, key: &str, desc: &Desc) -> KeyValuePair {
        KeyValuePair {
            key: key.to_owned(),
            value: codec::encode_desc(desc),
            codec: RING_DESC.to_owned(),
            deleted: self.deleted,
            update_time_millis: self.deleted_at_ms,
        }
    }

    fn tombstones(&self) -> usize {
        self.value
            .ingesters
            .values()
            .filter(|instance| State::of(instance) == State::Left)
            .count()
    }
}

fn before(now_ms: i64, age: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}
