//! What a value must be able to do to be replicated.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proto::memberlist::{Beacons, Heartbeat};
use proto::ring::Desc;
use proto::version::v1::Versions;

use super::codec::CodecError;
use super::heartbeat::{self, HEARTBEATS};
use super::replica::{Replica, Replicated};
use super::usage_stats::UsageStats;

/// A value that nodes change at the same time and merge afterwards: records
/// under ids, of which removed ones stay for a while as tombstones.
///
/// [`Self::merge`] must be idempotent, and commutative and associative in what
/// it makes of `self`; otherwise nodes never agree, and gossip never ends.
pub trait Mergeable: Clone + Default + Send + Sync + 'static {
    /// Id of the codec, which tells peers what the bytes are.
    const CODEC: &'static str;

    /// Encodes the value for peers.
    fn encode(&self) -> Bytes;

    /// Decodes what a peer sent. Records that [`Self::merge`] into `known`
    /// would ignore may be left out.
    ///
    /// # Errors
    ///
    /// See [`CodecError`].
    fn decode(bytes: &[u8], known: &Self) -> Result<Self, CodecError>;

    /// Merges records and returns those that were taken, to be sent on; `None`
    /// when nothing changed.
    fn merge(&mut self, incoming: Self) -> Option<Self>;

    /// Merges an edited copy without tombstones: records that it leaves out
    /// are removed as of `now_ms` (Unix milliseconds).
    fn merge_local(&mut self, updated: Self, now_ms: i64) -> Option<Self>;

    /// Returns the ids of the records.
    fn ids(&self) -> Vec<Arc<str>>;

    /// Returns the number of records, tombstones included.
    fn len(&self) -> usize;

    /// Returns whether there is no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of the encoding before compression.
    fn size(&self) -> usize;

    /// Returns the value in the shape in which the original shows it.
    fn json(&self) -> serde_json::Value;

    /// Returns the number of tombstones.
    fn tombstones(&self) -> usize {
        0
    }

    /// Drops tombstones older than `before_ms` (Unix milliseconds) and returns
    /// how many.
    fn expire_tombstones(&mut self, _before_ms: i64) -> usize {
        0
    }

    /// Returns the value as readers see it.
    fn without_tombstones(&self) -> Self {
        self.clone()
    }

    /// Returns whether `incoming` differs from this value in nothing but the
    /// timestamps of records that are known and alive.
    fn is_heartbeat(&self, _incoming: &Self) -> bool {
        false
    }

    /// Repeats in a copy without tombstones a change for which
    /// [`Self::is_heartbeat`] was true.
    fn refresh(&mut self, _change: &Self) {}

    /// Returns the short form of a change for which [`Self::is_heartbeat`] was
    /// true; empty when there is none.
    fn heartbeats(&self) -> Vec<Heartbeat> {
        Vec::new()
    }

    /// Makes whole records of the heartbeats that are about records known here.
    fn expand(&self, _heartbeats: &[Heartbeat]) -> Expansion<Self> {
        Expansion::default()
    }
}

/// What heartbeats mean to one value.
#[derive(Clone, Debug, Default)]
pub struct Expansion<V> {
    /// Known records with newer timestamps.
    pub records: V,
    /// How many heartbeats are newer than what is known but about records that
    /// are not known so.
    pub missed: usize,
}

/// The codecs that a store understands.
#[derive(Clone)]
pub struct Codecs {
    open: BTreeMap<&'static str, fn() -> Box<dyn Replicated>>,
}

impl Codecs {
    /// Knows no codec.
    pub fn none() -> Self {
        Self {
            open: BTreeMap::new(),
        }
    }

    /// Adds the codec of a value.
    #[must_use]
    pub fn with<V: Mergeable>(mut self) -> Self {
        self.open.insert(V::CODEC, || Box::<Replica<V>>::default());
        self
    }

    /// Shows bytes of a codec, as they are in messages, as the original's JSON
    /// does.
    ///
    /// # Errors
    ///
    /// See [`CodecError`].
    pub fn json_of(&self, codec: &str, value: &[u8]) -> Result<serde_json::Value, CodecError> {
        if codec == HEARTBEATS {
            return heartbeat::decode(value).map(|heartbeats| heartbeat::json(&heartbeats));
        }
        let known = self.open(codec).ok_or_else(|| CodecError::UnknownCodec {
            key: String::new(),
            codec: codec.to_owned(),
        })?;
        known.json_of(value)
    }

    /// Makes an empty value of a codec.
    pub(super) fn open(&self, codec: &str) -> Option<Box<dyn Replicated>> {
        self.open.get(codec).map(|open| open())
    }
}

impl Default for Codecs {
    /// Knows what a Pyroscope cluster gossips: rings, versions, usage
    /// statistics and beacons.
    fn default() -> Self {
        Self::none()
            .with::<Desc>()
            .with::<Versions>()
            .with::<UsageStats>()
            .with::<Beacons>()
    }
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.open.keys()).finish()
    }
}
