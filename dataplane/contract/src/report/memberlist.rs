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
    /// Sum of the sizes.
    pub total_store_size: u64,
    /// Bytes of messages that are kept for each direction; 0 is none.
    pub message_history_buffer_bytes: u64,
    /// Messages that this process sent lately, the oldest first.
    pub sent_messages: Vec<Message>,
    /// Messages that this process received lately, the oldest first.
    pub received_messages: Vec<Message>,
}

/// One message about one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Message {
    /// Number of the message in this process, for `?viewMsg=`.
    #[serde(rename = "ID")]
    pub id: u64,
    /// When it was sent or received, RFC 3339.
    pub time: String,
    /// Bytes of the message.
    pub size: u64,
    /// What it is about.
    pub pair: Pair,
    /// Version of the value after it; 0 when it changed nothing.
    pub version: u64,
    /// Ids of the records that it changed.
    pub changes: Vec<String>,
}

/// What a message is about; its value is asked for by `?viewMsg=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// Name of the value's encoding.
    pub codec: String,
    /// Whether the message deletes the key.
    pub deleted: bool,
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
