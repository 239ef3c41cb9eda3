//! Quorum accounting of batched writes, for any results in any order.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::batch::{Batch, Decision, Family, Outcome};
use pyroscope_ring::{Instance, ReplicationSet, Ring, RingConfig};

/// Instances a, b, c… at one address each.
fn instances(addrs: &[&str]) -> Vec<Arc<Instance>> {
    let desc = Desc {
        ingesters: addrs
            .iter()
            .enumerate()
            .map(|(index, addr)| {
                let instance = InstanceDesc {
                    addr: (*addr).to_owned(),
                    ..InstanceDesc::default()
                };
                (format!("ing-{index}"), instance)
            })
            .collect(),
    };
    Ring::new(&desc, RingConfig::default()).instances().to_vec()
}

fn set(all: &[Arc<Instance>], members: &[usize], max_errors: usize) -> ReplicationSet {
    ReplicationSet {
        instances: members.iter().map(|&at| Arc::clone(&all[at])).collect(),
        max_errors,
        max_unavailable_zones: 0,
    }
}

const CLIENT: Result<(), (Family, &str)> = Err((Family::Client, "limit"));
const SERVER: Result<(), (Family, &str)> = Err((Family::Server, "down"));

#[test]
fn items_are_grouped_by_address() {
    let all = instances(&["a", "b", "c", "d"]);
    let batch: Batch<()> = Batch::new(vec![
        set(&all, &[0, 1, 2], 1),
        set(&all, &[2, 3, 0], 1),
        set(&all, &[1], 0),
    ]);
    let calls: Vec<(&str, &[usize])> = batch
        .calls()
        .iter()
        .map(|call| (call.instance.addr.as_str(), call.items.as_slice()))
        .collect();
    assert_eq!(
        calls,
        [
            ("a", &[0, 1][..]),
            ("b", &[0, 2]),
            ("c", &[0, 1]),
            ("d", &[1])
        ]
    );
}

#[test]
fn no_items_are_a_success() {
    assert_eq!(
        Batch::<()>::new(Vec::new()).decision(),
        Some(Decision::Success)
    );
}

#[test]
fn the_first_item_to_fail_decides_and_the_others_are_still_told() {
    let all = instances(&["a", "b"]);
    let mut batch = Batch::new(vec![
        set(&all, &[0], 0),
        set(&all, &[1], 0),
        set(&all, &[0, 1], 1),
    ]);
    assert_eq!(batch.decision(), None);
    batch.record(1, CLIENT);
    let decided = Some(Decision::Failed {
        item: 1,
        family: Family::Client,
        error: &"limit",
    });
    assert_eq!(batch.decision(), decided);
    assert_eq!(batch.outcome(0), Outcome::Pending);
    assert_eq!(batch.outcome(2), Outcome::Pending);
    batch.record(0, Ok(()));
    assert_eq!(batch.decision(), decided);
    assert_eq!(batch.outcome(0), Outcome::Success);
    assert_eq!(batch.outcome(2), Outcome::Success);
}

#[test]
fn an_error_after_the_quorum_fails_nothing() {
    let all = instances(&["a", "b", "c", "d"]);
    let mut batch = Batch::new(vec![set(&all, &[0, 1, 2], 1), set(&all, &[3], 0)]);
    batch.record(0, Ok(()));
    batch.record(1, Ok(()));
    batch.record(2, SERVER);
    assert_eq!(batch.decision(), None);
    batch.record(3, Ok(()));
    assert_eq!(batch.decision(), Some(Decision::Success));
}

#[test]
fn a_call_counts_once_and_unknown_calls_do_not_count() {
    let all = instances(&["a", "b", "c"]);
    let mut batch: Batch<()> = Batch::new(vec![set(&all, &[0, 1, 2], 1)]);
    batch.record(0, Ok(()));
    batch.record(0, Ok(()));
    batch.record(7, Ok(()));
    assert_eq!(batch.decision(), None);
    batch.record(1, Ok(()));
    assert_eq!(batch.decision(), Some(Decision::Success));
}

#[test]
fn instances_at_one_address_are_one_copy() {
    let all = instances(&["a", "a", "c"]);
    let mut batch = Batch::new(vec![set(&all, &[0, 1, 2], 1)]);
    assert_eq!(batch.calls().len(), 2);
    assert_eq!(batch.calls()[0].items, [0]);
    batch.record(0, Ok(()));
    assert_eq!(batch.decision(), None, "one copy is no quorum of three");
    batch.record(1, SERVER);
    assert!(matches!(
        batch.decision(),
        Some(Decision::Failed { error: &"down", .. })
    ));
}

proptest! {
    #[test]
    fn an_item_succeeds_exactly_when_its_quorum_does(
        members in vec(proptest::sample::subsequence(vec![0_usize, 1, 2, 3, 4], 1..=4), 1..6),
        spare in vec(0..3_usize, 6),
        results in vec(0..3_u8, 5),
        order in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let all = instances(&["0", "1", "2", "3", "4"]);
        let sets: Vec<ReplicationSet> = members
            .iter()
            .zip(&spare)
            .map(|(members, &spare)| set(&all, members, spare.min((members.len() - 1) / 2)))
            .collect();
        let mut batch = Batch::new(sets.clone());
        let outcome_of = |addr: &str| match results[addr.parse::<usize>().unwrap()] {
            0 => Ok(()),
            1 => CLIENT,
            _ => SERVER,
        };
        let mut first = None;
        for addr in order.iter().map(ToString::to_string) {
            let Some(call) = batch.calls().iter().position(|c| c.instance.addr == addr) else {
                continue;
            };
            batch.record(call, outcome_of(&addr));
            let decision = format!("{:?}", batch.decision());
            if decision != "None" {
                let first = first.get_or_insert_with(|| decision.clone());
                prop_assert_eq!(&*first, &decision, "a decision stands");
            }
        }
        for (item, set) in sets.iter().enumerate() {
            let successes = set.instances.iter().filter(|i| outcome_of(&i.addr).is_ok()).count();
            let succeeded = batch.outcome(item) == Outcome::Success;
            prop_assert_eq!(succeeded, successes >= set.min_success());
            prop_assert!(batch.outcome(item) != Outcome::Pending);
        }
        let all_succeeded = (0..sets.len()).all(|item| batch.outcome(item) == Outcome::Success);
        prop_assert_eq!(batch.decision() == Some(Decision::Success), all_succeeded);
    }
}
