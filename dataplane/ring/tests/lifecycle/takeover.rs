//! What a starting instance makes of what it finds, and what others write.

use proto::ring::InstanceDesc;
use pyroscope_ring::{Lifecycler, LifecyclerConfig, State, desc};

use crate::node::{Node, START, config, other};

/// Starts an instance that finds this entry of its own and this tokens file.
fn started_with(state: State, tokens: &[u32], file: &[u32]) -> Node {
    let mut node = Node::new(config());
    node.ring = other("ing-1", START - 5, state, tokens);
    node.file = file.to_vec();
    node.restart(config());
    node
}

/// What an instance finds in the ring, state and tokens; the tokens of its
/// file; and what it becomes, state and number of tokens.
type Takeover = (State, &'static [u32], &'static [u32], State, usize);

/// The table of docs/wire/ring.md.
#[test]
fn every_state_that_a_crash_leaves_behind_is_taken_over() {
    let four = &[1, 2, 3, 4];
    let cases: &[Takeover] = &[
        (State::Pending, &[], &[], State::Pending, 0),
        (State::Pending, &[], four, State::Pending, 4),
        (State::Pending, four, &[], State::Pending, 4),
        (State::Joining, four, &[], State::Pending, 4),
        (State::Active, four, &[9], State::Active, 4),
        (State::Active, &[1, 2], &[], State::Active, 2),
        (State::Active, &[1, 2, 3, 4, 5], &[], State::Active, 5),
        (State::Active, &[], &[], State::Pending, 0),
        (State::Leaving, four, &[], State::Active, 4),
        (State::Leaving, &[1, 2], &[], State::Active, 4),
        (State::Leaving, &[1, 2, 3, 4, 5], &[], State::Active, 4),
        (State::Leaving, &[], four, State::Active, 4),
        (State::Unknown(9), four, &[], State::Pending, 4),
        (State::Left, &[], &[], State::Pending, 0),
        (State::Left, &[], four, State::Active, 4),
        (State::Left, &[], &[1, 2], State::Pending, 2),
    ];
    for (found, tokens, file, want, count) in cases {
        let mut node = started_with(*found, tokens, file);
        let context = format!("{found} with {tokens:?} and file {file:?}");
        assert_eq!(node.state(), *want, "{context}");
        assert_eq!(node.entry().tokens.len(), *count, "{context}");
        if *want == State::Pending {
            node.step(Lifecycler::poll);
            assert_eq!(node.state(), State::Active, "{context}");
            assert_eq!(node.entry().tokens.len(), 4, "{context}");
        }
        let kept: Vec<u32> = if tokens.is_empty() {
            file.to_vec()
        } else {
            tokens.to_vec()
        };
        let still = kept
            .iter()
            .filter(|token| node.entry().tokens.contains(token));
        let expected = kept.len().min(node.entry().tokens.len());
        assert_eq!(still.count(), expected, "{context}: tokens are kept");
    }
}

#[test]
fn a_record_of_ours_from_the_future_is_superseded_and_time_never_goes_back() {
    let mut node = Node::new(config());
    node.ring = other("ing-1", START + 3600, State::Leaving, &[1, 2, 3, 4]);
    node.restart(config());
    assert_eq!(
        (node.state(), node.entry().timestamp),
        (State::Active, START + 3601)
    );
    // Heartbeats cannot be dated back, and running ahead would never end.
    node.advance(5);
    assert_eq!(node.step(Lifecycler::poll), None);
    // Changes still get through.
    node.step(Lifecycler::leave);
    assert_eq!(
        (node.state(), node.entry().timestamp),
        (State::Leaving, START + 3602)
    );
    // The wall clock jumps back by a day.
    node.now.unix -= 86_400;
    node.step(Lifecycler::unregister);
    assert_eq!(
        (node.state(), node.entry().timestamp),
        (State::Left, START + 3603)
    );
}

#[test]
fn heartbeats_go_on_when_the_clock_catches_up() {
    let mut node = Node::started(config());
    node.now.unix -= 60;
    for _ in 0..12 {
        node.now.monotonic += std::time::Duration::from_secs(5);
        node.now.unix += 5;
        node.step(Lifecycler::poll);
    }
    assert_eq!(
        node.entry().timestamp,
        START + 1,
        "not before the last record"
    );
    node.advance(5);
    node.step(Lifecycler::poll);
    assert_eq!(node.entry().timestamp, START + 5);
}

#[test]
fn address_and_zone_are_those_of_the_new_process() {
    let mut node = Node::started(config());
    node.advance(2);
    node.restart(LifecyclerConfig {
        zone: "b".to_owned(),
        addr: "10.0.0.9:4040".to_owned(),
        ..config()
    });
    let entry = node.entry();
    assert_eq!(
        (entry.zone.as_str(), entry.addr.as_str()),
        ("b", "10.0.0.9:4040")
    );
    assert_eq!(entry.tokens, node.file);

    // A late message of the old process has its address and a newer date.
    let stale = InstanceDesc {
        addr: "10.0.0.1:4040".to_owned(),
        timestamp: START + 4,
        ..entry.clone()
    };
    desc::put(&mut node.ring, "ing-1", stale).unwrap();
    node.advance(5);
    node.step(Lifecycler::poll).unwrap();
    assert_eq!(node.entry().addr, "10.0.0.9:4040");
}

#[test]
fn an_active_instance_that_lost_every_token_draws_new_ones() {
    let mut node = Node::started(config());
    let taken = node.entry().tokens.clone();
    desc::merge(&mut node.ring, other("a", START + 2, State::Active, &taken)).unwrap();
    assert!(node.entry().tokens.is_empty());
    node.advance(5);
    node.step(Lifecycler::poll).unwrap();
    assert_eq!(node.entry().tokens.len(), 4);
    assert!(
        node.entry()
            .tokens
            .iter()
            .all(|token| !taken.contains(token))
    );
    assert_eq!(node.file, node.entry().tokens);
}

#[test]
fn read_only_is_dated_copied_and_outlives_restarts_and_forgetting() {
    let mut node = Node::started(config());
    node.advance(2);
    let set =
        |lifecycler: &mut Lifecycler, ring: &_, now| lifecycler.set_read_only(true, ring, now);
    let record = node.step(set).unwrap();
    assert_eq!(
        (record.read_only, record.read_only_updated_timestamp),
        (true, START + 2)
    );
    assert_eq!(node.step(set), None);
    node.advance(5);
    let heartbeat = node.step(Lifecycler::poll).unwrap();
    assert_eq!(
        (heartbeat.read_only, heartbeat.read_only_updated_timestamp),
        (true, START + 2)
    );

    desc::forget(&mut node.ring, "ing-1", START + 8).unwrap();
    node.advance(5);
    let back = node.step(Lifecycler::poll).unwrap();
    assert!(back.read_only && back.registered_timestamp == START + 12);

    node.advance(5);
    let again = node.restart(config()).unwrap();
    assert!(again.read_only && node.lifecycler.is_read_only());
    let unset =
        |lifecycler: &mut Lifecycler, ring: &_, now| lifecycler.set_read_only(false, ring, now);
    node.now.unix -= 1000;
    let record = node.step(unset).unwrap();
    assert_eq!(
        (record.read_only, record.read_only_updated_timestamp),
        (false, START + 2)
    );
}
