//! The short form of ring updates that change nothing but timestamps.
//!
//! `docs/wire/heartbeats.md` describes the bytes.

use bytes::Bytes;
use prost::Message;
use proto::memberlist::{Heartbeat, Heartbeats};
use proto::ring::InstanceDesc;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::codec::CodecError;

/// Codec of heartbeats. Go nodes do not know it and drop such pairs.
pub const HEARTBEATS: &str = "heartbeats";

/// Most heartbeats of one message.
const MAX_HEARTBEATS: usize = 1 << 16;

/// Returns the digest of everything in a record but its timestamp.
///
/// It is part of the wire: nodes of different versions must compute the same,
/// so it covers a fixed list of fields in a fixed layout.
pub fn digest(id: &str, instance: &InstanceDesc) -> u64 {
    let mut bytes = Vec::with_capacity(128 + 4 * instance.tokens.len());
    for text in [id, &instance.addr, &instance.zone] {
        put_length(&mut bytes, text.len());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(instance.state.to_le_bytes());
    bytes.extend(instance.registered_timestamp.to_le_bytes());
    bytes.extend(instance.read_only_updated_timestamp.to_le_bytes());
    bytes.push(instance.read_only.into());
    put_length(&mut bytes, instance.tokens.len());
    for token in &instance.tokens {
        bytes.extend(token.to_le_bytes());
    }
    put_length(&mut bytes, instance.versions.len());
    for (component, version) in &instance.versions {
        bytes.extend(component.to_le_bytes());
        bytes.extend(version.to_le_bytes());
    }
    xxh3_64(&bytes)
}

pub(super) fn encode(heartbeats: Vec<Heartbeat>) -> Bytes {
    Heartbeats { heartbeats }.encode_to_vec().into()
}

pub(super) fn decode(value: &[u8]) -> Result<Vec<Heartbeat>, CodecError> {
    // An empty heartbeat takes two bytes here and 40 in memory.
    if value.len() > 64 * MAX_HEARTBEATS {
        return Err(CodecError::TooLarge(value.len()));
    }
    let heartbeats = Heartbeats::decode(value)?.heartbeats;
    if heartbeats.len() > MAX_HEARTBEATS {
        return Err(CodecError::TooLarge(heartbeats.len()));
    }
    Ok(heartbeats)
}

/// Shows heartbeats; digests in the digits of the hash.
pub(super) fn json(heartbeats: &[Heartbeat]) -> Value {
    let shown = heartbeats.iter().map(|heartbeat| {
        json!({
            "id": heartbeat.id,
            "timestamp": heartbeat.timestamp,
            "digest": format!("{:016x}", heartbeat.digest),
        })
    });
    json!({ "heartbeats": shown.collect::<Vec<_>>() })
}

/// Appends a length as 32 bits; no field comes near that.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes.extend(length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> InstanceDesc {
        InstanceDesc {
            addr: "10.0.0.7:9095".into(),
            timestamp: 1_700_000_000,
            state: 0,
            tokens: vec![1, 2, 4_000_000_000],
            zone: "zone-a".into(),
            registered_timestamp: 1_600_000_000,
            id: "ingester-7".into(),
            read_only_updated_timestamp: 0,
            read_only: false,
            versions: [(1, 2)].into(),
        }
    }

    /// Nodes of all versions must agree: this number never changes.
    #[test]
    fn the_digest_is_the_documented_one() {
        assert_eq!(digest("ingester-7", &record()), 0xb58e_3de4_808b_f52a);
    }

    #[test]
    fn every_field_but_the_timestamp_and_the_inner_id_counts() {
        let base = digest("ingester-7", &record());
        let same = InstanceDesc {
            timestamp: 5,
            id: String::new(),
            ..record()
        };
        assert_eq!(digest("ingester-7", &same), base);
        assert_ne!(digest("ingester-8", &record()), base);
        let others = [
            InstanceDesc {
                addr: "10.0.0.8:9095".into(),
                ..record()
            },
            InstanceDesc {
                state: 1,
                ..record()
            },
            InstanceDesc {
                tokens: vec![1, 2],
                ..record()
            },
            InstanceDesc {
                zone: String::new(),
                ..record()
            },
            InstanceDesc {
                registered_timestamp: 0,
                ..record()
            },
            InstanceDesc {
                read_only_updated_timestamp: 1,
                ..record()
            },
            InstanceDesc {
                read_only: true,
                ..record()
            },
            InstanceDesc {
                versions: [(1, 3)].into(),
                ..record()
            },
        ];
        for other in others {
            assert_ne!(digest("ingester-7", &other), base, "{other:?}");
        }
    }
}
