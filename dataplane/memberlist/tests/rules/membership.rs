//! Alive, suspect, dead: what becomes of a node record.

use super::*;

#[test]
fn a_bad_configuration_is_refused_by_field() {
    let mut nameless = config();
    nameless.name.clear();
    let mut long_label = config();
    long_label.label = "x".repeat(256);
    for (config, field) in [(nameless, "name"), (long_label, "label")] {
        let error = Machine::new(config, 1, NOW).expect_err("it is wrong");
        assert_eq!(error.field, field);
    }
}

#[test]
fn alive_makes_known_and_a_newer_one_replaces() {
    let mut machine = machine();
    accept(&mut machine, Message::Alive(alive("a", 2, 1)));
    assert!(matches!(&events(&mut machine)[..], [Event::Joined(node)] if &*node.name == "a"));
    accept(&mut machine, Message::Alive(alive("a", 2, 1)));
    assert_eq!(events(&mut machine), []);
    let mut changed = alive("a", 2, 2);
    changed.meta = Some(b"new".to_vec());
    accept(&mut machine, Message::Alive(changed));
    assert!(matches!(&events(&mut machine)[..], [Event::Updated(node)] if node.meta == "new"));
}

#[test]
fn another_form_of_the_same_address_is_a_conflict() {
    let mut machine = with_nodes(1);
    let mapped = Address::v16([10, 0, 0, 10].into(), 7946);
    let mut moved = alive("a", 10, 9);
    moved.addr = mapped.ip.as_bytes().to_vec();
    accept(&mut machine, Message::Alive(moved));
    assert!(
        matches!(&events(&mut machine)[..], [Event::Conflict { offered, .. }] if *offered == mapped)
    );
    assert_eq!(machine.member("a").map(|node| node.incarnation), Some(1));
}

#[test]
fn a_name_may_move_once_its_owner_left_but_not_when_it_died() {
    for (from, moves) in [("a", true), ("b", false)] {
        let mut machine = with_nodes(2);
        accept(&mut machine, Message::Dead(accusation("a", 1, from)));
        accept(&mut machine, Message::Alive(alive("a", 99, 1)));
        let moved =
            machine.member("a").map(|node| node.address) == Some(Address::v4([10, 0, 0, 99], 7946));
        assert_eq!(moved, moves, "dead from {from}");
    }
}

#[test]
fn a_dead_name_may_be_reclaimed_after_the_configured_time() {
    let mut config = config();
    config.dead_node_reclaim_time = Duration::from_secs(10);
    let mut machine = Machine::new(config, 7, NOW).expect("the config is valid");
    accept(&mut machine, Message::Alive(alive("a", 2, 1)));
    accept(&mut machine, Message::Dead(accusation("a", 1, "b")));
    for (now, expected) in [(after(10), NodeState::Dead), (after(11), NodeState::Alive)] {
        assert_eq!(
            handle(&mut machine, now, Message::Alive(alive("a", 99, 1))),
            Ok(())
        );
        assert_eq!(state(&machine, "a"), Some(expected));
    }
}

#[test]
fn records_that_would_harm_others_are_not_taken() {
    let mut machine = machine();
    for vsn in [
        None,
        Some(vec![]),
        Some(vec![1, 5, 2]),
        Some(vec![0; 6]),
        Some(vec![3, 5, 3, 0, 0, 0]),
        Some(vec![1, 5, 2, 2, 2, 2]),
    ] {
        let message = Message::Alive(Alive {
            vsn: vsn.clone(),
            ..alive("a", 2, 1)
        });
        let result = handle(&mut machine, NOW, message);
        assert!(
            matches!(result, Err(WireError::Malformed { .. })),
            "{vsn:?}: {result:?}"
        );
    }
    for bad in [
        Alive {
            node: String::new(),
            ..alive("a", 2, 1)
        },
        Alive {
            node: "x".repeat(256),
            ..alive("a", 2, 1)
        },
        Alive {
            meta: Some(vec![0; 513]),
            ..alive("a", 2, 1)
        },
        Alive {
            addr: vec![10, 0],
            ..alive("a", 2, 1)
        },
    ] {
        assert!(handle(&mut machine, NOW, Message::Alive(bad)).is_err());
    }
    assert_eq!(machine.members().count(), 1);
}

#[test]
fn the_number_of_nodes_is_bounded() {
    let mut config = config();
    config.max_members = 2;
    let mut machine = Machine::new(config, 7, NOW).expect("the config is valid");
    accept(&mut machine, Message::Alive(alive("a", 2, 1)));
    let result = handle(&mut machine, NOW, Message::Alive(alive("b", 3, 1)));
    assert_eq!(
        result,
        Err(WireError::Full {
            what: "nodes",
            limit: 2
        })
    );
    accept(&mut machine, Message::Alive(alive("a", 2, 2)));
}

#[test]
fn port_0_means_our_own_port() {
    let mut machine = machine();
    accept(
        &mut machine,
        Message::Alive(Alive {
            port: 0,
            ..alive("a", 2, 1)
        }),
    );
    assert_eq!(
        machine.member("a").map(|node| node.address.port),
        Some(7946)
    );
}

#[test]
fn accusations_are_refuted_above_the_accused_incarnation() {
    for message in [
        Message::Suspect(accusation("me", 9, "a")),
        Message::Dead(accusation("me", 9, "a")),
        Message::Alive(alive("me", 1, 9)),
    ] {
        let mut machine = with_nodes(1);
        accept(&mut machine, message.clone());
        assert_eq!(machine.local().incarnation, 10, "{message:?}");
        assert_eq!(machine.local().state, NodeState::Alive);
        assert_eq!(machine.health_score(), 1);
        assert_eq!(events(&mut machine), [Event::Refuted { incarnation: 10 }]);
    }
}

#[test]
fn our_own_record_from_others_is_refuted_only_if_it_differs() {
    let mut machine = with_nodes(1);
    accept(&mut machine, Message::Alive(alive("me", 1, 1)));
    assert_eq!(events(&mut machine), []);
    let meta = Some(b"not ours".to_vec());
    accept(
        &mut machine,
        Message::Alive(Alive {
            meta,
            ..alive("me", 1, 1)
        }),
    );
    assert_eq!(events(&mut machine), [Event::Refuted { incarnation: 2 }]);
}

#[test]
fn old_and_unknown_accusations_are_ignored() {
    let mut machine = machine();
    accept(&mut machine, Message::Alive(alive("a", 2, 5)));
    outputs(&mut machine);
    accept(&mut machine, Message::Suspect(accusation("a", 4, "b")));
    accept(&mut machine, Message::Dead(accusation("a", 4, "b")));
    accept(&mut machine, Message::Suspect(accusation("nobody", 4, "b")));
    accept(&mut machine, Message::Dead(accusation("nobody", 4, "b")));
    assert_eq!(events(&mut machine), []);
    assert_eq!(state(&machine, "a"), Some(NodeState::Alive));
    assert_eq!(state(&machine, "nobody"), None);
}

#[test]
fn a_suspect_dies_unless_it_objects_in_time() {
    for objects in [false, true] {
        let mut machine = with_nodes(2);
        accept(&mut machine, Message::Suspect(accusation("a", 1, "b")));
        assert_eq!(state(&machine, "a"), Some(NodeState::Suspect));
        assert_eq!(machine.alive_count(), 3, "a suspect still counts");
        if objects {
            accept(&mut machine, Message::Alive(alive("a", 10, 2)));
        }
        run(&mut machine, after(19), answer_pings);
        assert_ne!(state(&machine, "a"), Some(NodeState::Dead));
        run(&mut machine, after(21), answer_pings);
        let expected = if objects {
            NodeState::Alive
        } else {
            NodeState::Dead
        };
        assert_eq!(state(&machine, "a"), Some(expected));
    }
}

#[test]
fn the_dead_and_those_who_left_are_remembered_for_a_while() {
    let mut machine = with_nodes(3);
    accept(&mut machine, Message::Dead(accusation("a", 1, "c")));
    accept(&mut machine, Message::Dead(accusation("b", 1, "b")));
    run(&mut machine, after(30), answer_pings);
    assert_eq!(state(&machine, "a"), Some(NodeState::Dead));
    assert_eq!(state(&machine, "b"), Some(NodeState::Left));
    run(&mut machine, after(41), answer_pings);
    assert_eq!(state(&machine, "a"), None);
    // Somebody may have missed the goodbye, and probes it for the last time two laps later.
    assert_eq!(state(&machine, "b"), Some(NodeState::Left));
    run(&mut machine, after(100), answer_pings);
    assert_eq!(state(&machine, "b"), None);
    assert_eq!(state(&machine, "c"), Some(NodeState::Alive));
}

#[test]
fn only_an_incarnation_above_the_accused_one_clears_a_node() {
    let mut machine = with_nodes(1);
    accept(&mut machine, Message::Suspect(accusation("a", 5, "b")));
    for (incarnation, expected) in [(5, NodeState::Suspect), (6, NodeState::Alive)] {
        accept(&mut machine, Message::Alive(alive("a", 10, incarnation)));
        assert_eq!(
            state(&machine, "a"),
            Some(expected),
            "incarnation {incarnation}"
        );
    }
}

#[test]
fn a_suspect_is_warned_until_it_objects() {
    let suspect: SocketAddr = "10.0.0.10:7946".parse().expect("an address");
    for (patience, survives) in [(3, true), (u32::MAX, false)] {
        let mut machine = with_nodes(12);
        accept(&mut machine, Message::Suspect(accusation("a", 1, "b")));
        let (mut warnings, mut accused) = (0, false);
        run(&mut machine, after(140), |machine, now, to, message| {
            if to != suspect {
                return answer_pings(machine, now, to, message);
            }
            // A probe pings first and accuses then, a warning does it the other way round.
            warnings += u32::from(accused && matches!(message, Message::Ping(_)));
            accused = matches!(message, Message::Suspect(_));
            if warnings >= patience {
                let objection = Message::Alive(alive("a", 10, 2));
                assert_eq!(handle(machine, now, objection), Ok(()));
                answer_pings(machine, now, to, message);
            }
        });
        let alive = state(&machine, "a") == Some(NodeState::Alive);
        assert_eq!(alive, survives);
        assert_eq!(warnings > 5, !survives, "warned {warnings} times");
    }
}

#[test]
fn who_accuses_this_node_of_the_past_is_reminded() {
    let mut machine = with_nodes(3);
    accept(&mut machine, Message::Suspect(accusation("me", 1, "a")));
    let gossiped = |machine: &mut Machine, from: u64, to: u64| {
        let mut incarnations = Vec::new();
        run_between(
            machine,
            after(from),
            after(to),
            |machine, now, peer, message| match message {
                Message::Alive(alive) if alive.node == "me" => incarnations.push(alive.incarnation),
                other => answer_pings(machine, now, peer, other),
            },
        );
        incarnations
    };
    assert!(gossiped(&mut machine, 0, 10).contains(&2));
    assert_eq!(
        gossiped(&mut machine, 10, 20),
        [],
        "it was told often enough"
    );
    for outdated in [
        Message::Suspect(accusation("me", 1, "b")),
        Message::Dead(accusation("me", 1, "b")),
    ] {
        accept(&mut machine, outdated);
        assert!(gossiped(&mut machine, 20, 30).contains(&2));
    }
    assert_eq!(machine.local().incarnation, 2);
}

#[test]
fn who_suspects_a_node_that_has_left_is_told_of_its_goodbye() {
    let mut machine = with_nodes(4);
    let goodbye = accusation("a", 3, "a");
    accept(&mut machine, Message::Dead(goodbye.clone()));
    let repeated = |machine: &mut Machine, from: u64, to: u64| {
        let mut repeated = 0;
        run_between(
            machine,
            after(from),
            after(to),
            |machine, now, peer, message| match message {
                Message::Dead(dead) if dead.node == "a" => {
                    assert_eq!(dead, goodbye);
                    repeated += 1;
                }
                other => answer_pings(machine, now, peer, other),
            },
        );
        repeated
    };
    assert_ne!(repeated(&mut machine, 0, 8), 0);
    assert_eq!(repeated(&mut machine, 8, 10), 0, "told often enough");
    for (incarnation, from) in [(3, 10), (1, 18)] {
        accept(
            &mut machine,
            Message::Suspect(accusation("a", incarnation, "b")),
        );
        assert_ne!(repeated(&mut machine, from, from + 8), 0);
    }
    assert_eq!(state(&machine, "a"), Some(NodeState::Left));
}

#[test]
fn an_accusation_after_an_objection_that_was_missed_begins_anew() {
    let mut machine = with_nodes(2);
    accept(&mut machine, Message::Suspect(accusation("a", 1, "b")));
    let (began, news) = (after(15), Message::Suspect(accusation("a", 2, "c")));
    run(&mut machine, began, answer_pings);
    assert_eq!(handle(&mut machine, began, news), Ok(()));
    run_between(
        &mut machine,
        began,
        after(30),
        |machine, now, to, message| {
            answer_pings(machine, now, to, message);
        },
    );
    assert_eq!(state(&machine, "a"), Some(NodeState::Suspect));
    run_between(&mut machine, after(30), after(36), answer_pings);
    assert_eq!(state(&machine, "a"), Some(NodeState::Dead));
}
