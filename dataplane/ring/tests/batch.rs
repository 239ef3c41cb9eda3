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
        ..ReplicationSet::default()
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
    batch.record(1, SERVER);
    let decided = Some(Decision::Failed {
        item: 1,
        error: &"down",
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
fn what_is_refused_waits_for_all_else_and_is_listed() {
    let all = instances(&["a", "b"]);
    let mut batch = Batch::new(vec![set(&all, &[0], 0), set(&all, &[1], 0)]);
    batch.record(1, CLIENT);
    assert_eq!(batch.decision(), None);
    let refused = Outcome::Failed {
        family: Family::Client,
        error: &"limit",
    };
    assert_eq!(batch.outcome(1), refused);
    batch.record(0, Ok(()));
    assert_eq!(batch.decision(), Some(Decision::Refused));
    assert_eq!(batch.refused().collect::<Vec<_>>(), [(1, &"limit")]);
    assert!(batch.has_quorum(0) && !batch.has_quorum(1));
}

#[test]
fn an_item_is_refused_by_its_own_quorum_only() {
    let all = instances(&["a", "b", "c"]);
    let mut batch = Batch::new(vec![set(&all, &[0, 1, 2], 1); 4]);
    batch.record_in_part(0, vec![(1, "a1"), (2, "a2")]);
    batch.record_in_part(1, vec![(2, "b2"), (3, "b3")]);
    assert_eq!(batch.decision(), None);
    batch.record_in_part(2, vec![(1, "c1"), (9, "of nothing")]);
    assert_eq!(batch.decision(), Some(Decision::Refused));
    let refused: Vec<_> = batch.refused().collect();
    assert_eq!(refused, [(1, &"c1"), (2, &"b2")]);
    assert_eq!(batch.outcome(0), Outcome::Success);
    assert_eq!(batch.outcome(3), Outcome::Success);
}

#[test]
fn with_an_instance_that_failed_a_refusal_is_not_final() {
    let all = instances(&["a", "b", "c"]);
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut batch = Batch::new(vec![set(&all, &[0, 1, 2], 1)]);
        for call in order {
            let result = [Ok(()), SERVER, CLIENT][call];
            batch.record(call, result);
        }
        let failed = Decision::Failed {
            item: 0,
            error: &"down",
        };
        assert_eq!(batch.decision(), Some(failed), "{order:?}");
    }
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
        results in vec(0..4_u8, 5),
        order in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let all = instances(&["0", "1", "2", "3", "4"]);
        let sets: Vec<ReplicationSet> = members
            .iter()
            .zip(&spare)
            .map(|(members, &spare)| set(&all, members, spare.min((members.len() - 1) / 2)))
            .collect();
        let mut batch = Batch::new(sets.clone());
        // Each call takes all items, refuses all, fails, or refuses every other one.
        let outcome_of = |addr: &str, item: usize| match results[addr.parse::<usize>().unwrap()] {
            0 => Ok(()),
            1 => CLIENT,
            2 => SERVER,
            _ if item.is_multiple_of(2) => CLIENT,
            _ => Ok(()),
        };
        let mut first = None;
        for addr in order.iter().map(ToString::to_string) {
            let Some(call) = batch.calls().iter().position(|c| c.instance.addr == addr) else {
                continue;
            };
            if results[addr.parse::<usize>().unwrap()] < 3 {
                batch.record(call, outcome_of(&addr, 0));
            } else {
                let refused = |item: &usize| outcome_of(&addr, *item).is_err();
                let items = batch.calls()[call].items.clone().into_iter();
                let items = items.filter(refused).map(|item| (item, "limit"));
                batch.record_in_part(call, items.collect());
            }
            let decision = format!("{:?}", batch.decision());
            if decision != "None" {
                let first = first.get_or_insert_with(|| decision.clone());
                prop_assert_eq!(&*first, &decision, "a decision stands");
            }
        }
        for (item, set) in sets.iter().enumerate() {
            let count = |result| {
                set.instances.iter().filter(|i| outcome_of(&i.addr, item) == result).count()
            };
            let succeeded = batch.outcome(item) == Outcome::Success;
            prop_assert_eq!(succeeded, count(Ok(())) >= set.min_success());
            prop_assert!(batch.outcome(item) != Outcome::Pending);
            let refused = batch.refused().any(|(refused, _)| refused == item);
            let exceed = |result| count(result) > set.max_errors;
            match (exceed(CLIENT), exceed(SERVER)) {
                // What comes first decides.
                (true, true) => {}
                (is_refused, _) => prop_assert_eq!(refused, is_refused),
            }
        }
        let succeeded = |item| batch.outcome(item) == Outcome::Success;
        let refused = batch.refused().count();
        let succeeded = (0..sets.len()).filter(|&item| succeeded(item)).count();
        prop_assert_eq!(batch.decision() == Some(Decision::Success), succeeded == sets.len());
        let is_decided = refused + succeeded == sets.len();
        prop_assert_eq!(matches!(batch.decision(), Some(Decision::Failed { .. })), !is_decided);
    }
}
