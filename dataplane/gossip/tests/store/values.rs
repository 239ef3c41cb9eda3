//! Values that are not rings, and many kinds of them side by side.

use bytes::Bytes;
use proptest::prelude::*;
use proto::memberlist::{Beacon, Beacons, KeyValuePair};
use proto::ring::{Desc, InstanceDesc};
use proto::version::v1::{InstanceVersion, Versions};
use pyroscope_gossip::kv::{CodecError, Mergeable, ReceiveError, StoreError, UsageStats};
use serde_json::json;

use crate::support::RING;
use crate::{START, START_MS, active, desc, store};

const VERSIONS: &str = "collectors/versions";
const SEED: &str = "collectors/usagestats_token";
const BEACONS: &str = "memberlist-propagation-delay-tracker";

fn versions(records: &[(&str, i64, bool)]) -> Versions {
    let record = |&(id, timestamp, left): &(&str, i64, bool)| {
        let version = InstanceVersion {
            id: id.to_owned(),
            addr: format!("{id}:4040"),
            timestamp,
            querier_api: 2,
            left,
        };
        (id.to_owned(), version)
    };
    Versions {
        instances: records.iter().map(record).collect(),
    }
}

fn beacons(records: &[(u64, i64, i64)]) -> Beacons {
    let beacon = |&(id, published_at, deleted_at): &(u64, i64, i64)| {
        let beacon = Beacon {
            published_at,
            deleted_at,
            published_by: "node".to_owned(),
        };
        (id, beacon)
    };
    Beacons {
        beacons: records.iter().map(beacon).collect(),
    }
}

fn seed(uid: &str, created_at: &str) -> UsageStats {
    let document = json!({
        "UID": uid,
        "created_at": created_at,
        "version": {"version": "1.2.3", "revision": "abc", "branch": "main"},
    });
    UsageStats::decode(document.to_string().as_bytes(), &UsageStats::default()).unwrap()
}

#[test]
fn two_stores_share_values_of_all_codecs() {
    let (mut ours, mut theirs) = (store(), store());
    let updates = [
        ours.put(RING, desc([active("a", START)]), START_MS),
        ours.put(VERSIONS, versions(&[("a", 5, false)]), START_MS),
        ours.put(SEED, seed("x", "2024-05-01T10:00:00Z"), START_MS),
        ours.put(BEACONS, beacons(&[(7, START_MS, 0)]), START_MS),
    ];
    for update in updates {
        let message = update.unwrap().broadcast;
        let relayed = theirs.receive(message.clone(), START_MS).unwrap();
        assert_eq!(relayed.unwrap().broadcast, message);
    }
    assert_eq!(theirs.full_state(), ours.full_state());
    assert_eq!(theirs.view::<Versions>(VERSIONS), ours.view(VERSIONS));
    assert_eq!(theirs.view::<UsageStats>(SEED), ours.view(SEED));
    assert_eq!(theirs.view::<Beacons>(BEACONS), ours.view(BEACONS));
    let mut third = store();
    let results = third.receive_state(ours.full_state(), START_MS);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    let codecs: Vec<&str> = third.status().map(|entry| entry.codec).collect();
    assert_eq!(
        codecs,
        [
            "ringDesc",
            "usagestats.jsonCodec",
            "versions",
            "propagationDelayTracker"
        ]
    );
    for entry in third.status() {
        assert_eq!(entry.size, third.encoded(&entry.key).unwrap().1.len());
    }
}

#[test]
fn a_key_keeps_its_codec() {
    let mut ours = store();
    ours.put(RING, desc([active("a", START)]), START_MS)
        .unwrap();
    let refused = ours.put(RING, versions(&[("a", 5, false)]), START_MS);
    assert!(matches!(
        refused,
        Err(StoreError::Refused(CodecError::OtherCodec { .. }))
    ));
    let pair = KeyValuePair {
        key: RING.to_owned(),
        codec: "versions".to_owned(),
        value: versions(&[("a", 5, false)]).encode(),
        ..KeyValuePair::default()
    };
    let refused = ours.receive(prost::Message::encode_to_vec(&pair).into(), START_MS);
    assert!(matches!(
        refused,
        Err(ReceiveError::Codec(CodecError::OtherCodec { .. }))
    ));
    assert!(ours.view::<Versions>(RING).is_none());
    assert!(ours.view::<Desc>(RING).is_some());
}

#[test]
fn newer_versions_win_and_a_tie_goes_to_the_one_that_left() {
    let mut known = versions(&[("a", 5, false), ("b", 5, true)]);
    assert_eq!(
        known.merge(versions(&[("a", 4, true), ("b", 5, false)])),
        None
    );
    let change = known.merge(versions(&[
        ("a", 5, true),
        ("b", 6, false),
        ("c", 1, false),
    ]));
    assert_eq!(
        change.unwrap(),
        versions(&[("a", 5, true), ("b", 6, false), ("c", 1, false)])
    );
    let buried = known
        .merge_local(versions(&[("c", 2, false)]), START_MS)
        .unwrap();
    assert!(buried.instances["b"].left && !buried.instances["c"].left);
    assert_eq!(buried.instances["b"].timestamp, START_MS * 1_000_000);
    assert_eq!(known.without_tombstones().len(), 1);
    assert_eq!(
        known.expire_tombstones(START_MS),
        1,
        "the one from long ago"
    );
    assert_eq!(known.tombstones(), 1);
}

#[test]
fn heartbeats_of_versions_can_wait() {
    let mut ours = store();
    let mut put = |later: i64, left: bool| {
        let record = ("a", START_MS * 1_000_000 + later, left);
        ours.put(VERSIONS, versions(&[record]), START_MS).unwrap()
    };
    assert!(!put(0, false).lazy);
    let second = put(1, false);
    assert!(second.lazy && second.compact.is_none());
    assert!(!put(2, true).lazy);
}

#[test]
fn the_oldest_seed_wins_then_the_smaller_uid() {
    let older = seed("z", "2024-05-01T12:00:00+02:00");
    let newer = seed("a", "2024-05-01T10:00:00.000000001Z");
    let tie = seed("y", "2024-05-01T10:00:00Z");
    let mut known = UsageStats::default();
    assert_eq!(known.merge(newer.clone()), Some(newer.clone()));
    assert_eq!(known.merge(older.clone()), Some(older.clone()));
    assert_eq!(known.merge(newer), None);
    assert_eq!(known.merge(tie.clone()), Some(tie.clone()));
    assert_eq!(known.merge(older), None);
    assert_eq!(known.uid(), Some("y"));
    let shown = known.json();
    assert_eq!(shown["version"]["revision"], "abc", "nothing is lost");
}

#[test]
fn documents_that_are_no_seeds_are_refused() {
    let none = UsageStats::default();
    for bytes in [
        &b""[..],
        b"{}",
        b"\0",
        b"{\"UID\":\"a\",\"created_at\":\"soon\"}",
    ] {
        assert!(UsageStats::decode(bytes, &none).is_err(), "{bytes:?}");
    }
    let long = format!("{{\"UID\":\"{}\"}}", "a".repeat(100_000));
    assert_eq!(
        UsageStats::decode(long.as_bytes(), &none),
        Err(CodecError::TooLarge(long.len()))
    );
}

#[test]
fn beacons_are_ordered_by_publication_then_deletion() {
    let mut known = beacons(&[(1, 100, 0), (2, 100, 50)]);
    assert_eq!(known.merge(beacons(&[(1, 99, 70), (2, 100, 50)])), None);
    let change = known.merge(beacons(&[(1, 100, 60), (2, 101, 0)]));
    assert_eq!(change, Some(beacons(&[(1, 100, 60), (2, 101, 0)])));
    assert_eq!(known.ids().len(), 2);
    assert_eq!(known.without_tombstones(), beacons(&[(2, 101, 0)]));
    let buried = known.merge_local(Beacons::default(), 200);
    assert_eq!(buried, Some(beacons(&[(2, 101, 200)])));
    assert_eq!(known.expire_tombstones(61), 1);
    let shown = json!({"beacons": {"2": {
        "published_at": 101, "deleted_at": 200, "published_by": "node",
    }}});
    assert_eq!(known.json(), shown);
}

#[test]
fn a_store_grows_no_larger_than_a_push_pull_can_carry() {
    let mut ours = store();
    let mut refused = 0;
    for index in 0..40 {
        let mut big = active(&format!("ingester-{index}"), START);
        big.addr = "x".repeat(1 << 20);
        let message = store().put(RING, desc([big]), START_MS).unwrap().broadcast;
        if let Err(ReceiveError::Codec(CodecError::TooLarge(_))) = ours.receive(message, START_MS) {
            refused += 1;
        }
    }
    assert_eq!(refused, 40 - 19);
    // What is known is still updated.
    let later = store().put(RING, desc([active("ingester-0", START + 1)]), START_MS);
    let taken = ours.receive(later.unwrap().broadcast, START_MS);
    assert!(taken.unwrap().is_some());
    let long = "k".repeat(2000);
    let refused = ours.put(&long, desc([active("a", START)]), START_MS);
    assert!(matches!(refused, Err(StoreError::Refused(_))));
}

/// A record that takes a dozen bytes in a message takes hundreds in memory.
#[test]
fn small_records_fill_a_store_like_large_ones() {
    let mut ours = store();
    let taken = (0..2).filter(|part| {
        let records = (0..50_000).map(|index| {
            let tiny = InstanceDesc {
                timestamp: 1,
                ..InstanceDesc::default()
            };
            (format!("{part}-{index}"), tiny)
        });
        let many = Desc {
            ingesters: records.collect(),
        };
        ours.put(RING, many, START_MS).is_ok()
    });
    assert_eq!(taken.count(), 1);
}

fn any_versions() -> impl Strategy<Value = Versions> {
    let record = (0..3u8, 1..6i64, any::<bool>());
    prop::collection::vec(record, 0..4).prop_map(|records| {
        let records: Vec<(String, i64, bool)> = records
            .into_iter()
            .map(|(id, timestamp, left)| (format!("i{id}"), timestamp, left))
            .collect();
        let borrowed: Vec<_> = records
            .iter()
            .map(|(id, timestamp, left)| (id.as_str(), *timestamp, *left))
            .collect();
        versions(&borrowed)
    })
}

fn any_beacons() -> impl Strategy<Value = Beacons> {
    let record = (0..3u64, 1..5i64, 0..4i64);
    prop::collection::vec(record, 0..4).prop_map(|records| beacons(&records))
}

fn any_seed() -> impl Strategy<Value = UsageStats> {
    (0..3u8, 0..3u8)
        .prop_map(|(uid, second)| seed(&format!("u{uid}"), &format!("2024-05-01T10:00:0{second}Z")))
}

/// Merging is idempotent, commutative and associative, and a change is all
/// that another node needs.
fn check_laws<V: Mergeable + PartialEq + std::fmt::Debug>(a: &V, b: &V, c: &V) {
    let merged = |left: &V, right: &V| {
        let mut left = left.clone();
        left.merge(right.clone());
        left
    };
    assert_eq!(merged(a, b), merged(b, a));
    assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
    let mut known = merged(a, b);
    assert_eq!(known.merge(b.clone()), None);
    let mut ours = a.clone();
    if let Some(change) = ours.merge(b.clone()) {
        assert_eq!(merged(a, &change), ours);
    }
    let decoded = V::decode(&known.encode(), &V::default()).unwrap();
    assert_eq!(decoded, known);
}

proptest! {
    #[test]
    fn versions_obey_the_laws(a in any_versions(), b in any_versions(), c in any_versions()) {
        check_laws(&a, &b, &c);
    }

    #[test]
    fn beacons_obey_the_laws(a in any_beacons(), b in any_beacons(), c in any_beacons()) {
        check_laws(&a, &b, &c);
    }

    #[test]
    fn seeds_obey_the_laws(a in any_seed(), b in any_seed(), c in any_seed()) {
        check_laws(&a, &b, &c);
    }

    /// No bytes under any codec make a store panic, or change what it sends
    /// when it refuses them.
    #[test]
    fn any_value_is_survived(
        codec in prop::sample::select(vec![
            "ringDesc", "versions", "usagestats.jsonCodec", "propagationDelayTracker", "heartbeats",
        ]),
        value in prop::collection::vec(any::<u8>(), 0..128),
        compressed in any::<bool>(),
    ) {
        let value = if compressed {
            snap::raw::Encoder::new().compress_vec(&value).unwrap()
        } else {
            value
        };
        let mut ours = store();
        ours.put(RING, desc([active("a", START)]), START_MS).unwrap();
        let before = ours.full_state();
        for key in [RING, "other"] {
            let pair = KeyValuePair {
                key: key.to_owned(),
                codec: codec.to_owned(),
                value: Bytes::from(value.clone()),
                ..KeyValuePair::default()
            };
            let result = ours.receive(prost::Message::encode_to_vec(&pair).into(), START_MS);
            if !matches!(result, Ok(Some(_))) && key == RING {
                prop_assert_eq!(&ours.full_state(), &before);
            }
        }
    }
}
