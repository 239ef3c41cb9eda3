//! Who is forgotten, and when nobody is.

use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_ring::{AutoForget, AutoForgetConfig, Now, Verdict, desc};

const START: i64 = 1_790_000_000;

fn rule(most_unhealthy: Option<usize>) -> AutoForget {
    AutoForget::new(AutoForgetConfig {
        period: Duration::from_secs(600),
        heartbeat_timeout: Duration::from_secs(60),
        most_unhealthy,
    })
}

fn at(seconds: i64) -> Now {
    Now {
        unix: START + seconds,
        monotonic: Duration::from_secs(seconds.unsigned_abs()),
    }
}

/// A ring of members with these last heartbeats, in seconds from the start.
fn ring(heartbeats: &[(&str, i64)]) -> Desc {
    let member = |&(id, heartbeat): &(&str, i64)| {
        let instance = InstanceDesc {
            timestamp: START + heartbeat,
            tokens: vec![1],
            ..InstanceDesc::default()
        };
        (id.to_owned(), instance)
    };
    Desc {
        ingesters: heartbeats.iter().map(member).collect(),
    }
}

/// Looks at an unchanged ring every five seconds, and finds nobody to forget.
fn look(rule: &mut AutoForget, members: &Desc, seconds: RangeInclusive<i64>) {
    for second in seconds.step_by(5) {
        let verdict = rule.due(members, "a", at(second));
        assert_eq!(verdict.forget, Vec::<String>::new(), "after {second} s");
    }
}

fn forgets(ids: &[&str]) -> Verdict {
    Verdict {
        forget: ids.iter().map(|&id| id.to_owned()).collect(),
        held_back: 0,
    }
}

#[test]
fn a_member_that_stands_still_for_the_period_is_forgotten() {
    let mut rule = rule(Some(1));
    let dead = |now| ring(&[("a", now), ("b", 0)]);
    look(&mut rule, &dead(600), 0..=600);
    let verdict = rule.due(&dead(601), "a", at(601));
    assert_eq!(verdict, forgets(&["b"]));

    let tombstones = desc::tombstones(&dead(601), &verdict.forget, START + 601);
    assert_eq!(tombstones.ingesters["b"].state, InstanceState::Left as i32);
    let mut value = dead(601);
    assert!(desc::merge(&mut value, tombstones.clone()).is_some());
    assert!(
        desc::tombstones(&value, &verdict.forget, START + 602)
            .ingesters
            .is_empty()
    );
    assert_eq!(rule.due(&value, "a", at(602)), forgets(&[]));
    assert_eq!(
        desc::merge(&mut value, tombstones),
        None,
        "everybody who forgets agrees"
    );
}

#[test]
fn a_process_that_has_just_started_has_seen_nobody_stand_still() {
    let mut rule = rule(Some(1));
    let dead = ring(&[("a", 5000), ("b", 0)]);
    look(&mut rule, &dead, 5000..=5599);
    assert_eq!(rule.due(&dead, "a", at(5600)), forgets(&["b"]));
}

#[test]
fn a_jump_of_the_wall_clock_forgets_nobody() {
    let mut rule = rule(None);
    let members = ring(&[("a", 0), ("b", 0), ("c", 0)]);
    assert_eq!(rule.due(&members, "a", at(0)), forgets(&[]));
    let jumped = Now {
        unix: START + 1_000_000,
        monotonic: Duration::from_secs(5),
    };
    assert_eq!(rule.due(&members, "a", jumped), forgets(&[]));
}

/// Its monotonic clock goes on while it is frozen, and it looks before it has
/// heard anything.
#[test]
fn a_process_that_was_stopped_forgets_nobody() {
    let mut rule = rule(None);
    let members = ring(&[("a", 0), ("b", 0)]);
    look(&mut rule, &members, 0..=10);
    assert_eq!(rule.due(&members, "a", at(5000)), forgets(&[]));
    let heard = ring(&[("a", 5000), ("b", 5001)]);
    assert_eq!(rule.due(&heard, "a", at(5005)), forgets(&[]));
    let dead = ring(&[("a", 5605), ("b", 5001)]);
    look(&mut rule, &dead, 5010..=5600);
    assert_eq!(rule.due(&dead, "a", at(5605)), forgets(&["b"]));
}

#[test]
fn a_process_that_is_cut_off_forgets_nobody() {
    let mut rule = rule(Some(1));
    let members = ring(&[("a", 0), ("b", 0), ("c", 0)]);
    look(&mut rule, &members, 0..=699);
    let verdict = rule.due(&members, "a", at(700));
    assert_eq!((verdict.forget.len(), verdict.held_back), (0, 2));
}

#[test]
fn one_that_is_unhealthy_keeps_one_that_is_dead() {
    let mut rule = rule(Some(1));
    let members = |c| ring(&[("a", 700), ("b", 0), ("c", c)]);
    look(&mut rule, &members(0), 0..=699);
    let verdict = rule.due(&members(630), "a", at(700));
    assert_eq!((verdict.forget.len(), verdict.held_back), (0, 1));
    assert_eq!(rule.due(&members(640), "a", at(700)), forgets(&["b"]));
}

#[test]
fn those_due_count_as_unhealthy_whatever_the_timeout_says() {
    for heartbeat_timeout in [Duration::ZERO, Duration::from_secs(10_000)] {
        let mut rule = AutoForget::new(AutoForgetConfig {
            period: Duration::from_secs(600),
            heartbeat_timeout,
            most_unhealthy: Some(1),
        });
        let members = ring(&[("a", 700), ("b", 0), ("c", 0)]);
        look(&mut rule, &members, 0..=699);
        let verdict = rule.due(&members, "a", at(700));
        assert_eq!((verdict.forget.len(), verdict.held_back), (0, 2));
    }
}

#[test]
fn without_a_period_nobody_is_forgotten() {
    let mut rule = AutoForget::new(AutoForgetConfig {
        period: Duration::ZERO,
        heartbeat_timeout: Duration::from_secs(60),
        most_unhealthy: None,
    });
    let members = ring(&[("b", 0)]);
    assert_eq!(rule.due(&members, "a", at(0)), forgets(&[]));
    assert_eq!(rule.due(&members, "a", at(100_000)), forgets(&[]));
}

proptest! {
    /// However heartbeats come, clocks jump and looks are spread: who has said
    /// something within the period is not forgotten, a process never forgets
    /// itself, and never more than may be unhealthy.
    #[test]
    fn the_living_are_never_forgotten(
        steps in proptest::collection::vec((1..400_u64, -500..5000_i64, 0..16_u8), 1..40),
        most in 0..3_usize,
    ) {
        let mut rule = rule(Some(most));
        let ids = ["a", "b", "c", "d"];
        let mut heartbeats = ids.map(|id| (id, 0_i64));
        let mut spoke = [0_u64; 4];
        let (mut monotonic, mut skew) = (0_u64, 0_i64);
        for (pause, jump, speaking) in steps {
            monotonic += pause;
            skew += jump;
            let wall = monotonic as i64 + skew;
            for (index, heartbeat) in heartbeats.iter_mut().enumerate() {
                if speaking & (1 << index) != 0 && wall > heartbeat.1 {
                    heartbeat.1 = wall;
                    spoke[index] = monotonic;
                }
            }
            let now = Now { unix: START + wall, monotonic: Duration::from_secs(monotonic) };
            let verdict = rule.due(&ring(&heartbeats), "a", now);
            prop_assert!(verdict.forget.len() <= most);
            for id in &verdict.forget {
                let index = ids.iter().position(|known| known == id).unwrap();
                prop_assert!(index != 0, "forgot itself");
                prop_assert!(monotonic - spoke[index] >= 600, "{id} spoke at {}", spoke[index]);
            }
        }
    }
}
