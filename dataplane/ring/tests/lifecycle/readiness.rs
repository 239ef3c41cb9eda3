use std::time::Duration;

use pyroscope_ring::{Lifecycler, LifecyclerConfig, NotReady, State, desc};

use crate::node::{Node, START, config, lifecycler, other};

#[test]
fn readiness_needs_a_healthy_ring_for_a_while_and_then_stays() {
    let mut node = Node::new(config());
    let check = |node: &mut Node| node.lifecycler.check_ready(&node.ring, node.now);
    assert_eq!(check(&mut node), Err(NotReady::NotRegistered));
    node.step(Lifecycler::start);
    assert_eq!(check(&mut node), Err(NotReady::NoTokens));
    node.step(Lifecycler::poll);
    let waiting = Err(NotReady::TooEarly(Duration::from_secs(15)));
    assert_eq!(check(&mut node), waiting);

    node.advance(10);
    node.step(Lifecycler::poll);
    desc::merge(
        &mut node.ring,
        other("ing-2", START + 10, State::Joining, &[1]),
    )
    .unwrap();
    let joining = NotReady::NotActive {
        id: "ing-2".to_owned(),
        state: State::Joining,
    };
    assert_eq!(check(&mut node), Err(joining));
    desc::merge(
        &mut node.ring,
        other("ing-2", START + 11, State::Active, &[1]),
    )
    .unwrap();
    node.advance(10);
    assert_eq!(check(&mut node), waiting, "the wait starts over");
    node.advance(15);
    node.step(Lifecycler::poll);
    assert_eq!(check(&mut node), Ok(()));

    node.advance(1000);
    assert_eq!(check(&mut node), Ok(()), "latched");
}

#[test]
fn readiness_can_look_at_the_own_entry_alone() {
    let mut node = Node::started(LifecyclerConfig {
        readiness_check_ring_health: false,
        min_ready_duration: Duration::ZERO,
        ..config()
    });
    desc::merge(
        &mut node.ring,
        other("ing-0", START - 600, State::Active, &[1]),
    )
    .unwrap();
    let other_checks = LifecyclerConfig {
        min_ready_duration: Duration::ZERO,
        ..config()
    };
    let mut strict = lifecycler(other_checks, Vec::new(), 5);
    let stale = Err(NotReady::Stale("ing-0".to_owned()));
    assert_eq!(strict.check_ready(&node.ring, node.now), stale);
    assert_eq!(node.lifecycler.check_ready(&node.ring, node.now), Ok(()));
}
