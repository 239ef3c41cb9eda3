//! Beacons of the propagation-delay tracker as a value of the store.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::memberlist::{Beacon, Beacons};
use serde_json::{Map, Value, json};

use super::codec::{self, CodecError, Fields};
use super::mergeable::Mergeable;

/// Most beacons of one value; a cluster publishes about one each minute.
const MAX_BEACONS: usize = 1 << 16;

impl Mergeable for Beacons {
    const CODEC: &'static str = "propagationDelayTracker";

    fn encode(&self) -> Bytes {
        codec::compress(&self.encode_to_vec())
    }

    fn decode(bytes: &[u8], _known: &Self) -> Result<Self, CodecError> {
        let plain = codec::decompress(bytes)?;
        let count = Fields::of(&plain).lengths(1).count();
        if count > MAX_BEACONS {
            return Err(CodecError::TooLarge(count));
        }
        Ok(<Self as Message>::decode(plain.as_slice())?)
    }

    fn merge(&mut self, incoming: Self) -> Option<Self> {
        let mut change = Self::default();
        for (id, incoming) in incoming.beacons {
            if supersedes(&incoming, self.beacons.get(&id)) {
                self.beacons.insert(id, incoming.clone());
                change.beacons.insert(id, incoming);
            }
        }
        (!change.is_empty()).then_some(change)
    }

    fn merge_local(&mut self, updated: Self, now_ms: i64) -> Option<Self> {
        let mut change = Self::default();
        for (id, known) in &mut self.beacons {
            if !is_deleted(known) && !updated.beacons.contains_key(id) {
                known.deleted_at = now_ms;
                change.beacons.insert(*id, known.clone());
            }
        }
        let taken = Mergeable::merge(self, updated).unwrap_or_default();
        change.beacons.extend(taken.beacons);
        (!change.is_empty()).then_some(change)
    }

    fn ids(&self) -> Vec<Arc<str>> {
        self.beacons
            .keys()
            .map(|id| id.to_string().into())
            .collect()
    }

    fn len(&self) -> usize {
        self.beacons.len()
    }

    fn size(&self) -> usize {
        self.encoded_len()
    }

    fn json(&self) -> Value {
        let beacons = self.beacons.iter();
        let beacons = beacons.map(|(id, beacon)| (id.to_string(), beacon_json(beacon)));
        json!({ "beacons": beacons.collect::<Map<_, _>>() })
    }

    fn tombstones(&self) -> usize {
        self.beacons.values().filter(|one| is_deleted(one)).count()
    }

    fn expire_tombstones(&mut self, before_ms: i64) -> usize {
        let count = self.beacons.len();
        self.beacons
            .retain(|_, one| !is_deleted(one) || one.deleted_at >= before_ms);
        count - self.beacons.len()
    }

    fn without_tombstones(&self) -> Self {
        let alive = self.beacons.iter().filter(|(_, one)| !is_deleted(one));
        Self {
            beacons: alive.map(|(id, one)| (*id, one.clone())).collect(),
        }
    }
}

fn is_deleted(beacon: &Beacon) -> bool {
    beacon.deleted_at != 0
}

/// The later publication wins, then the later deletion.
fn supersedes(incoming: &Beacon, known: Option<&Beacon>) -> bool {
    let order = |beacon: &Beacon| (beacon.published_at, beacon.deleted_at);
    known.is_none_or(|known| order(incoming) > order(known))
}

fn beacon_json(beacon: &Beacon) -> Value {
    let mut fields = Map::new();
    for (name, number) in [
        ("published_at", beacon.published_at),
        ("deleted_at", beacon.deleted_at),
    ] {
        if number != 0 {
            fields.insert(name.to_owned(), json!(number));
        }
    }
    if !beacon.published_by.is_empty() {
        fields.insert("published_by".to_owned(), json!(beacon.published_by));
    }
    Value::Object(fields)
}
