//! The API versions of a cluster's processes as a value of the store.
//!
//! Processes of the original write one record each, every 15 seconds. The
//! record with the newer timestamp wins; of equally old ones, that which left.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::version::v1::{InstanceVersion, Versions};
use serde_json::{Map, Value, json};

use super::codec::{self, CodecError, Fields};
use super::mergeable::Mergeable;

/// Most records of one value.
const MAX_INSTANCES: usize = 1 << 16;

/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;

impl Mergeable for Versions {
    const CODEC: &'static str = "versions";

    fn encode(&self) -> Bytes {
        codec::compress(&self.encode_to_vec())
    }

    fn decode(bytes: &[u8], _known: &Self) -> Result<Self, CodecError> {
        let plain = codec::decompress(bytes)?;
        let count = Fields::of(&plain).lengths(1).count();
        if count > MAX_INSTANCES {
            return Err(CodecError::TooLarge(count));
        }
        Ok(<Self as Message>::decode(plain.as_slice())?)
    }

    fn merge(&mut self, incoming: Self) -> Option<Self> {
        let mut change = Self::default();
        for (id, incoming) in incoming.instances {
            if supersedes(&incoming, self.instances.get(&id)) {
                self.instances.insert(id.clone(), incoming.clone());
                change.instances.insert(id, incoming);
            }
        }
        (!change.is_empty()).then_some(change)
    }

    fn merge_local(&mut self, updated: Self, now_ms: i64) -> Option<Self> {
        let mut change = Self::default();
        for (id, known) in &mut self.instances {
            if known.left || updated.instances.contains_key(id) {
                continue;
            }
            known.left = true;
            known.timestamp = known.timestamp.max(now_ms.saturating_mul(MILLISECOND));
            change.instances.insert(id.clone(), known.clone());
        }
        let taken = Mergeable::merge(self, updated).unwrap_or_default();
        change.instances.extend(taken.instances);
        (!change.is_empty()).then_some(change)
    }

    fn ids(&self) -> Vec<Arc<str>> {
        self.instances.keys().map(|id| id.as_str().into()).collect()
    }

    fn len(&self) -> usize {
        self.instances.len()
    }

    fn size(&self) -> usize {
        self.encoded_len()
    }

    fn json(&self) -> Value {
        let instances = self.instances.iter();
        let instances = instances.map(|(id, instance)| (id.clone(), instance_json(instance)));
        json!({ "Instances": instances.collect::<Map<_, _>>() })
    }

    fn tombstones(&self) -> usize {
        self.instances.values().filter(|one| one.left).count()
    }

    fn expire_tombstones(&mut self, before_ms: i64) -> usize {
        let count = self.instances.len();
        let limit = before_ms.saturating_mul(MILLISECOND);
        self.instances
            .retain(|_, one| !one.left || one.timestamp >= limit);
        count - self.instances.len()
    }

    fn without_tombstones(&self) -> Self {
        let alive = self.instances.iter().filter(|(_, one)| !one.left);
        Self {
            instances: alive.map(|(id, one)| (id.clone(), one.clone())).collect(),
        }
    }

    fn is_heartbeat(&self, incoming: &Self) -> bool {
        incoming.instances.iter().all(|(id, incoming)| {
            self.instances.get(id).is_some_and(|known| {
                let at_same_time = InstanceVersion {
                    timestamp: known.timestamp,
                    ..incoming.clone()
                };
                !known.left && at_same_time == *known
            })
        })
    }

    fn refresh(&mut self, change: &Self) {
        for (id, changed) in &change.instances {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.timestamp = changed.timestamp;
            }
        }
    }
}

fn supersedes(incoming: &InstanceVersion, known: Option<&InstanceVersion>) -> bool {
    let (timestamp, left) = known.map_or((0, false), |known| (known.timestamp, known.left));
    incoming.timestamp > timestamp || (incoming.timestamp == timestamp && incoming.left && !left)
}

fn instance_json(instance: &InstanceVersion) -> Value {
    json!({
        "ID": instance.id,
        "addr": instance.addr,
        "Timestamp": instance.timestamp,
        "QuerierAPI": instance.querier_api,
        "left": instance.left,
    })
}
