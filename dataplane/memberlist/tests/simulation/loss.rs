//! Steady loss: nobody is lost for good, and every false suspicion is refuted.

use std::time::Duration;

use pyroscope_memberlist::{Event, NodeState};

use crate::network::seeds::{self, Outcome};
use crate::network::{Conditions, Network, Trace};
use crate::scenarios::Hosts;

const SIZE: usize = 64;
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// Longest wait for what the loss left behind.
const PATIENCE: Duration = Duration::from_secs(1200);

fn conditions(loss: u64) -> Conditions {
    Conditions {
        loss,
        duplication: 0,
        delay: Duration::from_millis(50),
    }
}

/// Lets a joined cluster lose packets for ten minutes, and stops losing them.
fn endure(seed: u64, loss: u64, trace: Trace) -> Hosts {
    let mut network = crate::scenarios::joined(seed, SIZE, Conditions::GOOD, trace);
    network.links.conditions = conditions(loss);
    network.run_for(TEN_MINUTES);
    network
}

fn recover(network: &mut Hosts) -> Outcome {
    network.links.conditions = Conditions::GOOD;
    let convergence = network.run_until("nobody is doubted", PATIENCE, Network::converged);
    Outcome {
        elapsed: TEN_MINUTES + convergence,
        convergence,
        digest: 0,
    }
}

fn count(network: &Hosts, is_it: fn(&Event) -> bool) -> usize {
    let hosts = network.running().into_iter();
    hosts
        .map(|host| {
            network
                .process(host)
                .events
                .iter()
                .filter(|event| is_it(event))
                .count()
        })
        .sum()
}

#[test]
fn with_a_tenth_lost_no_live_node_is_dead_for_good() {
    seeds::run(
        "64 nodes, 10 % lost",
        seeds::count(2, 200),
        |seed, trace| {
            let mut network = endure(seed, 10, trace);
            for host in network.running() {
                let members = network.process(host).machine.members();
                let mut dead = members.filter(|node| !node.state.is_member());
                assert_eq!(
                    dead.next(),
                    None,
                    "node-{host} believes in a death while packets are lost"
                );
            }
            recover(&mut network)
        },
    );
}

#[test]
fn with_a_quarter_lost_every_false_suspicion_is_refuted() {
    seeds::run(
        "64 nodes, 25 % lost",
        seeds::count(2, 200),
        |seed, trace| {
            let mut network = endure(seed, 25, trace);
            let suspected = count(&network, |event| matches!(event, Event::Suspected(_)));
            assert!(suspected > 0, "a quarter lost raises no suspicion");
            let outcome = recover(&mut network);
            for host in network.running() {
                for node in network.process(host).machine.members() {
                    assert_eq!(node.state, NodeState::Alive, "{} on node-{host}", node.name);
                }
            }
            let died = count(&network, |event| matches!(event, Event::Dead(_)));
            assert_eq!(died, 0, "deaths of the living, of {suspected} suspicions");
            let refuted = count(&network, |event| matches!(event, Event::Refuted { .. }));
            assert!(refuted > 0, "nobody refuted one of {suspected} suspicions");
            println!("seed {seed}: {suspected} suspicions, {refuted} refutations");
            outcome
        },
    );
}
