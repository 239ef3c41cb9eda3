//! One key of the store and what becomes of its changes.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::memberlist::KeyValuePair;

use super::heartbeat::{self, HEARTBEATS};
use super::replica::{Change, Merged, Replicated};

/// A change that a store made.
#[derive(Clone, Debug)]
pub struct Update {
    /// The key.
    pub key: Arc<str>,
    /// Its version after the change.
    pub version: u64,
    /// Ids of the records that the broadcast is about.
    pub ids: Vec<Arc<str>>,
    /// The user message for peers: the change alone.
    pub broadcast: Bytes,
    /// The same for peers that understand heartbeats, if it is one.
    pub compact: Option<Bytes>,
    /// Nobody waits for it: it changes nothing but timestamps.
    pub lazy: bool,
    /// Tombstones that are kept.
    pub tombstones: usize,
    /// Tombstones that were dropped with this change.
    pub expired: usize,
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
    /// Bytes of the encoded value.
    pub size: usize,
    /// Whether the key is marked deleted.
    pub deleted: bool,
    /// Unix milliseconds of the last change.
    pub changed_at_ms: i64,
    /// Records that have not left.
    pub instances: usize,
    /// Records that have.
    pub tombstones: usize,
}

/// One key and its value.
pub(super) struct Entry {
    pub(super) value: Box<dyn Replicated>,
    /// Counts the changes made on this node; never on the wire.
    pub(super) version: u64,
    /// Unix milliseconds of the deletion; `None` when not deleted.
    pub(super) deleted_at_ms: Option<i64>,
    pub(super) changed_at_ms: i64,
}

impl Entry {
    pub(super) fn new(value: Box<dyn Replicated>) -> Self {
        Self {
            value,
            version: 0,
            deleted_at_ms: None,
            changed_at_ms: 0,
        }
    }

    /// Records what a merge changed and, with `deleted_at`, that the key is
    /// deleted.
    pub(super) fn settle(
        &mut self,
        key: &Arc<str>,
        merged: Merged,
        deleted_at: Option<i64>,
        now_ms: i64,
    ) -> Option<Update> {
        let deleted_now = self.mark_deleted(deleted_at);
        let change = merged
            .change
            .or_else(|| deleted_now.then(|| self.value.whole()))?;
        self.version += 1;
        self.changed_at_ms = now_ms;
        Some(self.update(key, change, merged.expired))
    }

    fn update(&self, key: &Arc<str>, change: Change, expired: usize) -> Update {
        // Heartbeats say nothing of deletion, and nobody saves on the few
        // messages about a deleted key.
        let lazy = change.is_heartbeat && self.deleted_at_ms.is_none();
        let compact = (lazy && !change.heartbeats.is_empty()).then(|| {
            let value = heartbeat::encode(change.heartbeats);
            encode(key, value, HEARTBEATS, None)
        });
        Update {
            key: key.clone(),
            version: self.version,
            broadcast: self.pair(key, change.value).encode_to_vec().into(),
            ids: change.ids,
            compact,
            lazy,
            tombstones: self.value.tombstones(),
            expired,
        }
    }

    /// Returns whether the key was not deleted before.
    fn mark_deleted(&mut self, at_ms: Option<i64>) -> bool {
        let is_new = self.deleted_at_ms.is_none();
        let Some(at_ms) = at_ms.filter(|at_ms| is_new && *at_ms > 0) else {
            return false;
        };
        self.deleted_at_ms = Some(at_ms);
        true
    }

    pub(super) fn pair(&self, key: &str, value: Bytes) -> KeyValuePair {
        pair(key, value, self.value.codec(), self.deleted_at_ms)
    }

    pub(super) fn status(&self, key: &str) -> EntryStatus {
        EntryStatus {
            key: key.to_owned(),
            codec: self.value.codec(),
            version: self.version,
            size: self.value.encoded().len(),
            deleted: self.deleted_at_ms.is_some(),
            changed_at_ms: self.changed_at_ms,
            instances: self.value.live(),
            tombstones: self.value.tombstones(),
        }
    }
}

fn pair(key: &str, value: Bytes, codec: &str, deleted_at_ms: Option<i64>) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value,
        codec: codec.to_owned(),
        deleted: deleted_at_ms.is_some(),
        update_time_millis: deleted_at_ms.unwrap_or_default(),
    }
}

fn encode(key: &str, value: Bytes, codec: &str, deleted_at_ms: Option<i64>) -> Bytes {
    pair(key, value, codec, deleted_at_ms)
        .encode_to_vec()
        .into()
}
