//! Ring descriptors as values of the store.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use proto::memberlist::Heartbeat;
use proto::ring::{Desc, InstanceDesc};
use ring::{State, desc};
use serde_json::{Map, Value, json};

use super::codec::{self, CodecError, Fields};
use super::heartbeat::digest;
use super::mergeable::{Expansion, Mergeable};

/// Codec of ring descriptors: a snappy block of the protobuf message.
pub const RING_DESC: &str = "ringDesc";

/// Most instances of one descriptor: a small message can list many empty
/// ones, each of which is large in memory.
const MAX_INSTANCES: usize = 1 << 16;

impl Mergeable for Desc {
    const CODEC: &'static str = RING_DESC;

    fn encode(&self) -> Bytes {
        codec::compress(&self.encode_to_vec())
    }

    fn decode(bytes: &[u8], known: &Self) -> Result<Self, CodecError> {
        let plain = codec::decompress(bytes)?;
        let mut newer = Self::default();
        for (count, entry) in Fields::of(&plain).lengths(1).enumerate() {
            if count == MAX_INSTANCES {
                return Err(CodecError::TooLarge(MAX_INSTANCES + 1));
            }
            let (id, record) = split_entry(entry?)?;
            if may_be_newer(record, known.ingesters.get(id))? {
                let record = InstanceDesc::decode(record)?;
                newer.ingesters.insert(id.to_owned(), record);
            }
        }
        Ok(newer)
    }

    fn merge(&mut self, incoming: Self) -> Option<Self> {
        desc::merge(self, incoming)
    }

    fn merge_local(&mut self, updated: Self, now_ms: i64) -> Option<Self> {
        desc::merge_local(self, updated, now_ms.div_euclid(1000))
    }

    fn ids(&self) -> Vec<Arc<str>> {
        self.ingesters.keys().map(|id| id.as_str().into()).collect()
    }

    fn len(&self) -> usize {
        self.ingesters.len()
    }

    fn size(&self) -> usize {
        self.encoded_len()
    }

    fn json(&self) -> Value {
        let instances = self.ingesters.iter();
        let instances = instances.map(|(id, instance)| (id.clone(), instance_json(instance)));
        json!({ "ingesters": instances.collect::<Map<_, _>>() })
    }

    fn tombstones(&self) -> usize {
        self.ingesters.values().filter(|one| has_left(one)).count()
    }

    fn expire_tombstones(&mut self, before_ms: i64) -> usize {
        desc::expire_tombstones(self, before_ms.div_euclid(1000))
    }

    fn without_tombstones(&self) -> Self {
        desc::without_tombstones(self)
    }

    fn is_heartbeat(&self, incoming: &Self) -> bool {
        incoming.ingesters.iter().all(|(id, incoming)| {
            let known = self.ingesters.get(id);
            known.is_some_and(|known| !has_left(known) && same_but_time(known, incoming))
        })
    }

    fn refresh(&mut self, change: &Self) {
        for (id, changed) in &change.ingesters {
            if let Some(instance) = self.ingesters.get_mut(id) {
                instance.timestamp = changed.timestamp;
            }
        }
    }

    fn heartbeats(&self) -> Vec<Heartbeat> {
        let heartbeat = |(id, instance): (&String, &InstanceDesc)| Heartbeat {
            id: id.clone(),
            timestamp: instance.timestamp,
            digest: digest(id, instance),
        };
        self.ingesters.iter().map(heartbeat).collect()
    }

    fn expand(&self, heartbeats: &[Heartbeat]) -> Expansion<Self> {
        let mut expansion = Expansion::<Self>::default();
        for heartbeat in heartbeats {
            match fit(self.ingesters.get(&heartbeat.id), heartbeat) {
                Fit::Old => {}
                Fit::Unknown => expansion.missed += 1,
                Fit::Newer(record) => {
                    let records = &mut expansion.records.ingesters;
                    records.insert(heartbeat.id.clone(), record);
                }
            }
        }
        expansion
    }
}

/// How a heartbeat fits what is known.
enum Fit {
    /// It is not newer.
    Old,
    /// It is about a record that is not known, or known otherwise. One that
    /// has left is never revived this way.
    Unknown,
    /// It is the known record, at a later time.
    Newer(InstanceDesc),
}

fn fit(known: Option<&InstanceDesc>, heartbeat: &Heartbeat) -> Fit {
    let Some(known) = known else {
        return Fit::Unknown;
    };
    if heartbeat.timestamp <= known.timestamp {
        return Fit::Old;
    }
    if has_left(known) || digest(&heartbeat.id, known) != heartbeat.digest {
        return Fit::Unknown;
    }
    Fit::Newer(InstanceDesc {
        timestamp: heartbeat.timestamp,
        ..known.clone()
    })
}

fn has_left(instance: &InstanceDesc) -> bool {
    State::of(instance) == State::Left
}

fn same_but_time(known: &InstanceDesc, incoming: &InstanceDesc) -> bool {
    // The rest of the fields is named, so that a new one cannot be forgotten.
    let InstanceDesc {
        addr,
        timestamp: _,
        state,
        tokens,
        zone,
        registered_timestamp,
        id,
        read_only_updated_timestamp,
        read_only,
        versions,
    } = incoming;
    known.state == *state
        && known.tokens == *tokens
        && known.addr == *addr
        && known.zone == *zone
        && known.id == *id
        && known.registered_timestamp == *registered_timestamp
        && known.read_only_updated_timestamp == *read_only_updated_timestamp
        && known.read_only == *read_only
        && known.versions == *versions
}

/// Splits an entry of the map into its key and its value.
fn split_entry(entry: &[u8]) -> Result<(&str, &[u8]), CodecError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::of(entry);
    while let Some((tag, field)) = fields.next_length()? {
        match tag {
            1 => key = field,
            2 => value = field,
            _ => {}
        }
    }
    let key = std::str::from_utf8(key).map_err(|_| CodecError::NotText)?;
    Ok((key, value))
}

/// Whether a record can win from the known one, judged by its timestamp and
/// state without decoding the tokens: most records that arrive are repetitions.
fn may_be_newer(record: &[u8], known: Option<&InstanceDesc>) -> Result<bool, CodecError> {
    let Some(known) = known else {
        return Ok(true);
    };
    let (mut timestamp, mut state) = (0, 0);
    let mut left = record;
    while !left.is_empty() {
        let (tag, wire_type) = decode_key(&mut left)?;
        if wire_type == WireType::Varint && (tag == 2 || tag == 3) {
            let number = decode_varint(&mut left)?;
            if tag == 2 {
                timestamp = number.cast_signed();
            } else {
                state = number as i32;
            }
        } else {
            codec::skip(tag, wire_type, &mut left)?;
        }
    }
    Ok(timestamp > known.timestamp
        || (timestamp == known.timestamp && State::from(state) == State::Left))
}

/// Shows a record as Go's JSON encoding of dskit's type does: names of the
/// protobuf, numbers for enums, defaults left out.
fn instance_json(instance: &InstanceDesc) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value, is_default: bool| {
        if !is_default {
            fields.insert(name.to_owned(), value);
        }
    };
    put("addr", json!(instance.addr), instance.addr.is_empty());
    put(
        "timestamp",
        json!(instance.timestamp),
        instance.timestamp == 0,
    );
    put("state", json!(instance.state), instance.state == 0);
    put("tokens", json!(instance.tokens), instance.tokens.is_empty());
    put("zone", json!(instance.zone), instance.zone.is_empty());
    let registered = instance.registered_timestamp;
    put("registered_timestamp", json!(registered), registered == 0);
    put("id", json!(instance.id), instance.id.is_empty());
    let updated = instance.read_only_updated_timestamp;
    put("read_only_updated_timestamp", json!(updated), updated == 0);
    put("read_only", json!(true), !instance.read_only);
    put(
        "versions",
        json!(instance.versions),
        instance.versions.is_empty(),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(timestamp: i64, state: State, tokens: &[u32]) -> InstanceDesc {
        InstanceDesc {
            id: "a".into(),
            addr: "10.0.0.1:4040".into(),
            timestamp,
            state: state.into(),
            tokens: tokens.to_vec(),
            ..InstanceDesc::default()
        }
    }

    fn desc(instance: InstanceDesc) -> Desc {
        Desc {
            ingesters: [("a".to_owned(), instance)].into(),
        }
    }

    #[test]
    fn stale_records_are_not_even_decoded() {
        let known = desc(instance(7, State::Active, &[1, 2]));
        let decode = |incoming: InstanceDesc| {
            let bytes = Mergeable::encode(&desc(incoming));
            <Desc as Mergeable>::decode(&bytes, &known).unwrap()
        };
        let newer = instance(8, State::Active, &[3]);
        assert_eq!(decode(newer.clone()), desc(newer));
        let left = instance(7, State::Left, &[]);
        assert_eq!(decode(left.clone()), desc(left));
        assert!(decode(instance(7, State::Leaving, &[9])).is_empty());
        assert!(decode(instance(6, State::Left, &[])).is_empty());
        let unknown = Mergeable::encode(&known);
        let decoded = <Desc as Mergeable>::decode(&unknown, &Desc::default());
        assert_eq!(decoded.unwrap(), known);
    }

    #[test]
    fn values_that_inflate_are_refused_before_memory_is_taken() {
        let none = Desc::default();
        let announced = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
        assert!(matches!(
            <Desc as Mergeable>::decode(&announced, &none),
            Err(CodecError::TooLarge(_) | CodecError::Snappy(_))
        ));
        let many = codec::compress(&[0x0A, 0x00].repeat(MAX_INSTANCES + 1));
        assert_eq!(
            <Desc as Mergeable>::decode(&many, &none),
            Err(CodecError::TooLarge(MAX_INSTANCES + 1))
        );
        assert!(<Desc as Mergeable>::decode(b"garbage", &none).is_err());
    }

    #[test]
    fn json_has_the_names_and_numbers_of_the_original() {
        let shown = desc(instance(7, State::Leaving, &[1])).json();
        let expected = json!({"ingesters": {"a": {
            "addr": "10.0.0.1:4040", "timestamp": 7, "state": 1, "tokens": [1], "id": "a",
        }}});
        assert_eq!(shown, expected);
    }
}
