//! The JSON of the `/ring` page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A ring as one process sees it: the answer of `/ring` to `Accept: application/json`.
///
/// The shape is that of dskit's ring page. Unknown fields are ignored, so that pages of
/// later versions can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingReport {
    /// Every instance of the ring, by name.
    #[serde(default)]
    pub shards: Vec<Shard>,
    /// The process's clock, RFC 3339.
    #[serde(default)]
    pub now: String,
}

/// One instance of a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shard {
    /// Name of the instance.
    pub id: String,
    /// `ACTIVE`, `LEAVING`, `PENDING`, `JOINING` or `LEFT`, or `UNHEALTHY` when the heartbeat
    /// is too old.
    pub state: String,
    /// Address as `host:port`.
    pub address: String,
    /// Time of the last heartbeat, RFC 3339.
    pub timestamp: String,
    /// Time at which the instance first came into the ring, RFC 3339; year 1 when not known.
    pub registered_timestamp: String,
    /// Whether the instance takes no writes.
    pub read_only: bool,
    /// Time at which [`Self::read_only`] last changed, RFC 3339; year 1 when it never did.
    pub read_only_updated_timestamp: String,
    /// Availability zone; empty is none.
    pub zone: String,
    /// Tokens, ascending.
    pub tokens: Vec<u32>,
    /// Versions of what the instance runs, by component; most instances give none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<u64, u64>,
}
