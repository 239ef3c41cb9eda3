//! Clusters in virtual time, under faults that a seed decides.
//!
//! `SOAK_SEEDS=n` runs n seeds of each test; a failure names its seed, and `SEED=s` runs that one alone.

mod network;

use std::time::Duration;

use network::{Conditions, Network};
use pyroscope_memberlist::{Accusation, Event, Message, NodeState, packet};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the seeds to run: a few, or as many as asked for.
fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SOAK_SEEDS").unwrap_or(3)).collect(),
    }
}

/// Runs a test with each seed, and says which one runs.
fn with_seeds(test: impl Fn(u64)) {
    for seed in seeds() {
        println!("seed {seed}");
        test(seed);
    }
}

/// Tells what every other running host knows of `host`.
fn seen_as(network: &Network, host: usize, accept: impl Fn(Option<NodeState>) -> bool) -> bool {
    let others = network.running().into_iter().filter(|&other| other != host);
    let name = Network::name(host);
    others
        .map(|other| {
            network
                .host(other)
                .machine
                .member(&name)
                .map(|node| node.state)
        })
        .all(accept)
}

#[test]
fn everybody_learns_of_everybody() {
    with_seeds(|seed| {
        for (size, conditions) in [
            (2, Conditions::GOOD),
            (16, Conditions::GOOD),
            (24, Conditions::BAD),
        ] {
            Network::joined(seed, size, conditions);
        }
    });
}

#[test]
fn a_quiet_cluster_stays_as_it_is() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 8, Conditions::GOOD);
        network.run_for(5 * MINUTE);
        for host in network.running() {
            let joined = |event: &Event| matches!(event, Event::Joined(_));
            assert!(network.host(host).events.iter().all(joined), "seed {seed}");
            assert_eq!(
                network.host(host).machine.local().incarnation,
                1,
                "seed {seed}"
            );
            assert_eq!(network.host(host).machine.health_score(), 0, "seed {seed}");
        }
    });
}

#[test]
fn a_crashed_node_is_declared_dead_and_forgotten() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 8, Conditions::BAD);
        network.crash(3);
        let gone = |state: Option<NodeState>| matches!(state, None | Some(NodeState::Dead));
        let took = network.run_until("node 3 is dead", 10 * MINUTE, |network| {
            seen_as(network, 3, gone)
        });
        assert!(
            took > Duration::from_secs(20),
            "seed {seed}: it had {took:?} to object"
        );
        let forgotten = |network: &Network| seen_as(network, 3, |state| state.is_none());
        network.run_until("node 3 is forgotten", 5 * MINUTE, forgotten);
        network.run_until("the others stay", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_crash_is_noticed_as_fast_as_in_go() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 16, Conditions::GOOD);
        network.crash(5);
        let dead = |state: Option<NodeState>| matches!(state, None | Some(NodeState::Dead));
        let took = network.run_until("node 5 is dead", 10 * MINUTE, |network| {
            seen_as(network, 5, dead)
        });
        println!("dead everywhere after {took:?}");
        assert!(took < Duration::from_secs(60), "seed {seed}: took {took:?}");
    });
}

#[test]
fn a_false_suspicion_is_refuted() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 5, Conditions::GOOD);
        let suspect = Message::Suspect(Accusation {
            incarnation: 1,
            node: Network::name(1),
            from: Network::name(2),
        });
        let packet = packet::encode("simulation", None, true, suspect.encode());
        network.inject(2, 3, &packet);
        let name = Network::name(1);
        let state = network.host(3).machine.member(&name).map(|node| node.state);
        assert_eq!(state, Some(NodeState::Suspect), "seed {seed}");
        network.run_until("node 1 objects", MINUTE, Network::converged);
        assert_eq!(
            network.host(1).machine.local().incarnation,
            2,
            "seed {seed}"
        );
        network.run_for(5 * MINUTE);
        for host in network.running() {
            let dead = |event: &Event| matches!(event, Event::Dead(_) | Event::Left(_));
            assert!(!network.host(host).events.iter().any(dead), "seed {seed}");
        }
    });
}

#[test]
fn a_node_that_leaves_is_never_suspected() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 8, Conditions::GOOD);
        network.leave(4);
        network.run_until("node 4 said goodbye", MINUTE, |network| {
            network.host(4).machine.has_left()
        });
        let left = |state: Option<NodeState>| state == Some(NodeState::Left);
        network.run_until("everybody heard it", MINUTE, |network| {
            seen_as(network, 4, left)
        });
        network.crash(4);
        network.run_for(3 * MINUTE);
        assert!(
            seen_as(&network, 4, |state| state.is_none()),
            "seed {seed}: it is forgotten"
        );
        for host in network.running() {
            let doubt = |event: &Event| matches!(event, Event::Dead(_) | Event::Suspected(_));
            assert!(!network.host(host).events.iter().any(doubt), "seed {seed}");
        }
    });
}

#[test]
fn a_short_partition_heals_by_itself() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 8, Conditions::GOOD);
        network.partition(4);
        network.run_for(Duration::from_secs(15));
        let suspected = |event: &Event| matches!(event, Event::Suspected(_));
        let doubted = |host: usize| network.host(host).events.iter().any(suspected);
        assert!(
            network.running().into_iter().any(doubted),
            "seed {seed}: it was noticed"
        );
        network.heal();
        network.run_until("all are back", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_long_partition_heals_when_one_node_joins_the_other_side() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 9, Conditions::GOOD);
        network.partition(4);
        network.run_for(10 * MINUTE);
        for (host, alive) in [(0, 4), (8, 5)] {
            assert_eq!(
                network.host(host).machine.alive_count(),
                alive,
                "seed {seed}"
            );
        }
        network.heal();
        network.join(8, 0);
        network.run_until("both sides are one", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_restarted_node_outbids_its_own_past() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 6, Conditions::GOOD);
        for _ in 0..3 {
            network.crash(2);
            let pause = Duration::from_secs(network.random(120));
            network.run_for(pause);
            network.start(2);
            network.join(2, 0);
            network.run_for(Duration::from_secs(5));
        }
        network.run_until("node 2 is back", 10 * MINUTE, Network::converged);
    });
}

#[test]
fn everybody_hears_every_word() {
    with_seeds(|seed| {
        let mut network = Network::joined(seed, 12, Conditions::BAD);
        for word in 0..20 {
            let host = network.random(12) as usize;
            network.say(host, &format!("word {word}"));
            network.run_for(Duration::from_millis(500));
        }
        network.run_until("all know all words", 5 * MINUTE, |network| {
            let all = |host: usize| network.host(host).words.len() == 20;
            network.running().into_iter().all(all)
        });
    });
}

/// Does something bad at random.
fn mischief(network: &mut Network, size: usize) {
    let victim = 1 + network.random(size as u64 - 1) as usize;
    match network.random(6) {
        0 => network.crash(victim),
        1 => network.start(victim),
        2 => network.partition(victim),
        3 => network.heal(),
        4 => network.conditions = Conditions::BAD,
        _ => network.conditions = Conditions::GOOD,
    }
    let pause = Duration::from_secs(network.random(40));
    network.run_for(pause);
}

#[test]
fn after_any_mischief_the_cluster_finds_together() {
    with_seeds(|seed| {
        let size = 4 + (seed % 6) as usize;
        let mut network = Network::joined(seed, size, Conditions::BAD);
        (0..15).for_each(|_| mischief(&mut network, size));
        network.heal();
        network.conditions = Conditions::GOOD;
        let running = network.running();
        let restarted = running
            .into_iter()
            .filter(|&host| host != 0)
            .collect::<Vec<_>>();
        restarted.into_iter().for_each(|host| network.join(host, 0));
        network.run_until("all are one", 15 * MINUTE, Network::converged);
    });
}

#[test]
fn the_same_seed_does_the_same() {
    let trace = |seed| {
        let mut network = Network::joined(seed, 6, Conditions::BAD);
        (0..8).for_each(|_| mischief(&mut network, 6));
        (network.now, network.trace())
    };
    for seed in seeds() {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 1), "the trace tells runs apart");
    }
}
