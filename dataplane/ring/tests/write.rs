//! Writes with retries and hand-offs, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::batch::{Batch, Decision, Family};
use pyroscope_ring::write::{Step, Write, WriteTimes};
use pyroscope_ring::{Instance, ReplicationSet, Ring, RingConfig};

const TIMES: WriteTimes = WriteTimes {
    deadline: Duration::from_millis(5000),
    hedge: Duration::from_millis(250),
    first_backoff: Duration::from_millis(50),
    longest_backoff: Duration::from_millis(400),
};

type Answer = Result<(), (Family, &'static str)>;
const DOWN: Answer = Err((Family::Server, "down"));
const LIMIT: Answer = Err((Family::Client, "limit"));

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn instances(count: usize) -> Vec<Arc<Instance>> {
    let instance = |index: usize| InstanceDesc {
        addr: format!("addr-{index}"),
        ..InstanceDesc::default()
    };
    let desc = Desc {
        ingesters: (0..count)
            .map(|index| (format!("ing-{index}"), instance(index)))
            .collect(),
    };
    Ring::new(&desc, RingConfig::default()).instances().to_vec()
}

fn set(members: &[usize], max_errors: usize) -> ReplicationSet {
    let all = instances(5);
    ReplicationSet {
        instances: members.iter().map(|&at| Arc::clone(&all[at])).collect(),
        max_errors,
        ..ReplicationSet::default()
    }
}

/// One item on three instances.
fn three(held: &[usize]) -> Write<&'static str> {
    let batch = Batch::new(vec![set(&[0, 1, 2], 1)]);
    Write::new(batch, |call| held.contains(&call), TIMES, ms(0))
}

fn steps(write: &mut Write<&'static str>, now: Duration) -> Vec<Step> {
    std::iter::from_fn(|| write.poll(now)).collect()
}

#[test]
fn a_replica_that_fails_after_the_decision_is_handed_off() {
    let mut write = three(&[]);
    assert_eq!(
        steps(&mut write, ms(0)),
        [Step::Call(0), Step::Call(1), Step::Call(2)]
    );
    write.answered(0, Ok(()), ms(1));
    write.answered(2, Ok(()), ms(2));
    assert_eq!(write.decision(), Some(Decision::Success));
    assert_eq!(steps(&mut write, ms(2)), []);
    assert_eq!(write.next_timeout(), None);
    write.answered(1, DOWN, ms(5000));
    assert_eq!(steps(&mut write, ms(5000)), [Step::HandOff(1)]);
    assert_eq!(steps(&mut write, ms(5000)), []);
}

#[test]
fn a_replica_that_takes_no_part_is_handed_off_what_the_others_took() {
    let all = instances(5);
    let sets = [(&[0, 1][..], 2), (&[1, 3], 0)].map(|(members, absent)| ReplicationSet {
        absent: vec![Arc::clone(&all[absent])],
        ..set(members, 0)
    });
    let batch = batch_of(&sets);
    let calls: Vec<_> = batch.calls().iter().map(|call| &*call.items).collect();
    // Whoever takes part in one item is not taken for absent in another.
    assert_eq!(calls, [&[0][..], &[0, 1], &[1], &[0]]);
    for fails in [false, true] {
        let mut write = Write::new(batch_of(&sets), |_| false, TIMES, ms(0));
        assert_eq!(
            steps(&mut write, ms(0)),
            [Step::Call(0), Step::Call(1), Step::Call(2)]
        );
        for call in 0..3 {
            let answer = match fails {
                true => Err((Family::Client, "limit")),
                false => Ok(()),
            };
            write.answered(call, answer, ms(1));
        }
        let rest = steps(&mut write, ms(1));
        assert_eq!(rest.is_empty(), fails, "{rest:?}");
        assert_eq!(rest.contains(&Step::HandOff(3)), !fails);
        assert_eq!(write.next_timeout(), None);
    }
}

fn batch_of(sets: &[ReplicationSet]) -> Batch<&'static str> {
    Batch::new(sets.to_vec())
}

#[test]
fn a_replica_is_tried_again_while_it_can_change_the_outcome() {
    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.answered(0, Ok(()), ms(1));
    write.answered(1, DOWN, ms(1));
    write.answered(2, DOWN, ms(1));
    assert_eq!(write.decision(), None, "both may come back");
    assert_eq!(steps(&mut write, ms(50)), []);
    assert_eq!(write.next_timeout(), Some(ms(51)));
    assert_eq!(steps(&mut write, ms(51)), [Step::Call(1), Step::Call(2)]);
    write.answered(1, DOWN, ms(60));
    assert_eq!(write.next_timeout(), Some(ms(160)), "the pause doubles");
    write.answered(2, Ok(()), ms(70));
    assert_eq!(write.decision(), Some(Decision::Success));
    assert_eq!(steps(&mut write, ms(70)), [Step::HandOff(1)]);
}

#[test]
fn without_a_quorum_a_write_fails_at_its_deadline_and_hands_nothing_off() {
    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.answered(0, Ok(()), ms(1));
    let mut now = ms(1);
    let mut attempts = 0;
    while write.decision().is_none() {
        for call in [1, 2] {
            write.answered(call, DOWN, now);
        }
        now = write.next_timeout().expect("it goes on");
        attempts += steps(&mut write, now).len();
    }
    assert_eq!(now, ms(5000));
    assert!((10..100).contains(&attempts), "{attempts}");
    assert!(matches!(
        write.decision(),
        Some(Decision::Failed { error: &"down", .. })
    ));
    assert_eq!(steps(&mut write, now), []);
}

#[test]
fn a_refusal_is_not_tried_again_nor_handed_off() {
    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.answered(0, LIMIT, ms(1));
    write.answered(1, Ok(()), ms(1));
    write.answered(2, Ok(()), ms(1));
    assert_eq!(write.decision(), Some(Decision::Success));
    assert_eq!(steps(&mut write, ms(1)), []);

    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.answered(0, LIMIT, ms(1));
    write.answered(1, LIMIT, ms(1));
    assert_eq!(write.decision(), Some(Decision::Refused));
    write.answered(2, DOWN, ms(2));
    assert_eq!(steps(&mut write, ms(2)), [], "nothing was taken");
}

#[test]
fn what_is_refused_in_part_is_taken_and_handed_off_in_part() {
    let batch = Batch::new(vec![set(&[0, 1, 2], 1), set(&[0, 1, 2], 1)]);
    let mut write = Write::new(batch, |_| false, TIMES, ms(0));
    steps(&mut write, ms(0));
    write.took_in_part(0, vec![(1, "limit")]);
    write.answered(2, DOWN, ms(1));
    assert_eq!(write.decision(), None);
    write.took_in_part(1, vec![(1, "limit")]);
    assert_eq!(write.decision(), Some(Decision::Refused));
    let refused: Vec<_> = write.batch().refused().collect();
    assert_eq!(refused, [(1, &"limit")]);
    assert_eq!(steps(&mut write, ms(1)), [Step::HandOff(2)]);
    write.took_in_part(0, vec![(0, "late")]);
    assert!(write.batch().has_quorum(0));
}

#[test]
fn a_held_replica_costs_nothing_while_the_others_make_a_quorum() {
    let mut write = three(&[1]);
    assert_eq!(steps(&mut write, ms(0)), [Step::Call(0), Step::Call(2)]);
    write.answered(0, Ok(()), ms(1));
    write.answered(2, Ok(()), ms(1));
    assert_eq!(steps(&mut write, ms(1)), [Step::HandOff(1)]);
}

#[test]
fn a_held_replica_is_called_when_it_is_needed_or_when_time_passes() {
    let mut write = three(&[1]);
    steps(&mut write, ms(0));
    write.answered(0, DOWN, ms(1));
    assert_eq!(steps(&mut write, ms(1)), [Step::Call(1)]);

    let mut write = three(&[1]);
    steps(&mut write, ms(0));
    assert_eq!(write.next_timeout(), Some(ms(250)));
    assert_eq!(steps(&mut write, ms(250)), [Step::Call(1)]);

    let mut write = three(&[0, 1, 2]);
    assert_eq!(
        steps(&mut write, ms(0)),
        [Step::Call(0), Step::Call(1)],
        "a quorum of those that are held"
    );
}

#[test]
fn what_had_no_room_fails_at_once_and_is_handed_off_if_the_others_suffice() {
    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.missed(0, "full");
    assert_eq!(write.decision(), None);
    write.answered(1, Ok(()), ms(1));
    write.answered(2, Ok(()), ms(1));
    assert_eq!(steps(&mut write, ms(1)), [Step::HandOff(0)]);

    let mut write = three(&[]);
    steps(&mut write, ms(0));
    write.missed(0, "full");
    write.missed(1, "full");
    assert!(matches!(write.decision(), Some(Decision::Failed { .. })));
}

/// How an instance answers: after so many milliseconds, in turn; the last
/// answer stays.
#[derive(Clone, Debug)]
struct Script(Vec<(u64, Answer)>);

fn script() -> impl Strategy<Value = Script> {
    let answer = (
        0..3000_u64,
        prop_oneof![Just(Ok(())), Just(DOWN), Just(LIMIT)],
    );
    vec(answer, 1..4).prop_map(Script)
}

proptest! {
    #[test]
    fn every_replica_has_one_fate(
        members in vec(proptest::sample::subsequence(vec![0_usize, 1, 2, 3, 4], 1..=5), 1..4),
        scripts in vec(script(), 5),
        held in vec(any::<bool>(), 5),
    ) {
        let sets: Vec<ReplicationSet> =
            members.iter().map(|members| set(members, (members.len() - 1) / 2)).collect();
        let batch = Batch::new(sets);
        let names: Vec<usize> = batch
            .calls()
            .iter()
            .map(|call| call.instance.addr.trim_start_matches("addr-").parse().unwrap())
            .collect();
        let mut write = Write::new(batch, |call| held[names[call]], TIMES, ms(0));
        let mut running: BTreeMap<(Duration, usize), Answer> = BTreeMap::new();
        let mut attempts = vec![0; names.len()];
        let mut took = vec![false; names.len()];
        let mut refused = vec![false; names.len()];
        let mut handed_off = vec![false; names.len()];
        let mut now = ms(0);
        loop {
            while let Some(step) = write.poll(now) {
                match step {
                    Step::Call(call) => {
                        prop_assert!(write.decision().is_none(), "no call after the decision");
                        prop_assert!(!running.keys().any(|(_, other)| *other == call));
                        let Script(script) = &scripts[names[call]];
                        let (after, answer) = script[attempts[call].min(script.len() - 1)];
                        attempts[call] += 1;
                        prop_assert!(attempts[call] < 100, "attempts are bounded");
                        running.insert((now + ms(after), call), answer);
                    }
                    Step::HandOff(call) => {
                        let decision = write.decision();
                        let kept = [Some(Decision::Success), Some(Decision::Refused)];
                        prop_assert!(kept.contains(&decision), "{:?}", decision);
                        let batch = write.batch();
                        let items = &batch.calls()[call].items;
                        prop_assert!(items.iter().any(|&item| batch.has_quorum(item)));
                        prop_assert!(!handed_off[call], "handed off once");
                        handed_off[call] = true;
                    }
                }
            }
            let timeout = write.next_timeout();
            prop_assert!(timeout.is_none_or(|at| at > now), "no busy loop");
            let answer = running.keys().next().copied();
            match (timeout, answer) {
                (None, None) => break,
                (Some(at), answer) if answer.is_none_or(|(then, _)| at < then) => now = at,
                (_, Some((then, call))) => {
                    now = then;
                    let answer = running.remove(&(then, call)).unwrap();
                    took[call] |= answer.is_ok();
                    refused[call] |= answer == LIMIT;
                    write.answered(call, answer, now);
                }
                (Some(_), None) => unreachable!(),
            }
            prop_assert!(now <= TIMES.deadline + ms(3000));
        }
        prop_assert!(write.decision().is_some(), "every write ends");
        if write.decision() == Some(Decision::Success) {
            for call in 0..names.len() {
                let fates = [took[call], refused[call], handed_off[call]];
                prop_assert_eq!(fates.iter().filter(|fate| **fate).count(), 1, "{:?}", fates);
            }
        } else if let Some(Decision::Failed { .. }) = write.decision() {
            prop_assert!(handed_off.iter().all(|handed_off| !handed_off));
        }
    }
}
