//! The algebra of merging descriptors, and where it ends.

use proptest::collection::btree_map;
use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::{State, desc};

/// A record that is a function of id, timestamp and whether it is a tombstone,
/// as when each instance writes its own entry and dates every change. Tokens
/// are the instance's own, so that none are in conflict.
fn record(id: u32, seconds: u32, left: bool) -> InstanceDesc {
    let state = match seconds % 5 {
        _ if left => State::Left,
        4 => State::Unknown(9),
        number => State::from(number as i32),
    };
    InstanceDesc {
        id: format!("i{id}"),
        addr: format!("10.0.0.{id}:{seconds}"),
        timestamp: seconds.into(),
        state: state.into(),
        tokens: if left {
            Vec::new()
        } else {
            (0..seconds % 7)
                .map(|n| id * 1000 + seconds * 10 + n)
                .collect()
        },
        ..InstanceDesc::default()
    }
}

fn descriptors() -> impl Strategy<Value = Desc> {
    btree_map(0..5_u32, (1..6_u32, any::<bool>()), 0..5).prop_map(|entries| Desc {
        ingesters: entries
            .into_iter()
            .map(|(id, (seconds, left))| (format!("i{id}"), record(id, seconds, left)))
            .collect(),
    })
}

/// Records that a faulty or hostile peer might send.
fn wild_descriptors() -> impl Strategy<Value = Desc> {
    let instance = (
        any::<i32>(),
        prop_oneof![0..4_i64, any::<i64>()],
        proptest::collection::vec(0..8_u32, 0..6),
        0..6_i32,
    );
    btree_map("[abc]", instance, 0..4).prop_map(|entries| Desc {
        ingesters: entries
            .into_iter()
            .map(|(id, (wild, timestamp, tokens, state))| {
                let instance = InstanceDesc {
                    timestamp,
                    tokens,
                    state: if state == 5 { wild } else { state },
                    ..InstanceDesc::default()
                };
                (id, instance)
            })
            .collect(),
    })
}

fn merged(mut local: Desc, incoming: &Desc) -> Desc {
    desc::merge(&mut local, incoming.clone());
    local
}

proptest! {
    #[test]
    fn commutes(a in descriptors(), b in descriptors()) {
        prop_assert_eq!(merged(a.clone(), &b), merged(b, &a));
    }

    #[test]
    fn associates(a in descriptors(), b in descriptors(), c in descriptors()) {
        let left = merged(merged(a.clone(), &b), &c);
        let right = merged(a, &merged(b, &c));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn a_second_time_changes_nothing(a in wild_descriptors(), b in wild_descriptors()) {
        let mut local = merged(Desc::default(), &a);
        desc::merge(&mut local, b.clone());
        let once = local.clone();
        prop_assert_eq!(desc::merge(&mut local, b), None);
        prop_assert_eq!(local, once);
    }

    #[test]
    fn the_change_carries_as_much_as_the_whole(a in descriptors(), b in descriptors(), c in descriptors()) {
        // A third node that had what `a` had gets there by the change alone.
        let mut local = a.clone();
        let change = desc::merge(&mut local, b);
        let relayed = change.map_or_else(|| a.clone(), |change| merged(a.clone(), &change));
        prop_assert_eq!(&relayed, &local);
        prop_assert_eq!(merged(relayed, &c), merged(local, &c));
    }

    #[test]
    fn tokens_have_one_owner_after_a_merge(a in wild_descriptors(), b in wild_descriptors()) {
        let local = merged(merged(Desc::default(), &a), &b);
        let mut tokens: Vec<u32> = Vec::new();
        for instance in local.ingesters.values() {
            prop_assert!(instance.tokens.is_sorted());
            prop_assert!(State::of(instance) != State::Left || instance.tokens.is_empty());
            tokens.extend(&instance.tokens);
        }
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        prop_assert_eq!(tokens.len(), count);
    }

    #[test]
    fn a_local_removal_beats_the_record_it_removes(a in descriptors(), now in 0..10_i64) {
        let mut local = a.clone();
        desc::merge_local(&mut local, Desc::default(), now);
        for instance in local.ingesters.values() {
            prop_assert_eq!(State::of(instance), State::Left);
        }
        prop_assert_eq!(desc::merge(&mut local, a), None);
    }
}

fn one(id: &str, timestamp: i64, state: State, tokens: &[u32]) -> Desc {
    let instance = InstanceDesc {
        timestamp,
        state: state.into(),
        tokens: tokens.to_vec(),
        ..InstanceDesc::default()
    };
    Desc {
        ingesters: [(id.to_owned(), instance)].into(),
    }
}

#[test]
fn a_token_lost_in_a_conflict_stays_lost_until_the_next_heartbeat() {
    let a1 = one("a", 1, State::Active, &[3]);
    let a3 = one("a", 3, State::Active, &[7]);
    let b2 = one("b", 2, State::Active, &[3, 9]);
    let met = merged(merged(a1.clone(), &b2), &a3);
    let never_met = merged(b2, &merged(a1, &a3));
    assert_eq!(met.ingesters["b"].tokens, [9]);
    assert_eq!(never_met.ingesters["b"].tokens, [3, 9]);

    let heartbeat = one("b", 4, State::Active, &[3, 9]);
    assert_eq!(merged(met, &heartbeat), merged(never_met, &heartbeat));
}

#[test]
fn the_first_of_two_records_of_the_same_second_stays() {
    let leaving = one("a", 2, State::Leaving, &[3]);
    let active = one("a", 2, State::Active, &[3]);
    assert_eq!(merged(leaving.clone(), &active), leaving);
    assert_eq!(merged(active.clone(), &leaving), active);
}

#[test]
fn unknown_states_are_relayed_and_never_read_as_active() {
    let mut local = Desc::default();
    let change = desc::merge(&mut local, one("a", 1, State::Unknown(9), &[3])).unwrap();
    assert_eq!(change.ingesters["a"].state, 9);
    assert_eq!(State::of(&local.ingesters["a"]), State::Unknown(9));
    assert_eq!(State::of(&local.ingesters["a"]).to_string(), "UNKNOWN(9)");
}

#[test]
fn tombstones_are_hidden_kept_for_a_while_and_then_dropped() {
    let mut ring = merged(
        one("a", 5, State::Active, &[3]),
        &one("b", 5, State::Active, &[4]),
    );
    let change = desc::forget(&mut ring, "a", 10).unwrap();
    assert_eq!(change, one("a", 10, State::Left, &[]));
    assert_eq!(desc::forget(&mut ring, "a", 11), None, "has left already");
    assert_eq!(desc::forget(&mut ring, "c", 11), None, "is not there");

    assert_eq!(
        desc::without_tombstones(&ring),
        one("b", 5, State::Active, &[4])
    );
    assert_eq!(desc::tokens(&ring), [4].into());
    assert_eq!(desc::expire_tombstones(&mut ring, 10), 0);
    assert_eq!(desc::expire_tombstones(&mut ring, 11), 1);
    assert_eq!(ring, one("b", 5, State::Active, &[4]));
}
