//! The seed of usage statistics as a value of the store.
//!
//! The original's leader writes one JSON document per cluster; of two, the one
//! created earlier wins, then the smaller UID. It is kept and sent on as it
//! was received.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::codec::CodecError;
use super::mergeable::Mergeable;

/// Largest document; real ones have some hundred bytes.
const MAX_BYTES: usize = 64 << 10;

/// The seed of a cluster, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageStats {
    seed: Option<Seed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seed {
    order: Order,
    document: Bytes,
}

/// What decides between two seeds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Order {
    created_at: Timestamp,
    #[serde(rename = "UID")]
    uid: String,
}

impl UsageStats {
    /// Returns the cluster's id; `None` when there is no seed.
    pub fn uid(&self) -> Option<&str> {
        self.seed.as_ref().map(|seed| seed.order.uid.as_str())
    }

    /// Returns the whole document; `None` when there is no seed.
    pub fn document(&self) -> Option<&[u8]> {
        self.seed.as_ref().map(|seed| seed.document.as_ref())
    }
}

impl Mergeable for UsageStats {
    const CODEC: &'static str = "usagestats.jsonCodec";

    fn encode(&self) -> Bytes {
        let document = self.seed.as_ref().map(|seed| seed.document.clone());
        document.unwrap_or_default()
    }

    fn decode(bytes: &[u8], _known: &Self) -> Result<Self, CodecError> {
        if bytes.len() > MAX_BYTES {
            return Err(CodecError::TooLarge(bytes.len()));
        }
        let order =
            serde_json::from_slice(bytes).map_err(|error| CodecError::Json(error.to_string()))?;
        let document = Bytes::copy_from_slice(bytes);
        Ok(Self {
            seed: Some(Seed { order, document }),
        })
    }

    fn merge(&mut self, incoming: Self) -> Option<Self> {
        let wins = match (&incoming.seed, &self.seed) {
            (Some(incoming), Some(known)) => incoming.order < known.order,
            (incoming, None) => incoming.is_some(),
            (None, Some(_)) => false,
        };
        wins.then(|| {
            self.clone_from(&incoming);
            incoming
        })
    }

    fn merge_local(&mut self, updated: Self, _now_ms: i64) -> Option<Self> {
        self.merge(updated)
    }

    fn ids(&self) -> Vec<Arc<str>> {
        self.uid().map(Arc::from).into_iter().collect()
    }

    fn len(&self) -> usize {
        self.seed.iter().count()
    }

    fn size(&self) -> usize {
        self.document().map_or(0, <[u8]>::len)
    }

    fn json(&self) -> Value {
        self.document()
            .and_then(|document| serde_json::from_slice(document).ok())
            .unwrap_or_default()
    }
}
