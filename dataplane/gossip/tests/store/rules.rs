//! dskit's rules of merging, forgetting and telling.

use std::sync::Arc;

use crate::support::{RING, ids, instance, ownership};
use crate::{MINUTE_MS, START, START_MS, active, desc, left, set, store, value, view};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use proto::memberlist::KeyValuePair;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_gossip::kv::{CodecError, ReceiveError, Store, StoreError, Update};

fn sent(update: &Update) -> KeyValuePair {
    KeyValuePair::decode(update.broadcast.clone()).unwrap()
}

fn sent_desc(update: &Update) -> Desc {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(&sent(update).value)
        .unwrap();
    Desc::decode(plain.as_slice()).unwrap()
}

#[test]
fn only_the_change_is_sent() {
    let mut store = store();
    set(
        &mut store,
        desc([active("a", START), active("b", START)]),
        START_MS,
    )
    .unwrap();
    let updated = desc([active("a", START + 1), active("b", START)]);
    let update = set(&mut store, updated, START_MS).unwrap();
    assert_eq!(update.ids, [Arc::from("a")]);
    assert_eq!(sent_desc(&update), desc([active("a", START + 1)]));
    assert_eq!(ids(&view(&store)), ["a", "b"].into());
    let pair = sent(&update);
    assert_eq!((pair.key.as_str(), pair.codec.as_str()), (RING, "ringDesc"));
    assert_eq!((pair.deleted, pair.update_time_millis), (false, 0));
}

#[test]
fn what_changes_nothing_is_not_sent_on() {
    let (mut ours, mut theirs) = (store(), store());
    let update = set(&mut ours, desc([active("a", START)]), START_MS).unwrap();
    let first = theirs.receive(update.broadcast.clone(), START_MS).unwrap();
    assert_eq!(first.unwrap().broadcast, update.broadcast);
    assert!(
        theirs
            .receive(update.broadcast.clone(), START_MS)
            .unwrap()
            .is_none()
    );
    assert!(theirs.receive_state(ours.full_state(), START_MS).is_empty());
    let same_second = desc([instance("a", InstanceState::Leaving, START, &[])]);
    assert_eq!(
        set(&mut ours, same_second, START_MS).unwrap_err(),
        StoreError::NoChange
    );
}

#[test]
fn a_removed_instance_is_a_tombstone_that_readers_do_not_see() {
    let (mut ours, mut theirs) = (store(), store());
    let update = set(
        &mut ours,
        desc([active("a", START), active("b", START)]),
        START_MS,
    )
    .unwrap();
    theirs.receive(update.broadcast.clone(), START_MS).unwrap();
    let update = set(&mut ours, desc([active("a", START)]), START_MS + 5000).unwrap();
    assert_eq!(sent_desc(&update), desc([tombstone(&ours)]));
    theirs
        .receive(update.broadcast.clone(), START_MS)
        .unwrap()
        .unwrap();
    for store in [&ours, &theirs] {
        assert_eq!(ids(&view(store)), ["a"].into());
        assert_eq!(ids(&value(store)), ["a", "b"].into());
    }
}

fn tombstone(store: &Store) -> InstanceDesc {
    let value = value(store);
    let tombstone = &value.ingesters["b"];
    assert_eq!(tombstone.state, i32::from(InstanceState::Left));
    assert_eq!(
        (tombstone.timestamp, tombstone.tokens.len()),
        (START + 5, 0)
    );
    tombstone.clone()
}

#[test]
fn tombstones_are_forgotten_and_come_back_for_nobody() {
    let mut ours = store();
    set(
        &mut ours,
        desc([active("a", START), active("b", START)]),
        START_MS,
    )
    .unwrap();
    set(&mut ours, desc([active("a", START)]), START_MS + 1000).unwrap();
    let early = ours
        .put(
            RING,
            desc([active("a", START + 2)]),
            START_MS + 4 * MINUTE_MS,
        )
        .unwrap();
    assert_eq!((early.tombstones, early.expired), (1, 0));
    let late = ours
        .put(
            RING,
            desc([active("a", START + 3)]),
            START_MS + 6 * MINUTE_MS,
        )
        .unwrap();
    assert_eq!((late.tombstones, late.expired), (0, 1));
    // An old tombstone of a peer neither changes anything nor is sent on.
    let mut theirs = store();
    let update = theirs
        .put(RING, desc([left("c", START)]), START_MS)
        .unwrap();
    let received = ours
        .receive(update.broadcast.clone(), START_MS + 6 * MINUTE_MS)
        .unwrap();
    assert!(received.is_none());
    assert_eq!(ids(&ours.value::<Desc>(RING).unwrap()), ["a"].into());
}

#[test]
fn a_value_that_changed_since_it_was_read_is_not_overwritten() {
    let mut store = store();
    set(&mut store, desc([active("a", START)]), START_MS).unwrap();
    let stale = store.snapshot::<Desc>(RING);
    store
        .put(RING, desc([active("b", START)]), START_MS)
        .unwrap();
    let lost = store.compare_and_set(RING, stale.version, Desc::default(), START_MS);
    assert_eq!(lost.unwrap_err(), StoreError::Conflict);
    assert_eq!(ids(&view(&store)), ["a", "b"].into());
}

#[test]
fn a_deleted_key_is_deleted_everywhere_and_stays_so() {
    let (mut ours, mut theirs) = (store(), store());
    let update = set(&mut ours, desc([active("a", START)]), START_MS).unwrap();
    theirs.receive(update.broadcast.clone(), START_MS).unwrap();
    let deletion = ours.delete(RING, START_MS + 1).unwrap();
    assert!(ours.delete(RING, START_MS + 2).is_none());
    let pair = sent(&deletion);
    assert_eq!(
        (pair.deleted, pair.update_time_millis),
        (true, START_MS + 1)
    );
    assert_eq!(
        sent_desc(&deletion),
        desc([active("a", START)]),
        "the whole value"
    );
    assert!(
        theirs
            .receive(deletion.broadcast.clone(), START_MS)
            .unwrap()
            .is_some()
    );
    assert!(
        theirs
            .receive(deletion.broadcast.clone(), START_MS)
            .unwrap()
            .is_none()
    );
    for store in [&mut ours, &mut theirs] {
        store.forget_deleted(START_MS + 30_000);
        assert!(!store.is_empty(), "still remembered");
        store.forget_deleted(START_MS + 30_002);
        assert!(store.is_empty());
    }
    // A late message of the deletion does not bring the key back.
    assert!(
        theirs
            .receive(deletion.broadcast.clone(), START_MS)
            .unwrap()
            .is_none()
    );
    assert!(theirs.view::<Desc>(RING).is_none());
}

#[test]
fn other_codecs_are_dropped_without_harm_to_what_follows() {
    let foreign = KeyValuePair {
        key: "collectors/partitions".into(),
        codec: "partitionRingDesc".into(),
        value: Bytes::from_static(b"opaque"),
        ..KeyValuePair::default()
    };
    let mut theirs = store();
    set(&mut theirs, desc([active("a", START)]), START_MS).unwrap();
    let foreign = foreign.encode_to_vec();
    let mut state = (foreign.len() as u32).to_be_bytes().to_vec();
    state.extend(&foreign);
    state.extend(theirs.full_state());
    let mut ours = store();
    let results = ours.receive_state(state.into(), START_MS);
    let unknown = CodecError::UnknownCodec {
        key: "collectors/partitions".into(),
        codec: "partitionRingDesc".into(),
    };
    assert_eq!(results.len(), 2);
    assert_eq!(
        results[0].as_ref().unwrap_err(),
        &ReceiveError::Codec(unknown)
    );
    assert_eq!(ids(&ours.view::<Desc>(RING).unwrap()), ["a"].into());
}

#[test]
fn the_number_of_keys_is_bounded() {
    let (mut ours, mut theirs) = (store(), store());
    for index in 0..1024 {
        ours.put(
            &format!("key-{index}"),
            desc([active("a", START)]),
            START_MS,
        )
        .unwrap();
    }
    let refused = ours.put("one more", desc([active("a", START)]), START_MS);
    assert_eq!(refused.unwrap_err(), StoreError::TooManyKeys);
    let update = set(&mut theirs, desc([active("a", START)]), START_MS).unwrap();
    let refused = ours.receive(update.broadcast.clone(), START_MS);
    assert_eq!(refused.unwrap_err(), ReceiveError::TooManyKeys(RING.into()));
    assert!(
        ours.put("key-7", desc([active("b", START)]), START_MS)
            .is_ok()
    );
}

#[test]
fn open_states_survive() {
    let mut ours = store();
    let mut odd = active("a", START);
    odd.state = 9;
    set(&mut ours, desc([odd.clone()]), START_MS).unwrap();
    let mut theirs = store();
    theirs.receive_state(ours.full_state(), START_MS);
    assert_eq!(theirs.view::<Desc>(RING).unwrap().ingesters["a"], odd);
}

/// User messages that real dskit nodes sent: an instance with 4 tokens, and
/// the tombstone of another.
const GO_ACTIVE: &str = "0a0f636f6c6c6563746f72732f72696e671249\
    46f0450a440a04676f2d61123c0a0e3132372e302e302e313a3930393510eb9684d8063214\
    f2acb68601d8cac6c0028296d4e5068cc6cefe0a3a027a3140ea9684d8064a04676f2d61\
    1a0872696e6744657363";
const GO_LEFT: &str = "0a0f636f6c6c6563746f72732f72696e67123432c4\
    0a300a04676f2d6212280a0e3132372e302e302e313a3930393610f29684d80618043a027a32\
    40eb9684d8064a04676f2d621a0872696e6744657363";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn messages_of_go_nodes_are_understood_and_sent_on_as_they_are() {
    let mut store = store();
    let now_ms = 1_795_230_000_000;
    let update = store
        .receive(unhex(GO_ACTIVE).into(), now_ms)
        .unwrap()
        .unwrap();
    assert_eq!(update.broadcast, unhex(GO_ACTIVE));
    let ring = view(&store);
    let instance = &ring.ingesters["go-a"];
    assert_eq!(
        (instance.addr.as_str(), instance.zone.as_str()),
        ("127.0.0.1:9095", "z1")
    );
    assert_eq!(instance.tokens.len(), 4);
    let update = store
        .receive(unhex(GO_LEFT).into(), now_ms)
        .unwrap()
        .unwrap();
    assert_eq!(update.broadcast, unhex(GO_LEFT));
    assert_eq!(ids(&view(&store)), ["go-a"].into());
    assert_eq!(update.tombstones, 1);
}

/// What happens in a cluster of three stores.
#[derive(Clone, Debug)]
enum Step {
    /// A store writes its own instance.
    Write { store: usize, leave: bool },
    /// A message sent earlier arrives somewhere, perhaps not for the first time.
    Deliver { message: usize, store: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize, prop::bool::weighted(0.2))
            .prop_map(|(store, leave)| Step::Write { store, leave }),
        (any::<prop::sample::Index>(), 0..3usize).prop_map(|(message, store)| Step::Deliver {
            message: message.index(64),
            store
        }),
    ]
}

proptest! {
    /// Loss, repetition and reordering of messages do not matter once full
    /// states were exchanged.
    #[test]
    fn stores_agree_after_push_pulls(steps in prop::collection::vec(step(), 1..64)) {
        let mut stores = [store(), store(), store()];
        let mut messages: Vec<Bytes> = Vec::new();
        for (second, step) in steps.into_iter().enumerate() {
            let now = START + second as i64;
            match step {
                Step::Write { store, leave } => {
                    let id = format!("ingester-{store}");
                    let record = if leave { left(&id, now) } else { active(&id, now) };
                    let update = stores[store].put(RING, desc([record]), now * 1000).unwrap();
                    messages.push(update.broadcast);
                }
                Step::Deliver { message, store } => {
                    if let Some(message) = messages.get(message) {
                        let update = stores[store].receive(message.clone(), now * 1000).unwrap();
                        messages.extend(update.map(|update| update.broadcast));
                    }
                }
            }
        }
        for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            let state = stores[from].full_state();
            for result in stores[to].receive_state(state, START_MS) {
                prop_assert!(result.is_ok());
            }
        }
        let whole = |store: &Store| store.value::<Desc>(RING).map(|desc| ownership(&desc));
        prop_assert_eq!(whole(&stores[0]), whole(&stores[1]));
        prop_assert_eq!(whole(&stores[0]), whole(&stores[2]));
    }

    /// No bytes of a peer make a store panic.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let mut store = store();
        let _ = store.receive(bytes.clone().into(), START_MS);
        for _ in store.receive_state(bytes.into(), START_MS) {}
    }
}
