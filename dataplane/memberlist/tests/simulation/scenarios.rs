//! One fault at a time, and what must come of it.

use std::time::Duration;

use pyroscope_memberlist::{Accusation, Config, Event, Message, NodeState, packet};

use crate::network::{Conditions, Network, Trace};
use crate::words::Words;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) type Hosts = Network<Words>;

/// Runs a test with a few seeds, or as many as asked for, and says which one runs.
fn with_seeds(test: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SOAK_SEEDS").map_or(3, |seeds| (seeds / 50).max(1)),
    };
    for seed in seeds {
        println!("seed {seed}");
        test(seed);
    }
}

fn start(network: &mut Hosts, host: usize) {
    let mut config = Config::new(Hosts::name(host), network.address(host));
    config.label = "simulation".to_owned();
    network.start(host, config, Words::default());
}

/// Creates hosts that all joined host 0 and know each other.
pub(crate) fn joined(seed: u64, size: usize, conditions: Conditions, trace: Trace) -> Hosts {
    let mut network = Network::new(seed, size, conditions, trace);
    (0..size).for_each(|host| start(&mut network, host));
    join_all(&mut network, 0);
    network.run_until("everybody joined", 5 * MINUTE, Network::converged);
    network
}

/// Lets every host join `with`, again and again until it worked: seeds are retried.
fn join_all(network: &mut Hosts, with: usize) {
    network.run_until("joining works", 5 * MINUTE, |network| {
        let unknown = |network: &Hosts, host: usize| {
            network
                .process(host)
                .machine
                .member(&Hosts::name(with))
                .is_none()
        };
        let running = network.running().into_iter();
        let alone: Vec<usize> = running.filter(|&host| unknown(network, host)).collect();
        for &host in &alone {
            network.join(host, with);
        }
        network.run_for(Duration::from_secs(2));
        alone.is_empty()
    });
}

/// Cuts the network: hosts below `border` do not reach the others.
fn partition(network: &mut Hosts, border: usize) {
    network.links.heal(network.links.conditions);
    let size = network.size();
    let pairs = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
    let apart = pairs.filter(|&(from, to)| (from < border) != (to < border));
    network.links.cut(&apart.collect::<Vec<_>>());
}

fn heal(network: &mut Hosts) {
    network.links.heal(network.links.conditions);
}

fn say(network: &mut Hosts, host: usize, word: &str) {
    network.act_on(host, |process, _| process.replica.say(word));
}

/// Tells what every other running host knows of `host`.
fn seen_as(network: &Hosts, host: usize, accept: impl Fn(Option<NodeState>) -> bool) -> bool {
    let others = network.running().into_iter().filter(|&other| other != host);
    let name = Hosts::name(host);
    others
        .map(|other| {
            network
                .process(other)
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
            joined(seed, size, conditions, Trace::Off);
        }
    });
}

#[test]
fn a_quiet_cluster_stays_as_it_is() {
    with_seeds(|seed| {
        let mut network = joined(seed, 8, Conditions::GOOD, Trace::Off);
        network.run_for(5 * MINUTE);
        for host in network.running() {
            let joined = |event: &Event| matches!(event, Event::Joined(_));
            assert!(
                network.process(host).events.iter().all(joined),
                "seed {seed}"
            );
            assert_eq!(
                network.process(host).machine.local().incarnation,
                1,
                "seed {seed}"
            );
            assert_eq!(
                network.process(host).machine.health_score(),
                0,
                "seed {seed}"
            );
        }
    });
}

#[test]
fn a_crashed_node_is_declared_dead_and_forgotten() {
    with_seeds(|seed| {
        let mut network = joined(seed, 8, Conditions::BAD, Trace::Off);
        network.crash(3);
        let gone = |state: Option<NodeState>| matches!(state, None | Some(NodeState::Dead));
        let took = network.run_until("node 3 is dead", 10 * MINUTE, |network| {
            seen_as(network, 3, gone)
        });
        assert!(
            took > Duration::from_secs(20),
            "seed {seed}: it had {took:?} to object"
        );
        let forgotten = |network: &mut Hosts| seen_as(network, 3, |state| state.is_none());
        network.run_until("node 3 is forgotten", 5 * MINUTE, forgotten);
        network.run_until("the others stay", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_crash_is_noticed_as_fast_as_in_go() {
    with_seeds(|seed| {
        let mut network = joined(seed, 16, Conditions::GOOD, Trace::Off);
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
        let mut network = joined(seed, 5, Conditions::GOOD, Trace::Off);
        let suspect = Message::Suspect(Accusation {
            incarnation: 1,
            node: Hosts::name(1),
            from: Hosts::name(2),
        });
        let packet = packet::encode("simulation", None, true, suspect.encode());
        network.inject(2, 3, &packet);
        let name = Hosts::name(1);
        let state = network
            .process(3)
            .machine
            .member(&name)
            .map(|node| node.state);
        assert_eq!(state, Some(NodeState::Suspect), "seed {seed}");
        network.run_until("node 1 objects", MINUTE, Network::converged);
        assert_eq!(
            network.process(1).machine.local().incarnation,
            2,
            "seed {seed}"
        );
        network.run_for(5 * MINUTE);
        for host in network.running() {
            let dead = |event: &Event| matches!(event, Event::Dead(_) | Event::Left(_));
            assert!(
                !network.process(host).events.iter().any(dead),
                "seed {seed}"
            );
        }
    });
}

#[test]
fn a_node_that_leaves_is_never_taken_for_dead() {
    with_seeds(|seed| {
        let mut network = joined(seed, 8, Conditions::GOOD, Trace::Off);
        network.leave(4);
        network.run_until("node 4 said goodbye", MINUTE, |network| !network.runs(4));
        let gone = |state: Option<NodeState>| !state.is_some_and(NodeState::is_member);
        // Whoever gossip misses is told once it suspects the node, which it probes
        // once in each lap over the seven others: up to 70 s after the time before.
        let lap = 7 * Config::new("", network.address(0)).probe_interval;
        network.run_until("everybody heard it", 2 * lap + 10 * SECOND, |network| {
            seen_as(network, 4, gone)
        });
        network.run_for(5 * MINUTE);
        assert!(
            seen_as(&network, 4, |state| state.is_none()),
            "seed {seed}: it is forgotten"
        );
        // Gossip may miss one of them, who then suspects the node until it is told.
        let doubts = |host: &usize| {
            let doubt = |event: &Event| matches!(event, Event::Suspected(_));
            network.process(*host).events.iter().any(doubt)
        };
        let doubters = network.running().into_iter().filter(doubts).count();
        assert!(doubters <= 2, "seed {seed}: {doubters} suspected it");
        for host in network.running() {
            let events = &network.process(host).events;
            let dead = |event: &Event| matches!(event, Event::Dead(_));
            let left = |event: &Event| matches!(event, Event::Left(_));
            assert!(!events.iter().any(dead), "seed {seed}: node {host}");
            assert_eq!(
                events.iter().filter(|event| left(event)).count(),
                1,
                "seed {seed}: node {host}"
            );
        }
    });
}

#[test]
fn a_short_partition_heals_by_itself() {
    with_seeds(|seed| {
        let mut network = joined(seed, 8, Conditions::GOOD, Trace::Off);
        partition(&mut network, 4);
        network.run_for(Duration::from_secs(15));
        let suspected = |event: &Event| matches!(event, Event::Suspected(_));
        let doubted = |host: usize| network.process(host).events.iter().any(suspected);
        assert!(
            network.running().into_iter().any(doubted),
            "seed {seed}: it was noticed"
        );
        heal(&mut network);
        network.run_until("all are back", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_long_partition_heals_when_one_node_joins_the_other_side() {
    with_seeds(|seed| {
        let mut network = joined(seed, 9, Conditions::GOOD, Trace::Off);
        partition(&mut network, 4);
        network.run_for(10 * MINUTE);
        for (host, alive) in [(0, 4), (8, 5)] {
            assert_eq!(
                network.process(host).machine.alive_count(),
                alive,
                "seed {seed}"
            );
        }
        heal(&mut network);
        network.join(8, 0);
        network.run_until("both sides are one", 5 * MINUTE, Network::converged);
    });
}

#[test]
fn a_restarted_node_outbids_its_own_past() {
    with_seeds(|seed| {
        let mut network = joined(seed, 6, Conditions::GOOD, Trace::Off);
        for _ in 0..3 {
            network.crash(2);
            let pause = Duration::from_secs(network.random.below(120));
            network.run_for(pause);
            start(&mut network, 2);
            network.join(2, 0);
            network.run_for(Duration::from_secs(5));
        }
        network.run_until("node 2 is back", 10 * MINUTE, Network::converged);
    });
}

#[test]
fn everybody_hears_every_word() {
    with_seeds(|seed| {
        let mut network = joined(seed, 12, Conditions::BAD, Trace::Off);
        for word in 0..20 {
            let host = network.random.index(12);
            say(&mut network, host, &format!("word {word}"));
            network.run_for(Duration::from_millis(500));
        }
        network.run_until("all know all words", 5 * MINUTE, |network| {
            let all = |host: usize| network.process(host).replica.known.len() == 20;
            network.running().into_iter().all(all)
        });
    });
}
