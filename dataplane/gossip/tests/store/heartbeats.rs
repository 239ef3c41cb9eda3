//! Short forms of updates: they must never say more than the whole ones.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use proto::memberlist::{Heartbeat, Heartbeats, KeyValuePair};
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_gossip::kv::{HEARTBEATS, Store, Update, digest};

use crate::support::{RING, instance};
use crate::{START, START_MS, desc, left, store, value, view};

fn ingester(timestamp: i64, tokens: &[u32]) -> InstanceDesc {
    let mut instance = instance("a", InstanceState::Active, timestamp, tokens);
    instance.registered_timestamp = START;
    instance
}

fn put(store: &mut Store, instance: InstanceDesc) -> Update {
    let now_ms = instance.timestamp * 1000;
    store.put(RING, desc([instance]), now_ms).unwrap()
}

fn receive(store: &mut Store, message: &Bytes) -> Option<Update> {
    store.receive(message.clone(), START_MS).unwrap()
}

/// Makes a message of one heartbeat.
fn beat(id: &str, timestamp: i64, digest: u64) -> Bytes {
    let heartbeat = Heartbeat {
        id: id.to_owned(),
        timestamp,
        digest,
    };
    let value = Heartbeats {
        heartbeats: vec![heartbeat],
    };
    let pair = KeyValuePair {
        key: RING.to_owned(),
        codec: HEARTBEATS.to_owned(),
        value: value.encode_to_vec().into(),
        ..KeyValuePair::default()
    };
    pair.encode_to_vec().into()
}

#[test]
fn a_heartbeat_is_lazy_and_short_and_everything_else_is_not() {
    let mut store = store();
    let tokens: Vec<u32> = (0..128).map(|n| n * 30_000_000).collect();
    let first = put(&mut store, ingester(START, &tokens));
    assert!(!first.lazy && first.compact.is_none(), "new to everybody");
    let second = put(&mut store, ingester(START + 5, &tokens));
    let compact = second.compact.unwrap();
    assert!(second.lazy);
    assert!(compact.len() < 80, "{} bytes", compact.len());
    assert!(second.broadcast.len() > 600, "{}", second.broadcast.len());
    let pair = KeyValuePair::decode(compact).unwrap();
    assert_eq!((pair.key.as_str(), pair.codec.as_str()), (RING, HEARTBEATS));

    let leaving = InstanceDesc {
        state: InstanceState::Leaving.into(),
        ..ingester(START + 6, &tokens)
    };
    let fewer = ingester(START + 7, &tokens[1..]);
    for change in [
        leaving,
        fewer,
        left("a", START + 8),
        ingester(START + 9, &[1]),
    ] {
        let update = put(&mut store, change.clone());
        assert!(!update.lazy && update.compact.is_none(), "{change:?}");
    }
}

#[test]
fn both_forms_make_the_same_value_and_are_sent_on_in_both() {
    let (mut writer, mut whole, mut short) = (store(), store(), store());
    let first = put(&mut writer, ingester(START, &[1, 2])).broadcast;
    for reader in [&mut whole, &mut short] {
        receive(reader, &first).unwrap();
    }
    let update = put(&mut writer, ingester(START + 5, &[1, 2]));
    let compact = update.compact.clone().unwrap();
    let relayed = [
        receive(&mut whole, &update.broadcast).unwrap(),
        receive(&mut short, &compact).unwrap(),
    ];
    for relayed in relayed {
        assert_eq!(relayed.broadcast, update.broadcast);
        assert_eq!(relayed.compact, update.compact);
        assert!(relayed.lazy);
    }
    assert_eq!(value(&whole), value(&writer));
    assert_eq!(value(&short), value(&writer));
    assert!(receive(&mut short, &compact).is_none(), "a repetition");
    assert!(receive(&mut short, &update.broadcast).is_none());
    assert!(!short.take_push_pull_request());
}

#[test]
fn a_heartbeat_of_something_else_changes_nothing_and_asks_for_it() {
    let mut ours = store();
    let known = ingester(START, &[1, 2]);
    let fits = digest("a", &known);
    // No key, no record, another record, a record that left.
    assert!(receive(&mut ours, &beat("a", START + 5, fits)).is_none());
    assert!(ours.take_push_pull_request() && !ours.take_push_pull_request());
    assert!(ours.is_empty());
    put(&mut ours, known.clone());
    for (id, digest) in [("b", fits), ("a", fits ^ 1)] {
        assert!(receive(&mut ours, &beat(id, START + 5, digest)).is_none());
        assert!(ours.take_push_pull_request());
    }
    assert_eq!(value(&ours).ingesters["a"], known);
    // Old news is no reason to ask, whatever it is about.
    assert!(receive(&mut ours, &beat("a", START, fits ^ 1)).is_none());
    assert!(!ours.take_push_pull_request());
    assert_eq!(ours.missed_heartbeats(), 3);
    put(&mut ours, left("a", START + 1));
    let tombstone = value(&ours).ingesters["a"].clone();
    for digest in [fits, digest("a", &tombstone)] {
        assert!(receive(&mut ours, &beat("a", START + 9, digest)).is_none());
        assert!(ours.take_push_pull_request());
        assert_eq!(value(&ours).ingesters["a"], tombstone);
    }
}

#[test]
fn readers_see_heartbeats_without_tombstones() {
    let mut ours = store();
    put(&mut ours, ingester(START, &[1]));
    let gone = desc([left("b", START)]);
    ours.put(RING, gone, START_MS).unwrap();
    let held = view(&ours);
    for later in [1, 2] {
        put(&mut ours, ingester(START + later, &[1]));
        let seen = view(&ours);
        assert_eq!(seen.ingesters.len(), 1);
        assert_eq!(seen.ingesters["a"].timestamp, START + later);
    }
    assert_eq!(held.ingesters["a"].timestamp, START, "a snapshot");
}

#[test]
fn a_deleted_key_has_no_short_form() {
    let mut ours = store();
    put(&mut ours, ingester(START, &[1]));
    ours.delete(RING, START_MS).unwrap();
    let update = put(&mut ours, ingester(START + 5, &[1]));
    assert!(!update.lazy && update.compact.is_none());
}

#[test]
fn heartbeats_without_end_are_refused() {
    let heartbeats = vec![Heartbeat::default(); (1 << 16) + 1];
    let pair = KeyValuePair {
        key: RING.to_owned(),
        codec: HEARTBEATS.to_owned(),
        value: Heartbeats { heartbeats }.encode_to_vec().into(),
        ..KeyValuePair::default()
    };
    let refused = store().receive(pair.encode_to_vec().into(), START_MS);
    assert!(refused.is_err());
}

/// What an instance does, and which earlier message arrives meanwhile.
#[derive(Clone, Copy, Debug)]
enum Step {
    Beat(usize),
    Change(usize),
    Leave(usize),
    Deliver(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize).prop_map(Step::Beat),
        1 => (0..3usize).prop_map(Step::Change),
        1 => (0..3usize).prop_map(Step::Leave),
        8 => any::<prop::sample::Index>().prop_map(Step::Deliver),
    ]
}

/// A writer's store and everything that it ever published.
struct Writer {
    store: Store,
    published: Vec<Desc>,
    messages: Vec<Update>,
}

impl Writer {
    fn new() -> Self {
        Self {
            store: store(),
            published: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Writes the next record of an instance at this second.
    fn write(&mut self, step: Step, second: i64) {
        let (index, state) = match step {
            Step::Beat(index) | Step::Change(index) => (index, InstanceState::Active),
            Step::Leave(index) => (index, InstanceState::Left),
            Step::Deliver(_) => return,
        };
        let id = format!("ingester-{index}");
        let known = self.store.value::<Desc>(RING);
        let known = known.and_then(|ring| ring.ingesters.get(&id).cloned());
        let is_change = !matches!(step, Step::Beat(_));
        let record = match known {
            Some(known) if !is_change => InstanceDesc {
                timestamp: second,
                ..known
            },
            _ => instance(&id, state, second, &[second as u32, index as u32]),
        };
        let records = desc([record]);
        if let Ok(update) = self.store.put(RING, records, second * 1000) {
            self.published.push(value(&self.store).as_ref().clone());
            self.messages.push(update);
        }
    }

    /// Whether this very record was published, at any time.
    fn has_published(&self, id: &str, record: &InstanceDesc) -> bool {
        let mut published = self.published.iter();
        published.any(|ring| ring.ingesters.get(id) == Some(record))
    }
}

fn check_reader(reader: &Store, before: Option<&Desc>, writer: &Writer) {
    let Some(ring) = reader.value::<Desc>(RING) else {
        return;
    };
    for (id, record) in &ring.ingesters {
        assert!(writer.has_published(id, record), "invented {record:?}");
        let known = before.and_then(|ring| ring.ingesters.get(id));
        let known = known.map_or(0, |known| known.timestamp);
        assert!(record.timestamp >= known, "went back to {record:?}");
    }
}

proptest! {
    /// Loss, repetition and reordering of short forms do no harm: a reader
    /// never holds a record that was not published, never goes back in time,
    /// never sees a tombstone revived by a heartbeat, and agrees with a reader
    /// of whole messages once it has exchanged full states.
    #[test]
    fn short_forms_do_no_harm(steps in prop::collection::vec(step(), 1..96)) {
        let mut writer = Writer::new();
        let (mut whole, mut short) = (store(), store());
        for (second, step) in steps.into_iter().enumerate() {
            let second = START + second as i64;
            let Step::Deliver(index) = step else {
                writer.write(step, second);
                continue;
            };
            if writer.messages.is_empty() {
                continue;
            }
            let update = index.get(&writer.messages).clone();
            let before = short.value::<Desc>(RING);
            whole.receive(update.broadcast.clone(), START_MS).unwrap();
            let message = update.compact.clone().unwrap_or(update.broadcast);
            let relayed = short.receive(message, START_MS).unwrap();
            check_reader(&short, before.as_deref(), &writer);
            let by_heartbeat = update.compact.is_some() && relayed.is_some();
            if let (true, Some(before)) = (by_heartbeat, before) {
                for (id, record) in &value(&short).ingesters {
                    let was_left = before.ingesters[id].state == i32::from(InstanceState::Left);
                    prop_assert!(!was_left || record == &before.ingesters[id]);
                }
            }
        }
        let state = writer.store.full_state();
        for reader in [&mut whole, &mut short] {
            for result in reader.receive_state(state.clone(), START_MS) {
                prop_assert!(result.is_ok());
            }
        }
        prop_assert_eq!(whole.value::<Desc>(RING), writer.store.value(RING));
        prop_assert_eq!(short.value::<Desc>(RING), writer.store.value(RING));
    }

    /// Nothing has to be repaired when nothing is lost.
    #[test]
    fn short_forms_suffice(steps in prop::collection::vec(step(), 1..96)) {
        let mut writer = Writer::new();
        let mut reader = store();
        for (second, step) in steps.into_iter().enumerate() {
            let sent = writer.messages.len();
            writer.write(step, START + second as i64);
            for update in &writer.messages[sent..] {
                let message = update.compact.as_ref().unwrap_or(&update.broadcast);
                prop_assert!(reader.receive(message.clone(), START_MS).unwrap().is_some());
            }
        }
        prop_assert_eq!(reader.value::<Desc>(RING), writer.store.value(RING));
        prop_assert!(!reader.take_push_pull_request());
    }
}
