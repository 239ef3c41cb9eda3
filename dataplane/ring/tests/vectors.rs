//! The ring decides as Grafana dskit does on captured inputs; see
//! `vectors/README.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_ring::batch::{Batch, Decision, Family};
use pyroscope_ring::{Op, ReplicationSet, Ring, RingConfig, RingError, State, desc, token};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const NOW: i64 = 1_790_000_000;

fn load<T: DeserializeOwned>(json: &str) -> Vec<T> {
    let vectors: Vec<T> = serde_json::from_str(json).expect("vectors are JSON of this shape");
    assert!(!vectors.is_empty());
    vectors
}

#[derive(Deserialize)]
struct TokenFor {
    tenant: String,
    labels: String,
    fnv1_32: u32,
}

#[test]
fn token_for() {
    for v in load::<TokenFor>(include_str!("vectors/token_for.json")) {
        assert_eq!(token::token_for(&v.tenant, &v.labels), v.fnv1_32);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    #[serde(rename = "ID")]
    id: String,
    addr: String,
    zone: String,
    state: String,
    age_seconds: i64,
    registered_age: i64,
    read_only: bool,
    read_only_age: i64,
    tokens: Vec<u32>,
}

fn ago(age: i64) -> i64 {
    if age == 0 { 0 } else { NOW - age }
}

fn state(name: &str) -> i32 {
    InstanceState::from_str_name(name)
        .expect("a state that dskit knows")
        .into()
}

fn topology(members: &[Member]) -> Desc {
    let instance = |m: &Member| InstanceDesc {
        id: m.id.clone(),
        addr: m.addr.clone(),
        zone: m.zone.clone(),
        state: state(&m.state),
        timestamp: NOW - m.age_seconds,
        registered_timestamp: ago(m.registered_age),
        read_only: m.read_only,
        read_only_updated_timestamp: ago(m.read_only_age),
        tokens: m.tokens.clone(),
        ..InstanceDesc::default()
    };
    Desc {
        ingesters: members
            .iter()
            .map(|m| (m.id.clone(), instance(m)))
            .collect(),
    }
}

#[derive(Deserialize)]
struct Get {
    scenario: String,
    heartbeat_timeout_s: u64,
    rf: usize,
    zone_aware: bool,
    instances: Vec<Member>,
    results: Vec<GetResult>,
}

#[derive(Deserialize)]
struct GetResult {
    op: String,
    key: Option<u32>,
    instances: Option<Vec<String>>,
    instances_sorted: Option<Vec<String>>,
    max_errors: Option<usize>,
    max_unavailable_zones: Option<usize>,
    error: Option<String>,
}

fn op(name: &str) -> Op {
    match name {
        "Write" => Op::Write,
        "WriteNoExtend" => Op::WriteNoExtend,
        "Read" => Op::Read,
        "Reporting" => Op::Reporting,
        other => panic!("operation {other}"),
    }
}

fn ids(set: &ReplicationSet) -> Vec<String> {
    set.instances.iter().map(|i| i.id.clone()).collect()
}

#[test]
fn get() {
    let (mut seen, mut tolerant) = (0, 0);
    for v in load::<Get>(include_str!("vectors/get.json")) {
        let config = RingConfig {
            replication_factor: v.rf,
            heartbeat_timeout: Duration::from_secs(v.heartbeat_timeout_s),
            zone_awareness: v.zone_aware,
            ..RingConfig::default()
        };
        let ring = Ring::new(&topology(&v.instances), config);
        for want in &v.results {
            let op = op(&want.op);
            seen += 1;
            let got = match want.key {
                Some(key) => ring.get(key, op, NOW),
                None => ring.replication_set(op, NOW),
            };
            match got {
                Ok(got) if op == Op::Write && tolerates_more(want, &got) => {
                    assert!(got.instances.len() - got.max_errors == v.rf / 2 + 1);
                    tolerant += 1;
                }
                got => check_set(&v.scenario, want, got),
            }
        }
    }
    assert_eq!((seen, tolerant), (360, 16));
}

/// Whether this set is our deviation: of a write that met an instance that is
/// not ACTIVE, dskit wants a majority of all instances met.
fn tolerates_more(want: &GetResult, got: &ReplicationSet) -> bool {
    want.error.is_some() || Some(got.max_errors) > want.max_errors
}

fn check_set(scenario: &str, want: &GetResult, got: Result<ReplicationSet, RingError>) {
    let context = format!("{scenario}: {} of {:?}", want.op, want.key);
    match (&want.error, got) {
        (Some(want), Err(got)) => assert!(got.to_string().starts_with(want), "{context}: {got}"),
        (None, Ok(got)) => {
            assert_eq!(Some(got.max_errors), want.max_errors, "{context}");
            if let Some(instances) = &want.instances {
                assert_eq!(&ids(&got), instances, "{context}");
            } else {
                let mut got_ids = ids(&got);
                got_ids.sort();
                assert_eq!(Some(got_ids), want.instances_sorted, "{context}");
                let zones = Some(got.max_unavailable_zones);
                assert_eq!(zones, want.max_unavailable_zones, "{context}");
            }
        }
        (want, got) => panic!("{context}: want {want:?}, got {got:?}"),
    }
}

#[derive(Deserialize)]
struct ShuffleShard {
    scenario: String,
    zone_aware: bool,
    instances: Vec<Member>,
    results: Vec<ShuffleShardResult>,
}

#[derive(Deserialize)]
struct ShuffleShardResult {
    identifier: String,
    size: usize,
    instances_sorted: Vec<String>,
    lookback_1h_sorted: Vec<String>,
}

#[test]
fn shuffle_shard() {
    for v in load::<ShuffleShard>(include_str!("vectors/shuffle_shard.json")) {
        let config = RingConfig {
            zone_awareness: v.zone_aware,
            ..RingConfig::default()
        };
        let ring = Ring::new(&topology(&v.instances), config);
        for want in &v.results {
            let context = format!("{}: {} of {}", v.scenario, want.size, want.identifier);
            let shard = ring.shuffle_shard(&want.identifier, want.size);
            assert_eq!(
                sorted_ids(&shard),
                sorted(&want.instances_sorted),
                "{context}"
            );
            let hour = Duration::from_secs(3600);
            let shard = ring.shuffle_shard_with_lookback(&want.identifier, want.size, hour, NOW);
            assert_eq!(
                sorted_ids(&shard),
                sorted(&want.lookback_1h_sorted),
                "{context}, lookback"
            );
        }
    }
}

fn sorted_ids(ring: &Ring) -> Vec<String> {
    ring.instances().iter().map(|i| i.id.clone()).collect()
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

type Records = BTreeMap<String, Record>;

#[derive(Deserialize)]
struct Record {
    state: String,
    ts: Timestamp,
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(i64),
    Now(String),
}

#[derive(Deserialize)]
struct Merge {
    name: String,
    local: Records,
    incoming: Records,
    local_cas: bool,
    result: Records,
    change: Option<Records>,
}

fn records(records: &Records) -> Desc {
    let instance = |r: &Record| InstanceDesc {
        state: state(&r.state),
        tokens: r.tokens.clone(),
        timestamp: match &r.ts {
            Timestamp::Seconds(seconds) => *seconds,
            Timestamp::Now(now) => {
                assert_eq!(now, "now");
                NOW
            }
        },
        ..InstanceDesc::default()
    };
    Desc {
        ingesters: records
            .iter()
            .map(|(id, r)| (id.clone(), instance(r)))
            .collect(),
    }
}

#[test]
fn merge() {
    for v in load::<Merge>(include_str!("vectors/merge.json")) {
        let mut local = records(&v.local);
        let change = if v.local_cas {
            desc::merge_local(&mut local, records(&v.incoming), NOW)
        } else {
            desc::merge(&mut local, records(&v.incoming))
        };
        assert_eq!(local, records(&v.result), "{}", v.name);
        assert_eq!(change, v.change.as_ref().map(records), "{}: change", v.name);
    }
}

#[derive(Deserialize)]
struct DoBatch {
    order: Vec<String>,
    outcome: String,
}

#[test]
fn do_batch_rf3() {
    const SERVER: &str = "rpc error: code = Internal desc = server-internal";
    let ring = Ring::new(
        &three_active(),
        RingConfig {
            replication_factor: 3,
            ..RingConfig::default()
        },
    );
    let vectors = load::<DoBatch>(include_str!("vectors/do_batch_rf3.json"));
    assert_eq!(vectors.len(), 27);
    for v in vectors {
        let mut batch = Batch::new(vec![ring.get(0, Op::Write, NOW).unwrap()]);
        assert_eq!(batch.calls().len(), 3);
        for (call, result) in v.order.iter().enumerate() {
            batch.record(
                call,
                match result.as_str() {
                    "ok" => Ok(()),
                    "4xx" => Err((
                        Family::Client,
                        "rpc error: code = Code(429) desc = client-429",
                    )),
                    "5xx" => Err((Family::Server, SERVER)),
                    other => panic!("result {other}"),
                },
            );
        }
        let got = match batch.decision() {
            Some(Decision::Success) => "success",
            Some(Decision::Failed { error, .. }) => error,
            Some(Decision::Refused) => batch.refused().next().expect("it is the only item").1,
            None => "undecided",
        };
        let mut results = v.order.clone();
        results.sort();
        let expected = match results.join(" ").as_str() {
            // With the instance that failed it may succeed, in any order.
            "4xx 5xx ok" => SERVER,
            _ => v.outcome.as_str(),
        };
        assert_eq!(got, expected, "{:?}", v.order);
    }
}

fn three_active() -> Desc {
    let instance = |i: u32| InstanceDesc {
        addr: format!("10.0.0.{i}:4040"),
        timestamp: NOW,
        tokens: vec![i],
        ..InstanceDesc::default()
    };
    Desc {
        ingesters: (1..=3).map(|i| (format!("ing-{i}"), instance(i))).collect(),
    }
}

#[test]
fn ring_values_survive_byte_for_byte() {
    for (hex, id, state, tokens) in [
        (
            include_str!("vectors/desc_active.hex"),
            "go-a",
            State::Active,
            4,
        ),
        (
            include_str!("vectors/desc_left.hex"),
            "go-b",
            State::Left,
            0,
        ),
    ] {
        let bytes = unhex(hex);
        let desc = Desc::decode(bytes.as_slice()).unwrap();
        let instance = &desc.ingesters[id];
        assert_eq!(
            (State::of(instance), instance.tokens.len()),
            (state, tokens)
        );
        assert_eq!(instance.id, id);
        assert!(instance.registered_timestamp > 0 && instance.zone.starts_with('z'));
        assert_eq!(desc.encode_to_vec(), bytes);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
