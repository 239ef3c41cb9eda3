use std::time::Duration;

use proptest::prelude::*;
use proto::ring::Desc;
use pyroscope_ring::{Lifecycler, LifecyclerConfig, State, desc};

use crate::node::{Node, config, other};

#[derive(Clone, Debug)]
enum Event {
    Advance(i64),
    ClockJump(i64),
    Poll,
    Leave,
    Crash { keeps_ring: bool },
    Forget,
    Rival(usize),
    LoseRing,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..12_i64).prop_map(Event::Advance),
        1 => (-100..100_i64).prop_map(Event::ClockJump),
        5 => Just(Event::Poll),
        1 => Just(Event::Leave),
        2 => any::<bool>().prop_map(|keeps_ring| Event::Crash { keeps_ring }),
        1 => Just(Event::Forget),
        1 => (0..4_usize).prop_map(Event::Rival),
        1 => Just(Event::LoseRing),
    ]
}

proptest! {
    /// `Node::step` asserts throughout that timestamps rise and that the ring
    /// takes every record.
    #[test]
    fn tokens_survive_whatever_happens(
        events in proptest::collection::vec(events(), 1..60),
        observe in 0..3_u64,
    ) {
        let config = LifecyclerConfig {
            observe_period: Duration::from_secs(observe * 3),
            ..config()
        };
        let mut node = Node::started(config.clone());
        let mut rivals = 0;
        for event in events {
            match event {
                Event::Advance(seconds) => node.advance(seconds),
                Event::ClockJump(seconds) => node.now.unix += seconds,
                Event::Poll => {
                    node.step(Lifecycler::poll);
                }
                Event::Leave => {
                    node.step(Lifecycler::leave);
                }
                Event::Crash { keeps_ring } => {
                    let file = node.file.clone();
                    let was_full = file.len() == config.num_tokens;
                    if !keeps_ring {
                        node.ring = Desc::default();
                    }
                    let back = node.restart(config.clone()).unwrap();
                    prop_assert!(keeps_ring || back.tokens == file);
                    prop_assert!(keeps_ring || !was_full || State::of(&back) == State::Active);
                }
                Event::Forget => {
                    desc::forget(&mut node.ring, "ing-1", node.now.unix);
                }
                Event::Rival(at) => {
                    // A smaller id claims one of this instance's tokens.
                    if let Some(&token) = node.lifecycler.tokens().get(at) {
                        rivals += 1;
                        let rival = other(&format!("ing-0{rivals}"), node.now.unix, State::Active, &[token]);
                        desc::merge(&mut node.ring, rival);
                    }
                }
                Event::LoseRing => node.ring = Desc::default(),
            }
            // Nothing but lost conflicts takes tokens away.
            let owned = node.lifecycler.tokens().len();
            prop_assert!(owned + rivals >= config.num_tokens, "{} with {} rivals", owned, rivals);
            prop_assert!(node.file.is_sorted());
        }
        // Left alone, the instance is in the ring with what it claims.
        let stays = node.lifecycler.state();
        for _ in 0..4 {
            node.advance(6);
            node.step(Lifecycler::poll);
        }
        prop_assert!(node.state() == State::Leaving || stays != State::Leaving);
        prop_assert_eq!(&node.entry().tokens[..], node.lifecycler.tokens());
        prop_assert_eq!(&node.file[..], node.lifecycler.tokens());
    }
}
