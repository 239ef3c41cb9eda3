//! Properties of replica choice, ownership, shuffle shards and read sets.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::{Instance, Op, Ring, RingConfig, RingError, State};

const NOW: i64 = 1_790_000_000;

fn instance(index: usize, tokens: Vec<u32>) -> (String, InstanceDesc) {
    let instance = InstanceDesc {
        addr: format!("10.0.0.{index}:4040"),
        zone: format!("zone-{}", index % 3),
        timestamp: NOW,
        registered_timestamp: NOW - 86_400,
        tokens,
        ..InstanceDesc::default()
    };
    (format!("ing-{index}"), instance)
}

/// Up to ten instances that share distinct random tokens.
fn rings() -> impl Strategy<Value = Desc> {
    (1..10_usize, btree_set(any::<u32>(), 40..120)).prop_map(|(count, tokens)| {
        let mut owned = vec![Vec::new(); count];
        for (at, token) in tokens.into_iter().enumerate() {
            // Mixes neighbours, as the tokens come in order.
            owned[(at * 7 + at / 3) % count].push(token);
        }
        Desc {
            ingesters: owned
                .into_iter()
                .enumerate()
                .map(|(index, tokens)| instance(index, tokens))
                .collect(),
        }
    })
}

fn config(replication_factor: usize, zone_awareness: bool) -> RingConfig {
    RingConfig {
        replication_factor,
        zone_awareness,
        ..RingConfig::default()
    }
}

fn with_states(mut desc: Desc, states: &[(i32, bool)]) -> Desc {
    for (instance, (state, stale)) in desc.ingesters.values_mut().zip(states) {
        instance.state = *state;
        instance.timestamp = if *stale { NOW - 61 } else { NOW };
    }
    desc
}

fn ids<'a>(instances: impl IntoIterator<Item = &'a std::sync::Arc<Instance>>) -> BTreeSet<&'a str> {
    instances.into_iter().map(|i| i.id.as_str()).collect()
}

proptest! {
    #[test]
    fn get_returns_distinct_instances(
        desc in rings(),
        states in vec((0..10_i32, any::<bool>()), 10),
        token in any::<u32>(),
        replication_factor in 1..6_usize,
        zones in any::<bool>(),
    ) {
        let ring = Ring::new(&with_states(desc, &states), config(replication_factor, zones));
        for op in [Op::Write, Op::WriteNoExtend, Op::Read, Op::Reporting] {
            let Ok(set) = ring.get(token, op, NOW) else { continue };
            prop_assert_eq!(ids(&set.instances).len(), set.instances.len());
            prop_assert!(set.instances.iter().all(|i| ring.is_healthy(i, op, NOW)));
            prop_assert!(set.min_success() > replication_factor / 2);
            // A read asks a PENDING instance and one more of its zone.
            if zones && op != Op::Read {
                let zones: BTreeSet<&str> = set.instances.iter().map(|i| i.zone.as_str()).collect();
                prop_assert_eq!(zones.len(), set.instances.len());
            }
        }
    }

    #[test]
    fn ownership_sums_to_one(desc in rings()) {
        let ring = Ring::new(&desc, RingConfig::default());
        let shares = ring.ownership();
        prop_assert_eq!(shares.len(), ring.instances().len());
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
    }

    #[test]
    fn an_instance_more_moves_only_what_it_takes(
        desc in rings(),
        new_tokens in btree_set(any::<u32>(), 1..20),
        token in any::<u32>(),
        replication_factor in 1..4_usize,
    ) {
        let before = Ring::new(&desc, config(replication_factor, false));
        let mut desc = desc;
        let (_, newcomer) = instance(99, new_tokens.into_iter().collect());
        desc.ingesters.insert("new".to_owned(), newcomer);
        let after = Ring::new(&desc, config(replication_factor, false));

        let Ok(old) = before.get(token, Op::Reporting, NOW) else { return Ok(()) };
        let new = after.get(token, Op::Reporting, NOW).unwrap();
        let old_ids = ids(&old.instances);
        let moved: Vec<&str> = ids(&new.instances).difference(&old_ids).copied().collect();
        let is_full = old.instances.len() == replication_factor;
        prop_assert!(moved.is_empty() || moved == ["new"], "{:?}", moved);
        prop_assert!(!is_full || new.instances.len() == replication_factor);
    }

    #[test]
    fn shards_are_as_large_as_asked_and_change_by_one(
        desc in rings(),
        tenant in "[a-z]{1,8}",
        size in 1..6_usize,
    ) {
        let whole = Ring::new(&desc, config(1, false));
        let owners = whole.instances().iter().filter(|i| !i.tokens.is_empty()).count();
        let shard = whole.shuffle_shard(&tenant, size);
        prop_assert_eq!(shard.instances().len(), size.min(owners));

        let mut fewer = desc;
        let gone = fewer.ingesters.pop_last().unwrap().0;
        let rest = Ring::new(&fewer, config(1, false)).shuffle_shard(&tenant, size);
        let kept = ids(shard.instances());
        let lost: Vec<&str> = kept.difference(&ids(rest.instances())).copied().collect();
        prop_assert!(lost.is_empty() || lost == [gone.as_str()], "{:?}", lost);
    }

    #[test]
    fn a_lookback_contains_the_shard(
        desc in rings(),
        ages in vec((0..200_i64, any::<bool>(), 0..200_i64), 10),
        size in 0..6_usize,
    ) {
        let mut desc = desc;
        for (instance, (registered, read_only, changed)) in desc.ingesters.values_mut().zip(ages) {
            instance.registered_timestamp = NOW - registered;
            instance.read_only = read_only;
            instance.read_only_updated_timestamp = if read_only { NOW - changed } else { 0 };
        }
        let ring = Ring::new(&desc, config(1, false));
        let shard = ring.shuffle_shard("tenant", size);
        let past = ring.shuffle_shard_with_lookback("tenant", size, Duration::from_secs(100), NOW);
        prop_assert!(ids(past.instances()).is_superset(&ids(shard.instances())));
    }

    #[test]
    fn a_read_meets_every_acknowledged_write(
        desc in rings(),
        write_states in vec((0..4_i32, any::<bool>()), 10),
        read_states in vec((0..4_i32, any::<bool>()), 10),
        token in any::<u32>(),
        replication_factor in 1..5_usize,
        zones in any::<bool>(),
    ) {
        let config = config(replication_factor, zones);
        let writers = Ring::new(&with_states(desc.clone(), &write_states), config.clone());
        let Ok(write) = writers.get(token, Op::Write, NOW) else { return Ok(()) };
        let readers = Ring::new(&with_states(desc, &read_states), config);
        let Ok(read) = readers.read_set(NOW) else { return Ok(()) };

        let addrs: Vec<&str> = read.addrs().collect();
        prop_assert!(read.is_complete(|_| true));
        for answers in 0..1_u32 << addrs.len() {
            let answered = |addr: &str| {
                addrs.iter().position(|it| *it == addr).is_some_and(|at| answers >> at & 1 == 1)
            };
            if read.is_complete(answered) {
                let missed = write.instances.iter().filter(|i| !answered(&i.addr)).count();
                prop_assert!(missed < write.min_success(), "{:b} of {:?}", answers, addrs);
            }
        }
    }
}

fn three(states: [(State, i64); 3]) -> Ring {
    let mut desc = Desc::default();
    for (index, (state, age)) in states.into_iter().enumerate() {
        let (id, mut instance) = instance(index, vec![index as u32 * 1000]);
        instance.state = state.into();
        instance.timestamp = NOW - age;
        desc.ingesters.insert(id, instance);
    }
    Ring::new(&desc, config(3, false))
}

#[test]
fn owners_are_absent_that_take_no_writes_and_that_nobody_stands_in_for() {
    let absent = |states| {
        let ring = three(states);
        let set = ring.get(500, Op::Write, NOW).unwrap();
        assert_eq!((set.instances.len(), set.max_errors), (2, 0));
        ids(&set.absent)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let well = (State::Active, 0);
    assert_eq!(absent([well, (State::Leaving, 0), well]), ["ing-1"]);
    assert_eq!(absent([well, well, (State::Active, 61)]), ["ing-2"]);
    assert_eq!(absent([(State::Joining, 0), well, well]), ["ing-0"]);
    let well = three([well; 3]).get(500, Op::Write, NOW).unwrap();
    assert_eq!((well.instances.len(), well.absent.len()), (3, 0));
    let mut desc = Desc::default();
    desc.ingesters
        .extend((0..4).map(|i| instance(i, vec![i as u32 * 1000])));
    let leaving = desc.ingesters.get_mut("ing-1").unwrap();
    leaving.state = State::Leaving.into();
    let set = Ring::new(&desc, config(3, false)).get(500, Op::Write, NOW);
    let set = set.unwrap();
    assert_eq!(ids(&set.instances), ["ing-0", "ing-2", "ing-3"].into());
    assert!(set.absent.is_empty(), "another one stands in");
}

#[test]
fn reads_ask_all_that_have_not_left_and_count_stale_ones_as_missed() {
    let all = three([
        (State::Leaving, 0),
        (State::Joining, 0),
        (State::Pending, 60),
    ]);
    let set = all.read_set(NOW).unwrap();
    assert_eq!((set.addrs().count(), set.tolerated()), (3, 1));
    assert!(set.is_complete(|addr| addr != "10.0.0.0:4040"));
    assert!(!set.is_complete(|addr| addr == "10.0.0.0:4040"));

    let one_stale = three([(State::Active, 0), (State::Active, 61), (State::Active, 0)]);
    let set = one_stale.read_set(NOW).unwrap();
    assert_eq!(set.addrs().count(), 2);
    assert!(set.is_complete(|_| true));
    assert!(!set.is_complete(|addr| addr == "10.0.0.0:4040"));

    let two_stale = three([(State::Active, 61), (State::Active, 61), (State::Active, 0)]);
    let error = two_stale.read_set(NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "too many unhealthy instances in the ring, 1 tolerated \
         - unhealthy instances: 10.0.0.0:4040,10.0.0.1:4040"
    );

    let alone = three([(State::Left, 0), (State::Active, 0), (State::Left, 0)]);
    assert!(alone.read_set(NOW).is_err(), "two of three are not known");

    let nobody = Ring::new(&Desc::default(), config(3, false));
    assert_eq!(nobody.read_set(NOW), Err(RingError::Empty));
    assert_eq!(nobody.get(0, Op::Write, NOW), Err(RingError::Empty));
}

/// Instances at these addresses with a zone each, all of them healthy.
fn in_zones(instances: &[(&str, &str)], replication_factor: usize) -> Ring {
    let mut desc = Desc::default();
    for (index, (addr, zone)) in instances.iter().enumerate() {
        let (id, mut instance) = instance(index, vec![index as u32 * 1000]);
        instance.addr = (*addr).to_owned();
        instance.zone = (*zone).to_owned();
        desc.ingesters.insert(id, instance);
    }
    Ring::new(&desc, config(replication_factor, true))
}

#[test]
fn a_read_may_miss_a_whole_zone_but_not_parts_of_two() {
    let six = [
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d", "1"),
        ("e", "2"),
        ("f", "3"),
    ];
    let set = in_zones(&six, 3).read_set(NOW).unwrap();
    assert!(set.is_complete(|addr| addr != "b" && addr != "e"));
    assert!(!set.is_complete(|addr| addr != "b" && addr != "f"));
    let set = in_zones(&[("a", "1"), ("b", "1"), ("c", ""), ("d", "")], 3)
        .read_set(NOW)
        .unwrap();
    assert!(
        !set.is_complete(|addr| addr == "a" || addr == "b"),
        "those without a zone stand alone"
    );
    assert!(set.is_complete(|addr| addr == "c" || addr == "d"));
}

#[test]
fn two_instances_at_one_address_are_one_answer() {
    let set = in_zones(&[("a", ""), ("b", ""), ("b", "")], 3)
        .read_set(NOW)
        .unwrap();
    assert_eq!(set.addrs().collect::<Vec<_>>(), ["a", "b"]);
    assert!(!set.is_complete(|addr| addr == "b"));
    assert!(
        in_zones(&[("a", ""), ("a", ""), ("a", "")], 3)
            .read_set(NOW)
            .is_err()
    );
    assert!(in_zones(&[("a", ""), ("a", "")], 1).read_set(NOW).is_err());
    assert!(in_zones(&[("a", "")], 1).read_set(NOW).is_ok());
    assert!(in_zones(&[("a", ""), ("b", "")], 3).read_set(NOW).is_ok());
    assert!(in_zones(&[("a", ""), ("b", "")], 5).read_set(NOW).is_err());
}

#[test]
fn a_single_token_owns_everything_and_wraps() {
    let mut desc = Desc::default();
    desc.ingesters.extend([instance(0, vec![500])]);
    let ring = Ring::new(&desc, config(1, false));
    assert_eq!(ring.ownership(), [1.0]);
    for token in [0, 499, 500, 501, u32::MAX] {
        assert_eq!(
            ring.get(token, Op::Write, NOW).unwrap().instances[0].id,
            "ing-0"
        );
    }
}

#[test]
fn the_page_shows_states_health_and_ownership() {
    let ring = three([
        (State::Active, 0),
        (State::Leaving, 61),
        (State::Unknown(9), 0),
    ]);
    let status = ring.status(NOW);
    let states: Vec<&str> = status.members.iter().map(|m| m.state.as_str()).collect();
    assert_eq!(states, ["ACTIVE", "UNHEALTHY", "UNKNOWN(9)"]);
    assert_eq!(status.members[1].tokens, [1000]);
    assert_eq!(status.members[1].address, "10.0.0.1:4040");
    assert_eq!(ring.counts(NOW)["UNHEALTHY"], 1);
    assert_eq!(ring.counts(NOW).values().sum::<usize>(), 3);
    assert_eq!(ring.healthy(Op::Write, NOW).count(), 1);
    assert_eq!(ring.instance("ing-2").unwrap().state, State::Unknown(9));
    assert!(ring.instance("ing-3").is_none());
}

#[test]
fn instances_of_excluded_zones_are_not_used() {
    let mut desc = Desc::default();
    desc.ingesters
        .extend((0..6).map(|i| instance(i, vec![i as u32 * 1000])));
    let config = RingConfig {
        excluded_zones: vec!["zone-1".to_owned()],
        ..config(3, false)
    };
    let ring = Ring::new(&desc, config);
    assert_eq!(
        ids(ring.instances()),
        ["ing-0", "ing-2", "ing-3", "ing-5"].into()
    );
}

#[test]
fn a_token_that_two_claim_belongs_to_the_smaller_id() {
    let mut desc = Desc::default();
    desc.ingesters
        .extend([instance(0, vec![500]), instance(1, vec![500])]);
    let ring = Ring::new(&desc, config(1, false));
    assert_eq!(ring.ownership(), [1.0, 0.0]);
    assert_eq!(
        ring.get(7, Op::Write, NOW).unwrap().instances[0].id,
        "ing-0"
    );
}

#[test]
fn a_small_zone_is_in_the_shard_with_all_its_instances() {
    let mut desc = Desc::default();
    // Zones of 2, 1 and 1; the one of zone-1 has no tokens yet.
    desc.ingesters.extend([
        instance(0, vec![10, 40]),
        instance(1, Vec::new()),
        instance(2, vec![20]),
        instance(3, vec![30]),
    ]);
    let shard = Ring::new(&desc, config(1, true)).shuffle_shard("tenant", 3);
    assert_eq!(shard.instances().len(), 3);
    assert!(ids(shard.instances()).is_superset(&["ing-1", "ing-2"].into()));
}

#[test]
fn a_lookback_to_before_the_first_instance_is_the_whole_ring() {
    let mut desc = Desc::default();
    desc.ingesters
        .extend((0..4).map(|i| instance(i, vec![i as u32 * 1000])));
    for instance in desc.ingesters.values_mut() {
        instance.read_only = true;
        instance.read_only_updated_timestamp = NOW - 7200;
    }
    let ring = Ring::new(&desc, config(1, false));
    let two_days = Duration::from_secs(2 * 86_400);
    let shard = ring.shuffle_shard_with_lookback("tenant", 1, two_days, NOW);
    assert_eq!(shard.instances().len(), 4);
    let hour = Duration::from_secs(3600);
    let shard = ring.shuffle_shard_with_lookback("tenant", 1, hour, NOW);
    assert!(shard.instances().is_empty());
    // Read-only since nobody knows when: it may hold what is looked for.
    for instance in desc.ingesters.values_mut() {
        instance.read_only_updated_timestamp = 0;
    }
    let ring = Ring::new(&desc, config(1, false));
    let shard = ring.shuffle_shard_with_lookback("tenant", 1, hour, NOW);
    assert_eq!(shard.instances().len(), 4);
    let without = ring.shuffle_shard_with_lookback("tenant", 1, Duration::ZERO, NOW);
    assert!(without.instances().is_empty());
}
