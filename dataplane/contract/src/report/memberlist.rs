//! The JSON of the `/memberlist` page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Gossip as one process sees it: the answer of `/memberlist` to `Accept: application/json`.
///
/// Field names are those of dskit's page, of which this is the part with a meaning here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MemberlistReport {
    /// The process's clock, RFC 3339.
    pub now: String,
    /// Every known node, by name.
    pub sorted_members: Vec<Member>,
    /// Every key of the store.
    pub store: BTreeMap<String, StoreEntry>,
    /// Size of each key's value in bytes, encoded.
    pub store_sizes: BTreeMap<String, u64>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Member {
    /// Name of the node.
    pub name: String,
    /// IP address.
    pub addr: String,
    /// Gossip port.
    pub port: u16,
    /// 0 alive, 1 suspect, 2 dead, 3 left: the numbers of memberlist.
    pub state: u8,
}

/// One key of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreEntry {
    /// Number of changes that this process has seen.
    #[serde(rename = "Version")]
    pub version: u64,
    /// Name of the value's encoding.
    #[serde(rename = "CodecID")]
    pub codec_id: String,
    /// Whether the key is deleted and only remembered for a while.
    #[serde(rename = "Deleted")]
    pub deleted: bool,
    /// Time of the last change, RFC 3339.
    #[serde(rename = "UpdateTime")]
    pub update_time: String,
}
