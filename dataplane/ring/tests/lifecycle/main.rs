//! How an instance enters the ring, lives through restarts, and leaves.

mod basic;
mod node;
mod properties;
mod readiness;
mod repair;
mod takeover;

use std::time::Duration;

use proto::ring::Desc;
use pyroscope_ring::{Lifecycler, LifecyclerConfig, State, desc};

use crate::node::{Node, START, config, other};

#[test]
fn a_new_instance_registers_and_becomes_active_within_the_same_second() {
    let mut node = Node::new(config());
    let pending = node.step(Lifecycler::start).unwrap();
    assert_eq!(State::of(&pending), State::Pending);
    assert_eq!(
        (pending.timestamp, pending.registered_timestamp),
        (START, START)
    );
    assert_eq!(
        (pending.addr.as_str(), pending.id.as_str()),
        ("10.0.0.1:4040", "ing-1")
    );
    assert!(pending.tokens.is_empty());

    assert_eq!(node.lifecycler.next_wakeup(), Some(Duration::ZERO));
    let active = node.step(Lifecycler::poll).unwrap();
    assert_eq!(State::of(&active), State::Active);
    assert_eq!(
        (active.timestamp, active.registered_timestamp),
        (START + 1, START)
    );
    assert_eq!(active.tokens.len(), 4);
    assert!(active.tokens.is_sorted());
    assert_eq!(node.file, active.tokens);
}

#[test]
fn heartbeats_come_at_their_period_and_date_the_entry_anew() {
    let mut node = Node::started(config());
    assert_eq!(node.lifecycler.next_wakeup(), Some(Duration::from_secs(5)));
    node.advance(4);
    assert_eq!(node.step(Lifecycler::poll), None);
    node.advance(1);
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!(record.timestamp, START + 5);
    assert_eq!(node.lifecycler.next_wakeup(), Some(Duration::from_secs(10)));
}

#[test]
fn heartbeats_within_a_second_do_not_run_ahead_of_the_clock() {
    let mut node = Node::started(LifecyclerConfig {
        heartbeat_period: Duration::from_millis(100),
        ..config()
    });
    for _ in 0..100 {
        node.now.monotonic += Duration::from_millis(100);
        node.now.unix = START + i64::try_from(node.now.monotonic.as_secs()).unwrap();
        node.step(Lifecycler::poll);
        assert!(node.entry().timestamp <= node.now.unix.max(START + 1));
    }
    assert_eq!(node.entry().timestamp, START + 10);
}

#[test]
fn joining_waits_and_observes() {
    let mut node = Node::new(LifecyclerConfig {
        join_after: Duration::from_secs(3),
        observe_period: Duration::from_secs(4),
        ..config()
    });
    node.step(Lifecycler::start);
    node.advance(2);
    assert_eq!(node.step(Lifecycler::poll), None);
    node.advance(1);
    assert_eq!(
        State::of(&node.step(Lifecycler::poll).unwrap()),
        State::Joining
    );
    assert_eq!(node.lifecycler.next_wakeup(), Some(Duration::from_secs(7)));
    node.advance(4);
    assert_eq!(
        State::of(&node.step(Lifecycler::poll).unwrap()),
        State::Active
    );
}

#[test]
fn tokens_lost_while_observing_are_replaced_and_observed_again() {
    let mut node = Node::started(LifecyclerConfig {
        observe_period: Duration::from_secs(4),
        ..config()
    });
    let chosen = node.entry().tokens.clone();
    let rival = other("ing-0", START, State::Active, &chosen[..2]);
    desc::merge(&mut node.ring, rival).unwrap();
    assert_eq!(node.entry().tokens, chosen[2..]);

    node.advance(4);
    let again = node.step(Lifecycler::poll).unwrap();
    assert_eq!((State::of(&again), again.tokens.len()), (State::Joining, 4));
    assert!(chosen[2..].iter().all(|token| again.tokens.contains(token)));
    assert!(
        chosen[..2]
            .iter()
            .all(|token| !again.tokens.contains(token))
    );
    node.advance(4);
    assert_eq!(
        State::of(&node.step(Lifecycler::poll).unwrap()),
        State::Active
    );
    assert_eq!(node.file, again.tokens);
}

#[test]
fn an_entry_lost_while_observing_is_published_again_with_its_tokens() {
    let mut node = Node::started(LifecyclerConfig {
        observe_period: Duration::from_secs(4),
        ..config()
    });
    let chosen = node.entry().tokens.clone();
    node.ring = Desc::default();
    node.advance(4);
    let again = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (State::of(&again), &again.tokens),
        (State::Joining, &chosen)
    );
}

#[test]
fn a_lost_conflict_stays_decided_in_heartbeats_and_on_file() {
    let mut node = Node::started(config());
    let chosen = node.entry().tokens.clone();
    desc::merge(
        &mut node.ring,
        other("ing-0", START, State::Active, &chosen[..1]),
    )
    .unwrap();
    node.advance(5);
    assert_eq!(node.step(Lifecycler::poll).unwrap().tokens, chosen[1..]);
    assert_eq!(node.lifecycler.tokens(), &chosen[1..]);
    assert_eq!(node.file, chosen[1..]);
}

#[test]
fn a_crashed_instance_takes_its_active_entry_over() {
    let mut node = Node::started(config());
    let before = node.entry().clone();
    node.file.clear();
    let moved = LifecyclerConfig {
        addr: "10.0.0.9:4040".to_owned(),
        zone: "zone-b".to_owned(),
        ..config()
    };
    let after = node.restart(moved).unwrap();
    assert_eq!(State::of(&after), State::Active);
    assert_eq!(after.tokens, before.tokens);
    assert_eq!(after.registered_timestamp, before.registered_timestamp);
    assert_eq!(
        (after.addr.as_str(), after.zone.as_str()),
        ("10.0.0.9:4040", "zone-b")
    );
    assert_eq!(node.file, before.tokens, "the file is written anew");
}

#[test]
fn a_leaving_instance_comes_back_active_with_as_many_tokens_as_configured() {
    let mut node = Node::started(config());
    let tokens = node.entry().tokens.clone();
    let leaving = node.step(Lifecycler::leave).unwrap();
    assert_eq!(
        (State::of(&leaving), leaving.timestamp),
        (State::Leaving, START + 2)
    );
    assert_eq!(leaving.tokens, tokens);

    let back = node
        .restart(LifecyclerConfig {
            num_tokens: 6,
            ..config()
        })
        .unwrap();
    assert_eq!((State::of(&back), back.tokens.len()), (State::Active, 6));
    assert!(tokens.iter().all(|token| back.tokens.contains(token)));

    node.step(Lifecycler::leave);
    let back = node
        .restart(LifecyclerConfig {
            num_tokens: 3,
            ..config()
        })
        .unwrap();
    assert_eq!((State::of(&back), back.tokens.len()), (State::Active, 3));
}

#[test]
fn a_crash_while_joining_starts_over() {
    let observing = LifecyclerConfig {
        observe_period: Duration::from_secs(4),
        ..config()
    };
    let mut node = Node::started(observing.clone());
    assert_eq!(node.state(), State::Joining);
    let chosen = node.entry().tokens.clone();
    let pending = node.restart(observing).unwrap();
    assert_eq!(
        (State::of(&pending), &pending.tokens),
        (State::Pending, &chosen)
    );
}

#[test]
fn a_tokens_file_leads_straight_to_active() {
    let mut node = Node::new(config());
    node.file = vec![4, 3, 2, 1];
    let record = node.restart(config()).unwrap();
    assert_eq!(
        (State::of(&record), &record.tokens[..]),
        (State::Active, &[1, 2, 3, 4][..])
    );

    let mut node = Node::new(config());
    node.file = vec![7, 9];
    let record = node.restart(config()).unwrap();
    assert_eq!(
        (State::of(&record), &record.tokens[..]),
        (State::Pending, &[7, 9][..])
    );
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (State::of(&record), record.tokens.len()),
        (State::Active, 4)
    );
    assert!(record.tokens.contains(&7) && record.tokens.contains(&9));
}

#[test]
fn an_unregistered_instance_leaves_a_newer_tombstone_and_may_return() {
    let mut node = Node::started(config());
    node.step(Lifecycler::leave);
    let left = node.step(Lifecycler::unregister).unwrap();
    assert_eq!((State::of(&left), left.timestamp), (State::Left, START + 3));
    assert!(left.tokens.is_empty());
    assert_eq!(node.lifecycler.next_wakeup(), None);
    node.advance(100);
    assert_eq!(node.step(Lifecycler::poll), None);

    let kept = node.file.clone();
    let back = node.restart(config()).unwrap();
    assert_eq!((State::of(&back), &back.tokens), (State::Active, &kept));
    assert_eq!(back.registered_timestamp, START + 100);
}

#[test]
fn an_instance_that_stops_before_it_joined_does_not_join() {
    let mut node = Node::new(config());
    node.step(Lifecycler::start);
    assert_eq!(node.step(Lifecycler::leave), None);
    node.advance(5);
    let heartbeat = node.step(Lifecycler::poll).unwrap();
    assert_eq!(State::of(&heartbeat), State::Pending);
}

#[test]
fn a_forgotten_instance_registers_again_at_its_heartbeat() {
    let mut node = Node::started(config());
    let tokens = node.entry().tokens.clone();
    node.advance(2);
    desc::forget(&mut node.ring, "ing-1", node.now.unix + 60).unwrap();
    assert_eq!(node.step(Lifecycler::poll), None);
    node.advance(3);
    let back = node.step(Lifecycler::poll).unwrap();
    assert_eq!((State::of(&back), &back.tokens), (State::Active, &tokens));
    assert_eq!(back.registered_timestamp, START + 5);
    assert_eq!(
        back.timestamp,
        START + 63,
        "newer than a tombstone of a fast clock"
    );
}
