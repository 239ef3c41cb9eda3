use std::time::Duration;

use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::{BasicLifecycler, BasicLifecyclerConfig, State, Update, desc};

use crate::node::{START, at, other};

fn lifecycler() -> BasicLifecycler {
    let mut next = 0;
    BasicLifecycler::new(
        BasicLifecyclerConfig::new("d-1", "10.0.0.1:4040"),
        move || {
            next += 1;
            next
        },
    )
}

fn apply(ring: &mut Desc, update: Update) -> Option<InstanceDesc> {
    let record = update.instance?;
    desc::put(ring, "d-1", record.clone()).expect("the ring takes the record");
    Some(record)
}

#[test]
fn it_is_active_at_once_and_leaves() {
    let (mut ring, mut lifecycler) = (other("d-0", START, State::Active, &[1]), lifecycler());
    assert_eq!(lifecycler.poll(&ring, at(0)), Update::default());
    let update = lifecycler.start(&ring, at(0));
    let record = apply(&mut ring, update).unwrap();
    assert_eq!(State::of(&record), State::Active);
    assert_eq!(
        (record.tokens, record.registered_timestamp),
        (vec![2], START)
    );
    assert_eq!(lifecycler.next_wakeup(), Some(Duration::from_secs(15)));
    assert_eq!(lifecycler.poll(&ring, at(14)), Update::default());
    let update = lifecycler.poll(&ring, at(15));
    assert_eq!(apply(&mut ring, update).unwrap().timestamp, START + 15);

    let update = lifecycler.leave(&ring, at(15));
    assert_eq!(
        State::of(&apply(&mut ring, update).unwrap()),
        State::Leaving
    );
    assert_eq!(lifecycler.leave(&ring, at(16)), Update::default());
    let update = lifecycler.unregister(&ring, at(15));
    assert_eq!(State::of(&apply(&mut ring, update).unwrap()), State::Left);
    assert_eq!(lifecycler.next_wakeup(), None);
    assert_eq!(lifecycler.poll(&ring, at(99)), Update::default());
    assert_eq!(lifecycler.unregister(&ring, at(99)), Update::default());
}

#[test]
fn whatever_a_crash_left_behind_becomes_active_with_its_tokens() {
    let found = [
        (State::Active, vec![7, 9]),
        (State::Leaving, vec![7]),
        (State::Joining, vec![7]),
        (State::Pending, Vec::new()),
        (State::Left, Vec::new()),
        (State::Unknown(9), vec![7]),
    ];
    for (state, tokens) in found {
        let mut ring = other("d-1", START + 100, state, &tokens);
        let mut lifecycler = lifecycler();
        let update = lifecycler.start(&ring, at(0));
        let record = apply(&mut ring, update).unwrap();
        assert_eq!(State::of(&record), State::Active, "after {state}");
        assert_eq!(
            record.timestamp,
            START + 101,
            "the clock may have gone back"
        );
        let want = if tokens.is_empty() { vec![1] } else { tokens };
        assert_eq!(record.tokens, want, "after {state}");
    }
}

#[test]
fn a_forgotten_instance_and_one_without_tokens_come_back() {
    let (mut ring, mut lifecycler) = (Desc::default(), lifecycler());
    let update = lifecycler.start(&ring, at(0));
    apply(&mut ring, update);
    desc::forget(&mut ring, "d-1", START + 3).unwrap();
    let update = lifecycler.poll(&ring, at(15));
    let record = apply(&mut ring, update).unwrap();
    assert_eq!(
        (record.registered_timestamp, record.tokens),
        (START + 15, vec![1])
    );

    // Another instance took its only token.
    desc::merge(&mut ring, other("a", START + 16, State::Active, &[1])).unwrap();
    let update = lifecycler.poll(&ring, at(30));
    assert_eq!(apply(&mut ring, update).unwrap().tokens, [2]);
}

#[test]
fn read_only_is_kept_over_a_restart() {
    let (mut ring, mut first) = (Desc::default(), lifecycler());
    assert_eq!(first.set_read_only(true, &ring, at(0)), Update::default());
    let update = first.start(&ring, at(0));
    apply(&mut ring, update);
    let update = first.set_read_only(true, &ring, at(5));
    let record = apply(&mut ring, update).unwrap();
    assert_eq!(
        (record.read_only, record.read_only_updated_timestamp),
        (true, START + 5)
    );
    assert_eq!(first.set_read_only(true, &ring, at(6)), Update::default());

    let mut second = lifecycler();
    let update = second.start(&ring, at(20));
    let record = apply(&mut ring, update).unwrap();
    assert_eq!(
        (record.read_only, record.read_only_updated_timestamp),
        (true, START + 5)
    );
    assert!(second.is_read_only());
}
