//! Zone-aware routing: who hears from whom.

use std::collections::BTreeSet;

use pyroscope_memberlist::{Role, Zone};

use super::*;

fn zone(name: &str, role: Role) -> Zone {
    Zone {
        name: name.to_owned(),
        role,
    }
}

/// A machine in zone `a` that knows: a1 and a2 in its zone, bridge A there; b1 and bridge B in zone `b`; and x in none.
fn machine_in(role: Role) -> Machine {
    let mut config = config();
    config.zone = Some(zone("a", role));
    config.gossip_nodes = 10;
    config.retransmit_mult = 10;
    let mut machine = Machine::new(config, 7, NOW).expect("the config is valid");
    let others = [
        ("a1", Some(zone("a", Role::Member))),
        ("a2", Some(zone("a", Role::Member))),
        ("A", Some(zone("a", Role::Bridge))),
        ("b1", Some(zone("b", Role::Member))),
        ("B", Some(zone("b", Role::Bridge))),
        ("x", None),
    ];
    for (host, (name, zone)) in (10..).zip(others) {
        let mut alive = alive(name, host, 1);
        alive.meta = zone.map(|zone| zone.to_meta());
        accept(&mut machine, Message::Alive(alive));
    }
    outputs(&mut machine);
    machine
}

/// Returns who hears the gossip of a round, in order.
fn told(machine: &mut Machine, now: Timestamp) -> Vec<String> {
    machine.broadcast(Origin::Local, Broadcast::new("key", ["id"], 1, "news"));
    machine.handle_timeout(now.max(machine.next_timeout()));
    let heard: Vec<SocketAddr> = sent(machine)
        .into_iter()
        .filter(|(_, message)| matches!(message, Message::User(_)))
        .map(|(to, _)| to)
        .collect();
    let name = |to: SocketAddr| {
        let node = machine
            .members()
            .find(|node| node.address.socket_addr() == to);
        node.expect("it is known").name.to_string()
    };
    heard.into_iter().map(name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn members_talk_to_their_zone_and_to_nodes_without_one() {
    let mut machine = machine_in(Role::Member);
    let told: BTreeSet<String> = told(&mut machine, after(1)).into_iter().collect();
    assert_eq!(told, set(&["a1", "a2", "A", "x"]));
}

#[test]
fn bridges_talk_to_the_bridges_of_other_zones_first() {
    let mut machine = machine_in(Role::Bridge);
    let told = told(&mut machine, after(1));
    assert_eq!(told[0], "B");
    let told: BTreeSet<String> = told.into_iter().collect();
    assert_eq!(told, set(&["a1", "a2", "A", "x", "B"]));
}

#[test]
fn everybody_talks_to_everybody_while_a_zone_has_no_living_bridge() {
    for (gone, from) in [("A", "b1"), ("B", "b1"), ("B", "B")] {
        let mut machine = machine_in(Role::Member);
        accept(&mut machine, Message::Dead(accusation(gone, 1, from)));
        outputs(&mut machine);
        let told: BTreeSet<String> = told(&mut machine, after(1)).into_iter().collect();
        assert!(told.contains("b1"), "without {gone}: {told:?}");
    }
}

#[test]
fn bridges_exchange_state_with_two_nodes_and_members_with_one() {
    for (role, partners) in [(Role::Member, 1), (Role::Bridge, 2)] {
        let mut machine = machine_in(role);
        assert!(machine.request_push_pull(after(1)));
        let asked: Vec<String> = outputs(&mut machine)
            .into_iter()
            .filter_map(|output| match output {
                Output::PushPull { node, .. } => Some(node.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(asked.len(), partners, "{asked:?}");
        assert!(!asked.contains(&"b1".to_owned()), "{asked:?}");
        assert_eq!(asked.contains(&"B".to_owned()), role == Role::Bridge);
    }
}

#[test]
fn all_nodes_are_probed_whatever_their_zone() {
    let mut machine = machine_in(Role::Member);
    let mut probed = BTreeSet::new();
    run(&mut machine, after(60), |machine, now, to, message| {
        if let Message::Ping(ping) = &message {
            probed.insert(ping.node.clone());
        }
        answer_pings(machine, now, to, message);
    });
    assert_eq!(probed.len(), 6);
}

#[test]
fn the_zone_is_the_metadata() {
    let mut machine = machine_in(Role::Bridge);
    assert_eq!(machine.local().meta, zone("a", Role::Bridge).to_meta());
    assert!(machine.update_meta(b"mine".to_vec()).is_err());
    for (name, meta) in [("", ""), ("a-name-that-is-too-long", ""), ("a", "mine")] {
        let mut config = config();
        config.zone = Some(zone(name, Role::Member));
        config.meta = meta.into();
        assert!(Machine::new(config, 7, NOW).is_err(), "{name:?} {meta:?}");
    }
}
