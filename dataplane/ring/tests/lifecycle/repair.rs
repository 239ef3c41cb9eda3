//! Records that got lost, were overwritten or are not what they should be.

use std::time::Duration;

use proto::ring::Desc;
use pyroscope_ring::{Lifecycler, LifecyclerConfig, State, desc};

use crate::node::{Node, START, config, other};

#[test]
fn a_state_written_by_another_is_put_right_at_the_heartbeat() {
    let mut node = Node::started(config());
    let tokens = node.entry().tokens.clone();
    let twin = other("ing-1", START + 60, State::Leaving, &tokens);
    desc::merge(&mut node.ring, twin).unwrap();
    node.advance(5);
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (State::of(&record), record.timestamp),
        (State::Active, START + 61)
    );
}

#[test]
fn an_older_record_does_not_bring_older_tokens_back() {
    let mut node = Node::started(config());
    let old = node.ring.clone();
    node.step(Lifecycler::leave);
    let more = LifecyclerConfig {
        num_tokens: 6,
        ..config()
    };
    let tokens = node.restart(more).unwrap().tokens;
    node.ring = old;
    node.advance(5);
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!((record.tokens.len(), record.tokens), (6, tokens));
}

#[test]
fn tokens_lost_before_a_heartbeat_are_still_replaced_after_observing() {
    let mut node = Node::started(LifecyclerConfig {
        observe_period: Duration::from_secs(12),
        ..config()
    });
    let chosen = node.entry().tokens.clone();
    desc::merge(
        &mut node.ring,
        other("ing-0", START, State::Active, &chosen[..1]),
    )
    .unwrap();
    node.advance(5);
    let heartbeat = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (State::of(&heartbeat), &heartbeat.tokens[..]),
        (State::Joining, &chosen[1..])
    );
    node.advance(7);
    let again = node.step(Lifecycler::poll).unwrap();
    assert_eq!((State::of(&again), again.tokens.len()), (State::Joining, 4));
}

#[test]
fn an_instance_that_stops_while_joining_claims_what_the_ring_gives_it() {
    let mut node = Node::started(LifecyclerConfig {
        observe_period: Duration::from_secs(12),
        ..config()
    });
    let chosen = node.entry().tokens.clone();
    assert_eq!(node.step(Lifecycler::leave), None);
    desc::merge(
        &mut node.ring,
        other("ing-0", START, State::Active, &chosen[..1]),
    )
    .unwrap();
    node.advance(5);
    node.step(Lifecycler::poll);
    assert_eq!(node.lifecycler.tokens(), &chosen[1..]);
    assert_eq!(node.file, chosen[1..]);
}

#[test]
fn own_tokens_are_not_drawn_twice() {
    let mut node = Node::new(config());
    node.lifecycler = Lifecycler::new(config(), vec![7, 9], || 7);
    node.step(Lifecycler::start);
    node.ring = Desc::default();
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!(record.tokens, [7, 8, 9, 10]);
}

#[test]
fn an_active_entry_without_tokens_joins_anew() {
    let mut node = Node::new(config());
    desc::merge(&mut node.ring, other("ing-1", START, State::Active, &[])).unwrap();
    let record = node.restart(config()).unwrap();
    assert_eq!(State::of(&record), State::Pending);
    let record = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (State::of(&record), record.tokens.len()),
        (State::Active, 4)
    );
}
