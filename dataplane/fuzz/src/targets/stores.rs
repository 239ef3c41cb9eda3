//! Messages and full states of the key-value store.

use std::time::Duration;

use bytes::Bytes;
use gossip::kv::{HEARTBEATS, RING_DESC, Retention, Store, digest};
use memberlist::{Message, PushPull, StreamMessage, packet};
use prost::Message as _;
use proto::memberlist::{Heartbeat, Heartbeats, KeyValuePair};
use proto::ring::{Desc, InstanceDesc};

use crate::seeds;

/// Unix milliseconds at which everything happens, about when the captures were made.
const NOW: i64 = 1_795_000_000_000;
const RING: &str = "collectors/ring";

fn store() -> Store {
    Store::new(Retention {
        tombstones: Duration::from_secs(300),
        deleted_keys: Duration::from_secs(30),
    })
}

/// A store that already has a ring, so that there is something to merge with.
fn store_with_ring() -> Store {
    let mut store = store();
    let ingesters = ["a", "b"].map(|id| (id.to_owned(), instance(id)));
    let ring = Desc {
        ingesters: ingesters.into_iter().collect(),
    };
    store.put(RING, ring, NOW).expect("there is room");
    store
}

fn instance(id: &str) -> InstanceDesc {
    InstanceDesc {
        id: id.to_owned(),
        addr: format!("{id}:4040"),
        timestamp: NOW / 1000,
        tokens: vec![1, 2, 3],
        ..InstanceDesc::default()
    }
}

/// One user message.
pub(crate) fn message(data: &[u8]) {
    for mut store in [store(), store_with_ring()] {
        let message = Bytes::copy_from_slice(data);
        if let Ok(Some(update)) = store.receive(message.clone(), NOW) {
            let again = store.receive(message, NOW);
            assert!(
                matches!(again, Ok(None) | Err(_)),
                "news is news only once: {again:?}"
            );
            for own in [Some(update.broadcast), update.compact]
                .into_iter()
                .flatten()
            {
                let heard = store.receive(own, NOW);
                assert!(
                    matches!(heard, Ok(None)),
                    "what it sends is no news to itself: {heard:?}"
                );
            }
        }
        replicate(&store);
    }
}

/// One state of a push/pull.
pub(crate) fn full_state(data: &[u8]) {
    for mut store in [store(), store_with_ring()] {
        let _ = store.receive_state(Bytes::copy_from_slice(data), NOW);
        replicate(&store);
        store.forget_deleted(NOW + 3_600_000);
        replicate(&store);
    }
}

/// A store that hears the full state of another has the same values.
fn replicate(from: &Store) {
    let mut to = store();
    let state = from.full_state();
    for received in to.receive_state(state.clone(), NOW) {
        received.expect("what was encoded is understood");
    }
    for entry in from.status().filter(|entry| !entry.deleted) {
        let key = &entry.key;
        assert_eq!(from.encoded(key), to.encoded(key), "{key}");
    }
    // A second time there is nothing new.
    assert!(to.receive_state(state, NOW).is_empty());
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    let messages = seeds::packets().into_iter().flat_map(|packet| {
        let labelled = packet::split_label(&packet);
        labelled.map_or_else(|_| Vec::new(), |(_, rest)| packet::decode(rest).0)
    });
    messages
        .filter_map(|message| match message {
            Message::User(payload) => Some(payload.to_vec()),
            _ => None,
        })
        .chain([deletion().encode_to_vec(), heartbeats().encode_to_vec()])
        .collect()
}

pub(crate) fn full_state_seeds() -> Vec<Vec<u8>> {
    let mut states: Vec<Vec<u8>> = seeds::streams()
        .iter()
        .filter_map(|s| user_state(s))
        .collect();
    let deletion = deletion().encode_to_vec();
    states.push([&(deletion.len() as u32).to_be_bytes(), &deletion[..]].concat());
    states.push(store_with_ring().full_state().to_vec());
    states
}

fn user_state(stream: &[u8]) -> Option<Vec<u8>> {
    match super::streams::read(stream)? {
        StreamMessage::PushPull(PushPull { user_state, .. }) => Some(user_state.to_vec()),
        _ => None,
    }
}

/// One heartbeat that fits the ring that is there, and one that does not.
fn heartbeats() -> KeyValuePair {
    let heartbeat = |id: &str, digest| Heartbeat {
        id: id.to_owned(),
        timestamp: NOW / 1000 + 5,
        digest,
    };
    let heartbeats = Heartbeats {
        heartbeats: vec![
            heartbeat("a", digest("a", &instance("a"))),
            heartbeat("b", 7),
        ],
    };
    KeyValuePair {
        key: RING.to_owned(),
        codec: HEARTBEATS.to_owned(),
        value: heartbeats.encode_to_vec().into(),
        ..KeyValuePair::default()
    }
}

fn deletion() -> KeyValuePair {
    KeyValuePair {
        key: RING.to_owned(),
        codec: RING_DESC.to_owned(),
        deleted: true,
        update_time_millis: NOW,
        ..KeyValuePair::default()
    }
}
