//! Views of a ring over time: what is shared, and that it is right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::{Op, Ring, RingConfig, State, desc};

const NOW: i64 = 1_790_000_000;

fn config(replication_factor: usize, zone_awareness: bool) -> RingConfig {
    RingConfig {
        replication_factor,
        zone_awareness,
        ..RingConfig::default()
    }
}

fn instance(index: usize, tokens: Vec<u32>) -> (String, InstanceDesc) {
    let instance = InstanceDesc {
        addr: format!("10.0.0.{index}:4040"),
        timestamp: NOW,
        registered_timestamp: NOW - 86_400,
        zone: format!("zone-{}", index % 3),
        tokens,
        ..InstanceDesc::default()
    };
    (format!("ing-{index}"), instance)
}

fn rings() -> impl Strategy<Value = Desc> {
    let tokens = proptest::collection::btree_set(any::<u32>(), 1..8);
    proptest::collection::vec(tokens, 1..12).prop_map(|all| {
        let mut taken = BTreeSet::new();
        let own = |(index, mut tokens): (usize, BTreeSet<u32>)| {
            tokens.retain(|token| taken.insert(*token));
            instance(index, tokens.into_iter().collect())
        };
        Desc {
            ingesters: all.into_iter().enumerate().map(own).collect(),
        }
    })
}

/// One change of one instance of a ring.
fn change() -> impl Strategy<Value = (usize, u8, u32)> {
    (0..12_usize, 0..8_u8, any::<u32>())
}

fn apply(desc: &mut Desc, (index, what, number): (usize, u8, u32)) {
    let id = format!("ing-{index}");
    if what == 6 {
        desc.ingesters.remove(&id);
        return;
    }
    let entry = desc.ingesters.entry(id).or_default();
    match what {
        0 | 1 => entry.timestamp += 5,
        2 => entry.state = (number % 6) as i32,
        3 => entry.tokens = vec![number],
        4 => entry.zone = format!("zone-{}", number % 3),
        5 => entry.read_only = !entry.read_only,
        _ => entry.addr = number.to_string(),
    }
}

fn assert_same(view: &Ring, fresh: &Ring) {
    assert_eq!(view.instances(), fresh.instances());
    assert_eq!(view.ownership(), fresh.ownership());
    assert_eq!(view.token_count(), fresh.token_count());
    for token in [0, 1 << 30, u32::MAX] {
        let ids = |ring: &Ring| ring.get(token, Op::Write, NOW);
        assert_eq!(ids(view), ids(fresh));
    }
    let shard = |ring: &Ring| ring.shuffle_shard("tenant", 3).instances().to_vec();
    assert_eq!(shard(view), shard(fresh));
}

proptest! {
    /// A view that followed every change is the view of the last value, and so
    /// is a shard that was refreshed.
    #[test]
    fn an_updated_view_is_the_new_view(
        mut desc in rings(),
        changes in proptest::collection::vec(change(), 0..12),
        zones in any::<bool>(),
    ) {
        let mut view = Ring::new(&desc, config(3, zones));
        let mut shard = view.shuffle_shard("tenant", 3);
        for change in changes {
            apply(&mut desc, change);
            let next = view.updated(&desc);
            assert_same(&next, &Ring::new(&desc, config(3, zones)));
            shard = if next.shares_table_with(&view) {
                shard.refreshed(&next)
            } else {
                next.shuffle_shard("tenant", 3)
            };
            assert_same(&shard, &next.shuffle_shard("tenant", 3));
            view = next;
        }
    }

    /// An instance that leaves gives its keys away and moves no others: each
    /// key's replicas are the old ones without it and at most one new one.
    #[test]
    fn an_instance_less_moves_only_what_it_had(
        desc in rings(),
        gone in 0..12_usize,
        keys in proptest::collection::vec(any::<u32>(), 1..20),
    ) {
        let mut after = desc.clone();
        let gone = format!("ing-{gone}");
        after.ingesters.remove(&gone);
        let replicas = |desc: &Desc, key| -> BTreeSet<String> {
            let set = Ring::new(desc, config(3, false)).get(key, Op::Reporting, NOW);
            let instances = set.map(|set| set.instances).unwrap_or_default();
            instances.iter().map(|one| one.id.clone()).collect()
        };
        for key in keys {
            let (old, new) = (replicas(&desc, key), replicas(&after, key));
            if old.is_empty() || new.is_empty() {
                continue;
            }
            let mut kept = old.clone();
            kept.remove(&gone);
            prop_assert!(new.is_superset(&kept), "{old:?} {new:?}");
            prop_assert!(new.difference(&kept).count() <= usize::from(old.contains(&gone)));
        }
    }

    /// With zones on, the replicas that a write relies on are in as many zones
    /// as there are, up to the replication factor.
    #[test]
    fn replicas_are_spread_over_zones(
        desc in rings(),
        leaving in proptest::collection::vec(any::<bool>(), 12),
        key in any::<u32>(),
    ) {
        let mut desc = desc;
        for (entry, leaves) in desc.ingesters.values_mut().zip(&leaving) {
            entry.state = if *leaves { State::Leaving.into() } else { State::Active.into() };
        }
        let ring = Ring::new(&desc, config(3, true));
        let zones_with = |active: bool| -> BTreeSet<&str> {
            desc.ingesters
                .values()
                .filter(|one| !active || State::of(one) == State::Active)
                .filter(|one| !one.tokens.is_empty())
                .map(|one| one.zone.as_str())
                .collect()
        };
        match ring.get(key, Op::Write, NOW) {
            Ok(set) => {
                let used: BTreeSet<&str> = set.instances.iter().map(|one| one.zone.as_str()).collect();
                prop_assert_eq!(used.len(), set.instances.len(), "two in one zone");
                prop_assert_eq!(used, zones_with(true));
                prop_assert_eq!(set.min_success(), 2);
            }
            Err(_) => prop_assert!(zones_with(true).len() < 2),
        }
    }

    /// Whoever joined with which tokens: once every node has heard every
    /// record, all nodes see the same owners, each token has one, and what
    /// owners then repeat changes nothing of it.
    #[test]
    fn no_token_has_two_owners_after_convergence(
        claims in proptest::collection::vec((proptest::collection::btree_set(0..24_u32, 0..6), 0..5_i32, 0..3_i64), 2..6),
        order in any::<proptest::sample::Index>(),
    ) {
        let records: Vec<(String, InstanceDesc)> = claims
            .iter()
            .enumerate()
            .map(|(index, (tokens, state, age))| {
                let record = InstanceDesc {
                    timestamp: NOW - age,
                    state: *state,
                    tokens: tokens.iter().copied().collect(),
                    ..InstanceDesc::default()
                };
                (format!("ing-{index}"), record)
            })
            .collect();
        let heard = |start: usize| {
            let mut value = Desc::default();
            for index in 0..records.len() {
                let (id, record) = &records[(start + index) % records.len()];
                desc::put(&mut value, id, record.clone());
            }
            value
        };
        let (mut first, mut second) = (heard(0), heard(order.index(records.len())));
        // Each owner repeats what its own node gives it, and everybody hears it.
        for (id, _) in &records {
            let mut own = first.ingesters[id].clone();
            own.timestamp = NOW + 1;
            desc::put(&mut first, id, own.clone());
            desc::put(&mut second, id, own);
        }
        prop_assert_eq!(&first, &second);
        let mut owners: BTreeMap<u32, &str> = BTreeMap::new();
        for (id, record) in desc::live(&first) {
            for token in &record.tokens {
                prop_assert!(owners.insert(*token, id).is_none(), "token {} twice", token);
            }
        }
    }
}

#[test]
fn heartbeats_and_states_share_the_table() {
    let mut desc = Desc {
        ingesters: (0..3).map(|i| instance(i, vec![i as u32 * 100])).collect(),
    };
    let first = Ring::new(&desc, config(3, false));
    let entry = desc.ingesters.get_mut("ing-1").unwrap();
    entry.timestamp += 5;
    entry.state = State::Leaving.into();
    let second = first.updated(&desc);
    assert!(second.shares_table_with(&first));
    assert!(std::sync::Arc::ptr_eq(
        &first.instances()[0],
        &second.instances()[0]
    ));
    assert!(std::sync::Arc::ptr_eq(
        &first.instances()[1].tokens,
        &second.instances()[1].tokens
    ));
    assert_eq!(second.instance("ing-1").unwrap().state, State::Leaving);
    desc.ingesters.get_mut("ing-1").unwrap().tokens.push(101);
    assert!(!second.updated(&desc).shares_table_with(&second));
}

#[test]
fn a_write_past_a_leaving_instance_needs_the_quorum_of_the_replication_factor() {
    let mut desc = Desc {
        ingesters: (0..5).map(|i| instance(i, vec![i as u32 * 100])).collect(),
    };
    desc.ingesters.get_mut("ing-1").unwrap().state = State::Leaving.into();
    let set = Ring::new(&desc, config(3, false))
        .get(50, Op::Write, NOW)
        .unwrap();
    let ids: Vec<&str> = set.instances.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["ing-2", "ing-3", "ing-4"]);
    assert_eq!((set.min_success(), set.max_errors), (2, 1));
}

#[test]
fn without_a_timeout_no_heartbeat_is_stale() {
    let mut desc = Desc {
        ingesters: [instance(0, vec![1])].into(),
    };
    desc.ingesters.get_mut("ing-0").unwrap().timestamp = 1;
    let never = RingConfig {
        heartbeat_timeout: Duration::ZERO,
        ..config(1, false)
    };
    assert_eq!(Ring::new(&desc, never).healthy(Op::Write, NOW).count(), 1);
    assert_eq!(
        Ring::new(&desc, config(1, false))
            .healthy(Op::Write, NOW)
            .count(),
        0
    );
}

#[test]
fn with_zones_each_zone_owns_every_key() {
    let desc = Desc {
        ingesters: (0..3).map(|i| instance(i, vec![i as u32])).collect(),
    };
    assert_eq!(
        Ring::new(&desc, config(3, true)).ownership(),
        [1.0, 1.0, 1.0]
    );
    let whole: f64 = Ring::new(&desc, config(3, false)).ownership().iter().sum();
    assert!((whole - 1.0).abs() < 1e-9);
}
