//! The key-value store as a pure state machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::memberlist::KeyValuePair;
use thiserror::Error;

use super::codec::{self, CodecError};
use super::entry::{Entry, EntryStatus, Update};
use super::heartbeat::{self, HEARTBEATS};
use super::mergeable::{Codecs, Mergeable};
use super::replica::{Limits, Merged, Replica};
use crate::Config;

/// Most keys of a store; a Pyroscope cluster uses about ten.
const MAX_KEYS: usize = 1024;

/// Longest key in bytes.
const MAX_KEY: usize = 1024;

/// A replicated map from keys to mergeable values.
///
/// Every method takes the time as Unix milliseconds. A method that changes a
/// value returns an [`Update`]: what peers must be told.
pub struct Store {
    entries: BTreeMap<Arc<str>, Entry>,
    codecs: Codecs,
    retention: Retention,
    missed: u64,
    wants_push_pull: bool,
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

/// A value as it was when read, for [`Store::compare_and_set`].
#[derive(Clone, Debug)]
pub struct Snapshot<V> {
    /// Without tombstones; `None` when there is no such key.
    pub view: Option<Arc<V>>,
    /// 0 when there is no such key.
    pub version: u64,
}

/// Why a local change was not made. The store is as before.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
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
    /// The store would become too large for push/pulls, the key is too long, or
    /// it holds a value of another codec.
    #[error(transparent)]
    Refused(#[from] CodecError),
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

impl Store {
    /// Creates an empty store of the values that a Pyroscope cluster gossips.
    pub fn new(retention: Retention) -> Self {
        Self::with_codecs(retention, Codecs::default())
    }

    /// Creates an empty store of other values.
    pub fn with_codecs(retention: Retention, codecs: Codecs) -> Self {
        Self {
            entries: BTreeMap::new(),
            codecs,
            retention,
            missed: 0,
            wants_push_pull: false,
        }
    }

    /// Returns what readers see of a key; `None` also when its value is of
    /// another type.
    pub fn view<V: Mergeable>(&self, key: &str) -> Option<Arc<V>> {
        self.replica(key).map(Replica::view)
    }

    /// Returns a key's value with its tombstones.
    pub fn value<V: Mergeable>(&self, key: &str) -> Option<Arc<V>> {
        self.replica(key).map(Replica::value)
    }

    /// Returns what readers see of a key, and its version.
    pub fn snapshot<V: Mergeable>(&self, key: &str) -> Snapshot<V> {
        Snapshot {
            view: self.view(key),
            version: self.version(key),
        }
    }

    /// Replaces a value unless it changed since `version` was read. Records
    /// that `updated` leaves out become tombstones.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn compare_and_set<V: Mergeable>(
        &mut self,
        key: &str,
        version: u64,
        updated: V,
        now_ms: i64,
    ) -> Result<Update, StoreError> {
        if version == 0 {
            return self.put(key, updated, now_ms);
        }
        if self.version(key) != version {
            return Err(StoreError::Conflict);
        }
        self.change_locally(key, now_ms, |replica: &mut Replica<V>, limits| {
            replica.merge_local(updated, now_ms, limits)
        })
    }

    /// Merges records of this node's own into a value.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn put<V: Mergeable>(
        &mut self,
        key: &str,
        records: V,
        now_ms: i64,
    ) -> Result<Update, StoreError> {
        self.change_locally(key, now_ms, |replica: &mut Replica<V>, limits| {
            replica.merge(records, limits)
        })
    }

    /// Marks a key deleted; `None` when there is no such key or it is already.
    pub fn delete(&mut self, key: &str, now_ms: i64) -> Option<Update> {
        let key = self.entries.get_key_value(key)?.0.clone();
        let entry = self.entries.get_mut(&key)?;
        entry.settle(&key, Merged::default(), Some(now_ms), now_ms)
    }

    /// Takes the user message of a peer; `None` when it changes nothing, and
    /// then it must not be sent on.
    ///
    /// # Errors
    ///
    /// See [`ReceiveError`].
    pub fn receive(&mut self, message: Bytes, now_ms: i64) -> Result<Option<Update>, ReceiveError> {
        let pair = codec::decode_pair(message)?;
        if pair.codec == HEARTBEATS {
            return self.receive_heartbeats(&pair, now_ms);
        }
        self.receive_value(&pair, now_ms)
    }

    /// Takes the full state of a peer, pair by pair.
    pub fn receive_state(
        &mut self,
        state: Bytes,
        now_ms: i64,
    ) -> Vec<Result<Update, ReceiveError>> {
        codec::pairs(state)
            .filter_map(|pair| match pair {
                Ok(pair) => self.receive(pair, now_ms).transpose(),
                Err(error) => Some(Err(error.into())),
            })
            .collect()
    }

    /// Returns the full state for a peer, tombstones included.
    pub fn full_state(&self) -> Bytes {
        let mut state = BytesMut::new();
        for (key, entry) in &self.entries {
            codec::append_pair(&mut state, &entry.pair(key, entry.value.encoded()));
        }
        state.freeze()
    }

    /// Returns, once, whether heartbeats came for records that are not known, so
    /// that exchanging full states with some peer would help.
    pub fn take_push_pull_request(&mut self) -> bool {
        std::mem::take(&mut self.wants_push_pull)
    }

    /// Returns how many heartbeats came for records that are not known.
    pub fn missed_heartbeats(&self) -> u64 {
        self.missed
    }

    /// Forgets keys that were deleted long enough ago and returns them.
    pub fn forget_deleted(&mut self, now_ms: i64) -> Vec<Arc<str>> {
        if self.retention.deleted_keys.is_zero() {
            return Vec::new();
        }
        let limit = before(now_ms, self.retention.deleted_keys);
        self.entries
            .extract_if(.., |_, entry| {
                entry.deleted_at_ms.is_some_and(|at_ms| at_ms < limit)
            })
            .map(|(key, _)| key)
            .collect()
    }

    /// Returns the keys that start with `prefix`.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        self.entries
            .keys()
            .filter(move |key| key.starts_with(prefix))
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Describes every key.
    pub fn status(&self) -> impl Iterator<Item = EntryStatus> {
        self.entries.iter().map(|(key, entry)| entry.status(key))
    }

    /// Returns codec and bytes of a value as peers get them, tombstones included.
    pub fn encoded(&self, key: &str) -> Option<(&'static str, Bytes)> {
        let value = &self.entries.get(key)?.value;
        Some((value.codec(), value.encoded()))
    }

    pub(super) fn version(&self, key: &str) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.version)
    }

    fn replica<V: Mergeable>(&self, key: &str) -> Option<&Replica<V>> {
        self.entries.get(key)?.value.of()
    }

    fn receive_value(
        &mut self,
        pair: &KeyValuePair,
        now_ms: i64,
    ) -> Result<Option<Update>, ReceiveError> {
        // A deletion must not bring back a key that is already forgotten.
        if pair.deleted && !self.entries.contains_key(pair.key.as_str()) {
            return Ok(None);
        }
        let limits = self.limits(now_ms);
        let (key, mut entry) = self
            .take(&pair.key, &pair.codec)
            .map_err(|error| refused(error, &pair.key))?;
        let merged = entry.value.receive(&pair.value, limits);
        let deleted_at = pair.deleted.then_some(pair.update_time_millis);
        let update = merged.map(|merged| entry.settle(&key, merged, deleted_at, now_ms));
        self.give_back(key, entry);
        Ok(update?)
    }

    fn receive_heartbeats(
        &mut self,
        pair: &KeyValuePair,
        now_ms: i64,
    ) -> Result<Option<Update>, ReceiveError> {
        let heartbeats = heartbeat::decode(&pair.value)?;
        let limits = self.limits(now_ms);
        let Some((key, mut entry)) = self.entries.remove_entry(pair.key.as_str()) else {
            self.miss(heartbeats.len());
            return Ok(None);
        };
        let merged = entry.value.beat(&heartbeats, limits);
        self.miss(merged.missed);
        let update = entry.settle(&key, merged, None, now_ms);
        self.give_back(key, entry);
        Ok(update)
    }

    fn miss(&mut self, heartbeats: usize) {
        self.missed = self.missed.saturating_add(heartbeats as u64);
        self.wants_push_pull |= heartbeats > 0;
    }

    fn change_locally<V: Mergeable>(
        &mut self,
        key: &str,
        now_ms: i64,
        change: impl FnOnce(&mut Replica<V>, Limits) -> Result<Merged, CodecError>,
    ) -> Result<Update, StoreError> {
        let limits = self.limits(now_ms);
        let (key, mut entry) = self.take(key, V::CODEC)?;
        let merged = match entry.value.of_mut() {
            Some(replica) => change(replica, limits),
            None => Err(unknown(&key, V::CODEC)),
        };
        let update = merged.map(|merged| entry.settle(&key, merged, None, now_ms));
        self.give_back(key, entry);
        update?.ok_or(StoreError::NoChange)
    }

    /// Takes an entry out of the map, or makes one.
    fn take(&mut self, key: &str, codec: &str) -> Result<(Arc<str>, Entry), StoreError> {
        if let Some(entry) = self.entries.get(key) {
            let known = entry.value.codec();
            if known != codec {
                let (key, codec) = (key.to_owned(), codec.to_owned());
                return Err(CodecError::OtherCodec { key, known, codec }.into());
            }
            return self
                .entries
                .remove_entry(key)
                .ok_or(StoreError::TooManyKeys);
        }
        let value = self.codecs.open(codec).ok_or_else(|| unknown(key, codec))?;
        if key.len() > MAX_KEY {
            return Err(CodecError::TooLarge(key.len()).into());
        }
        if self.entries.len() >= MAX_KEYS {
            return Err(StoreError::TooManyKeys);
        }
        Ok((key.into(), Entry::new(value)))
    }

    /// Keeps an entry unless nothing has ever been stored in it.
    fn give_back(&mut self, key: Arc<str>, entry: Entry) {
        if entry.version > 0 {
            self.entries.insert(key, entry);
        }
    }

    fn limits(&self, now_ms: i64) -> Limits {
        let kept = self.retention.tombstones;
        let weights = self.entries.values().map(|entry| entry.value.weight());
        Limits {
            tombstones_before_ms: (!kept.is_zero()).then(|| before(now_ms, kept)),
            room: codec::MAX_VALUE_BYTES.saturating_sub(weights.sum()),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("keys", &self.entries.keys())
            .field("codecs", &self.codecs)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

fn unknown(key: &str, codec: &str) -> CodecError {
    CodecError::UnknownCodec {
        key: key.to_owned(),
        codec: codec.to_owned(),
    }
}

fn refused(error: StoreError, key: &str) -> ReceiveError {
    match error {
        StoreError::Refused(error) => error.into(),
        _ => ReceiveError::TooManyKeys(key.to_owned()),
    }
}

fn before(now_ms: i64, age: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}
