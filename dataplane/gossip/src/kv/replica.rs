//! This node's copy of one value.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use proto::memberlist::Heartbeat;
use serde_json::Value;

use super::codec::CodecError;
use super::mergeable::{Expansion, Mergeable};

/// A value and what is derived from it. Readers share it: a change copies it
/// only while one of them holds on to it.
#[derive(Debug, Default)]
pub(super) struct Replica<V> {
    /// With tombstones.
    value: Arc<V>,
    /// Without tombstones, made when it is read; not used while there are none.
    view: OnceLock<Arc<V>>,
    /// The encoded value, made when it is sent.
    encoded: OnceLock<Bytes>,
    tombstones: usize,
    weight: usize,
}

/// What a merge changed, ready to be sent.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) ids: Vec<Arc<str>>,
    pub(super) value: Bytes,
    /// Nothing but timestamps changed.
    pub(super) is_heartbeat: bool,
    /// The same for nodes that know the records; empty when there is no such
    /// form.
    pub(super) heartbeats: Vec<Heartbeat>,
}

/// What became of a merge.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// What peers are to be told.
    pub(super) change: Option<Change>,
    /// Tombstones that were dropped.
    pub(super) expired: usize,
    /// Heartbeats that did not fit.
    pub(super) missed: usize,
}

/// How a merge is limited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Unix milliseconds before which tombstones are dropped.
    pub(super) tombstones_before_ms: Option<i64>,
    /// How much heavier the value may become.
    pub(super) room: usize,
}

/// A replica of any value.
pub(super) trait Replicated: Any + Send + Sync {
    fn codec(&self) -> &'static str;

    /// Merges what a peer sent.
    fn receive(&mut self, bytes: &[u8], limits: Limits) -> Result<Merged, CodecError>;

    /// Merges heartbeats that a peer sent.
    fn beat(&mut self, heartbeats: &[Heartbeat], limits: Limits) -> Merged;

    /// Returns the value as if all of it were a change.
    fn whole(&self) -> Change;

    /// Returns the encoded value, tombstones included.
    fn encoded(&self) -> Bytes;

    /// Returns the bytes that the value counts for, encoded and in memory.
    fn weight(&self) -> usize;

    fn live(&self) -> usize;

    fn tombstones(&self) -> usize;

    /// Shows bytes of the same codec.
    fn json_of(&self, bytes: &[u8]) -> Result<Value, CodecError>;
}

impl dyn Replicated {
    pub(super) fn of<V: Mergeable>(&self) -> Option<&Replica<V>> {
        (self as &dyn Any).downcast_ref()
    }

    pub(super) fn of_mut<V: Mergeable>(&mut self) -> Option<&mut Replica<V>> {
        (self as &mut dyn Any).downcast_mut()
    }
}

impl<V: Mergeable> Replica<V> {
    /// Returns what readers see.
    pub(super) fn view(&self) -> Arc<V> {
        if self.tombstones == 0 {
            return self.value.clone();
        }
        let view = self
            .view
            .get_or_init(|| Arc::new(self.value.without_tombstones()));
        view.clone()
    }

    /// Returns the value with tombstones.
    pub(super) fn value(&self) -> Arc<V> {
        self.value.clone()
    }

    /// Merges records.
    pub(super) fn merge(&mut self, records: V, limits: Limits) -> Result<Merged, CodecError> {
        let is_heartbeat = self.value.is_heartbeat(&records);
        if !is_heartbeat && weight(&records) > limits.room {
            return Err(CodecError::TooLarge(self.weight + weight(&records)));
        }
        Ok(self.edit(is_heartbeat, limits, |value| value.merge(records)))
    }

    /// Merges an edited copy of the view.
    pub(super) fn merge_local(
        &mut self,
        updated: V,
        now_ms: i64,
        limits: Limits,
    ) -> Result<Merged, CodecError> {
        let is_heartbeat = updated.len() == self.live() && self.value.is_heartbeat(&updated);
        if !is_heartbeat && weight(&updated) > self.weight.saturating_add(limits.room) {
            return Err(CodecError::TooLarge(weight(&updated)));
        }
        Ok(self.edit(is_heartbeat, limits, |value| {
            value.merge_local(updated, now_ms)
        }))
    }

    fn edit(
        &mut self,
        is_heartbeat: bool,
        limits: Limits,
        edit: impl FnOnce(&mut V) -> Option<V>,
    ) -> Merged {
        let Some(change) = edit(Arc::make_mut(&mut self.value)) else {
            return Merged::default();
        };
        self.encoded.take();
        if is_heartbeat {
            self.refresh_view(&change);
        } else {
            self.view.take();
            self.tombstones = self.value.tombstones();
        }
        let expired = self.expire(limits);
        if !is_heartbeat || expired > 0 {
            self.weight = weight(self.value.as_ref());
        }
        Merged {
            change: unexpired(change, limits).map(|change| encode(&change, is_heartbeat)),
            expired,
            missed: 0,
        }
    }

    /// Repeats the change in the view, unless a reader holds on to it.
    fn refresh_view(&mut self, change: &V) {
        match self.view.get_mut().map(Arc::get_mut) {
            Some(Some(view)) => view.refresh(change),
            Some(None) => drop(self.view.take()),
            None => {}
        }
    }

    fn expire(&mut self, limits: Limits) -> usize {
        let Some(before_ms) = limits.tombstones_before_ms.filter(|_| self.tombstones > 0) else {
            return 0;
        };
        let expired = Arc::make_mut(&mut self.value).expire_tombstones(before_ms);
        self.tombstones -= expired;
        if self.tombstones == 0 {
            self.view.take();
        }
        expired
    }
}

impl<V: Mergeable> Replicated for Replica<V> {
    fn codec(&self) -> &'static str {
        V::CODEC
    }

    fn receive(&mut self, bytes: &[u8], limits: Limits) -> Result<Merged, CodecError> {
        let records = V::decode(bytes, &self.value)?;
        if records.is_empty() {
            return Ok(Merged::default());
        }
        self.merge(records, limits)
    }

    fn beat(&mut self, heartbeats: &[Heartbeat], limits: Limits) -> Merged {
        let Expansion { records, missed } = self.value.expand(heartbeats);
        let merged = if records.is_empty() {
            Merged::default()
        } else {
            self.edit(true, limits, |value| value.merge(records))
        };
        Merged { missed, ..merged }
    }

    fn whole(&self) -> Change {
        Change {
            ids: self.value.ids(),
            value: self.encoded(),
            is_heartbeat: false,
            heartbeats: Vec::new(),
        }
    }

    fn encoded(&self) -> Bytes {
        self.encoded.get_or_init(|| self.value.encode()).clone()
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn live(&self) -> usize {
        self.value.len() - self.tombstones
    }

    fn tombstones(&self) -> usize {
        self.tombstones
    }

    fn json_of(&self, bytes: &[u8]) -> Result<Value, CodecError> {
        V::decode(bytes, &V::default()).map(|value| value.json())
    }
}

/// What a record takes in memory besides its bytes. A message of a few bytes
/// can list many empty records.
const RECORD_BYTES: usize = 256;

fn weight<V: Mergeable>(value: &V) -> usize {
    value.size() + RECORD_BYTES * value.len()
}

/// Drops from a change what is too old to be told; `None` when nothing is left.
fn unexpired<V: Mergeable>(mut change: V, limits: Limits) -> Option<V> {
    if let Some(before_ms) = limits.tombstones_before_ms {
        change.expire_tombstones(before_ms);
    }
    (!change.is_empty()).then_some(change)
}

fn encode<V: Mergeable>(change: &V, is_heartbeat: bool) -> Change {
    Change {
        ids: change.ids(),
        value: change.encode(),
        is_heartbeat,
        heartbeats: if is_heartbeat {
            change.heartbeats()
        } else {
            Vec::new()
        },
    }
}
