//! One machine against hand-made messages: the rules of memberlist, one by one.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pyroscope_memberlist::{
    Accusation, Ack, Address, Alive, Broadcast, Config, Event, IndirectPing, Machine, Message,
    NodeState, Origin, Output, Ping, PushPull, PushPullNode, Timestamp, WireError, packet,
};

const NOW: Timestamp = Timestamp::from_duration(Duration::from_secs(1000));
const VSN: [u8; 6] = [1, 5, 2, 0, 0, 0];

fn config() -> Config {
    let mut config = Config::new("me", Address::v4([10, 0, 0, 1], 7946));
    config.compression = None;
    config
}

fn machine() -> Machine {
    Machine::new(config(), 7, NOW).expect("the config is valid")
}

fn alive(node: &str, host: u8, incarnation: u32) -> Alive {
    Alive {
        incarnation,
        node: node.to_owned(),
        addr: vec![10, 0, 0, host],
        port: 7946,
        meta: None,
        vsn: Some(VSN.to_vec()),
    }
}

fn accusation(node: &str, incarnation: u32, from: &str) -> Accusation {
    Accusation {
        incarnation,
        node: node.to_owned(),
        from: from.to_owned(),
    }
}

fn handle(machine: &mut Machine, now: Timestamp, message: Message) -> Result<(), WireError> {
    machine.handle_packet(now, "10.0.0.9:7946", &message.encode())
}

fn accept(machine: &mut Machine, message: Message) {
    assert_eq!(handle(machine, NOW, message), Ok(()));
}

fn outputs(machine: &mut Machine) -> Vec<Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}

fn events(machine: &mut Machine) -> Vec<Event> {
    let event = |output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    };
    outputs(machine).into_iter().filter_map(event).collect()
}

/// Returns the messages in the packets to send, with their receivers.
fn sent(machine: &mut Machine) -> Vec<(SocketAddr, Message)> {
    let mut sent = Vec::new();
    for output in outputs(machine) {
        if let Output::Packet { to, payload } = output {
            let (messages, error) = packet::decode(&payload);
            assert_eq!(error, None);
            sent.extend(messages.into_iter().map(|message| (to, message)));
        }
    }
    sent
}

/// A machine that knows `n` other nodes called `a`, `b`, ….
fn with_nodes(n: u8) -> Machine {
    let mut machine = machine();
    for host in 0..n {
        let name = char::from(b'a' + host).to_string();
        accept(&mut machine, Message::Alive(alive(&name, 10 + host, 1)));
    }
    outputs(&mut machine);
    machine
}

fn state(machine: &Machine, node: &str) -> Option<NodeState> {
    machine.member(node).map(|node| node.state)
}

/// Runs the machine's timers until `end`, handing each batch of sent messages to `reply`.
fn run(
    machine: &mut Machine,
    end: Timestamp,
    mut reply: impl FnMut(&mut Machine, Timestamp, SocketAddr, Message),
) {
    while machine.next_timeout() <= end {
        let now = machine.next_timeout();
        machine.handle_timeout(now);
        for (to, message) in sent(machine) {
            reply(machine, now, to, message);
        }
    }
}

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

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

fn answer_pings(machine: &mut Machine, now: Timestamp, _: SocketAddr, message: Message) {
    if let Message::Ping(ping) = message {
        let ack = Ack {
            seq_no: ping.seq_no,
            payload: None,
        };
        assert_eq!(handle(machine, now, Message::Ack(ack)), Ok(()));
    }
}

#[test]
fn a_ping_is_answered_where_it_says_and_only_by_whom_it_is_for() {
    let mut machine = machine();
    let ping = |node: &str, port| {
        Message::Ping(Ping {
            seq_no: 4,
            node: node.to_owned(),
            source_addr: vec![10, 0, 0, 2],
            source_port: port,
            source_node: "a".to_owned(),
        })
    };
    for (port, answer_to) in [(7000, "10.0.0.2:7000"), (0, "10.0.0.9:7946")] {
        accept(&mut machine, ping("me", port));
        let answer_to: SocketAddr = answer_to.parse().expect("an address");
        let answered = sent(&mut machine);
        assert!(
            matches!(&answered[0], (to, Message::Ack(ack)) if *to == answer_to && ack.seq_no == 4)
        );
    }
    accept(&mut machine, ping("", 7000));
    assert!(!sent(&mut machine).is_empty());
    let other = handle(&mut machine, NOW, ping("you", 7000));
    assert_eq!(
        other,
        Err(WireError::WrongNode {
            name: "you".to_owned()
        })
    );
    let lost = machine.handle_packet(NOW, "", &ping("me", 0).encode());
    assert!(matches!(lost, Err(WireError::NoReturnAddress { .. })));
    assert_eq!(sent(&mut machine), []);
}

#[test]
fn a_probe_asks_others_and_then_suspects() {
    let mut machine = with_nodes(3);
    let mut asked = Vec::new();
    let mut target = None;
    run(&mut machine, after(10), |_, _, to, message| match message {
        Message::Ping(ping) if target.is_none() => target = Some((to, ping)),
        Message::IndirectPing(request) => asked.push((to, request)),
        _ => {}
    });
    let (to, ping) = target.expect("somebody is probed");
    assert_eq!(asked.len(), 2, "both others are asked");
    for (helper, request) in &asked {
        assert_ne!(*helper, to);
        assert_eq!(
            (request.seq_no, &request.node, request.nack),
            (ping.seq_no, &ping.node, true)
        );
    }
    run(&mut machine, after(16), |_, _, _, _| {});
    assert_eq!(state(&machine, &ping.node), Some(NodeState::Suspect));
    assert_eq!(
        machine.health_score(),
        2,
        "two nacks are missing: the fault may be here"
    );
}

#[test]
fn nacks_acquit_the_prober() {
    let mut machine = with_nodes(3);
    run(&mut machine, after(16), |machine, now, _, message| {
        if let Message::IndirectPing(request) = message {
            assert_eq!(handle(machine, now, Message::Nack(request.seq_no)), Ok(()));
        }
    });
    assert!(
        machine
            .members()
            .any(|node| node.state == NodeState::Suspect)
    );
    assert_eq!(machine.health_score(), 0);
}

#[test]
fn an_indirect_ping_is_relayed_and_its_failure_reported() {
    for target_answers in [true, false] {
        let mut machine = machine();
        let request = IndirectPing {
            seq_no: 77,
            target: vec![10, 0, 0, 3],
            port: 7946,
            node: "b".to_owned(),
            nack: true,
            source_addr: vec![10, 0, 0, 2],
            source_port: 7946,
            source_node: "a".to_owned(),
        };
        accept(&mut machine, Message::IndirectPing(request));
        let relayed = sent(&mut machine).remove(0);
        let (to, Message::Ping(ping)) = relayed else {
            panic!("no ping")
        };
        assert_eq!(
            (to.to_string().as_str(), ping.node.as_str()),
            ("10.0.0.3:7946", "b")
        );
        if target_answers {
            let ack = Ack {
                seq_no: ping.seq_no,
                payload: None,
            };
            accept(&mut machine, Message::Ack(ack));
        } else {
            machine.handle_timeout(after(2));
        }
        let replies = sent(&mut machine);
        let (to, reply) = &replies[0];
        assert_eq!(to.to_string(), "10.0.0.2:7946");
        match target_answers {
            true => assert!(matches!(reply, Message::Ack(ack) if ack.seq_no == 77)),
            false => assert_eq!(*reply, Message::Nack(77)),
        }
    }
}

#[test]
fn a_suspect_is_probed_with_the_accusation() {
    let mut machine = with_nodes(1);
    accept(&mut machine, Message::Suspect(accusation("a", 1, "b")));
    let mut told = false;
    run(&mut machine, after(11), |_, _, _, message| {
        told |= matches!(message, Message::Suspect(said) if said.from == "me");
    });
    assert!(told);
}

fn remote(name: &str, state: NodeState, vsn: &[u8]) -> PushPullNode {
    PushPullNode {
        name: name.to_owned(),
        addr: vec![10, 0, 0, 50],
        port: 7946,
        meta: None,
        incarnation: 1,
        state: state.to_wire(),
        vsn: Some(vsn.to_vec()),
    }
}

fn push_pull(nodes: Vec<PushPullNode>) -> PushPull {
    PushPull {
        join: true,
        nodes,
        user_state: Bytes::new(),
    }
}

#[test]
fn one_incompatible_record_rejects_the_whole_push_pull() {
    for vsn in [
        &[][..],
        &[0; 6],
        &[1, 5],
        &[3, 5, 3, 0, 0, 0],
        &[1, 5, 2, 2, 2, 2],
    ] {
        let mut machine = machine();
        let good = remote("good", NodeState::Alive, &VSN);
        let bad = remote("bad", NodeState::Alive, vsn);
        let result = machine.handle_push_pull(NOW, &push_pull(vec![good, bad]));
        assert!(result.is_err(), "{vsn:?}");
        assert_eq!(state(&machine, "good"), None, "{vsn:?}");
    }
}

#[test]
fn a_death_seen_by_others_is_a_suspicion_and_a_departure_is_believed() {
    let mut machine = with_nodes(2);
    let nodes = vec![
        remote("a", NodeState::Dead, &VSN),
        remote("b", NodeState::Left, &VSN),
    ];
    assert_eq!(machine.handle_push_pull(NOW, &push_pull(nodes)), Ok(()));
    assert_eq!(state(&machine, "a"), Some(NodeState::Suspect));
    assert_eq!(state(&machine, "b"), Some(NodeState::Left));
}

fn word(key: &str, ids: &[&str], version: u64) -> Broadcast {
    Broadcast {
        key: key.into(),
        ids: ids.iter().map(|id| (*id).into()).collect(),
        version,
        payload: Bytes::from(format!("{key}{ids:?}{version}")),
    }
}

#[test]
fn an_update_replaces_what_it_covers() {
    let mut machine = machine();
    for (update, queued) in [
        (word("ring", &["a"], 1), 1),
        (word("ring", &["a", "b"], 2), 1),
        (word("ring", &["c"], 3), 2),
        (word("other", &["a", "b", "c"], 9), 3),
        (word("ring", &["a", "b", "c"], 2), 3),
        (word("ring", &["a", "b", "c"], 4), 2),
    ] {
        machine.broadcast(Origin::Local, update.clone());
        assert_eq!(
            machine.queued_broadcasts(Origin::Local),
            queued,
            "{update:?}"
        );
    }
    assert_eq!(machine.queued_broadcasts(Origin::Forwarded), 0);
}

#[test]
fn updates_are_sent_a_limited_number_of_times_our_own_first() {
    let mut machine = with_nodes(2);
    machine.broadcast(Origin::Forwarded, word("theirs", &[], 1));
    machine.broadcast(Origin::Local, word("ours", &[], 1));
    let mut order = Vec::new();
    run(&mut machine, after(4), |_, _, _, message| {
        if let Message::User(payload) = message {
            order.push(payload);
        }
    });
    let ours = order
        .iter()
        .filter(|payload| payload.starts_with(b"ours"))
        .count();
    assert_eq!(
        (ours, order.len()),
        (4, 8),
        "4 times each in a cluster of 3"
    );
    assert!(order[0].starts_with(b"ours"));
    assert_eq!(machine.queued_broadcasts(Origin::Local), 0);
}

#[test]
fn packets_stay_within_their_budget() {
    let mut config = config();
    config.packet_budget = 1400;
    let mut machine = Machine::new(config, 7, NOW).expect("the config is valid");
    accept(&mut machine, Message::Alive(alive("a", 2, 1)));
    for version in 0..50 {
        let mut update = word(&format!("key-{version}"), &[], version);
        update.payload = Bytes::from(vec![b'x'; 300]);
        machine.broadcast(Origin::Local, update);
    }
    let mut oversized = word("oversized", &[], 1);
    oversized.payload = Bytes::from(vec![b'x'; 1400]);
    machine.broadcast(Origin::Local, oversized);
    let mut packets = 0;
    while machine.next_timeout() <= after(60) {
        machine.handle_timeout(machine.next_timeout());
        for output in outputs(&mut machine) {
            if let Output::Packet { payload, .. } = output {
                packets += 1;
                assert!(payload.len() <= 1400 + 5, "{} bytes", payload.len());
            }
        }
    }
    assert!(packets > 50 * 4 / 4);
    assert_eq!(
        machine.queued_broadcasts(Origin::Local),
        0,
        "everything fit some time"
    );
}

#[test]
fn a_node_that_leaves_says_so_and_does_not_come_back() {
    let mut machine = with_nodes(1);
    machine.leave(NOW);
    assert!(!machine.has_left(), "nobody was told yet");
    let mut told = 0;
    run(&mut machine, after(3), |_, _, _, message| {
        told +=
            u32::from(matches!(message, Message::Dead(said) if said == accusation("me", 1, "me")));
    });
    assert_eq!(told, 4);
    assert!(machine.has_left());
    accept(&mut machine, Message::Suspect(accusation("me", 9, "a")));
    accept(&mut machine, Message::Alive(alive("me", 1, 9)));
    assert_eq!(machine.local().state, NodeState::Left);
}

#[test]
fn who_is_alone_has_left_at_once() {
    let mut machine = machine();
    machine.leave(NOW);
    assert!(machine.has_left());
}

#[test]
fn new_metadata_is_announced_with_a_newer_incarnation() {
    let mut machine = with_nodes(1);
    assert!(machine.update_meta(NOW, vec![0; 513]).is_err());
    assert_eq!(machine.update_meta(NOW, b"m".to_vec()), Ok(()));
    let mut announced = None;
    run(&mut machine, after(1), |_, _, _, message| {
        if let Message::Alive(alive) = message
            && alive.node == "me"
        {
            announced = Some(alive);
        }
    });
    let announced = announced.expect("it is announced");
    assert_eq!(
        (announced.incarnation, announced.meta),
        (2, Some(b"m".to_vec()))
    );
}

#[test]
fn state_is_exchanged_more_rarely_in_large_clusters() {
    for (others, expected) in [(10, 6..=7), (50, 2..=4)] {
        let mut machine = machine();
        for host in 0..others {
            accept(
                &mut machine,
                Message::Alive(alive(&format!("n{host}"), host, 1)),
            );
        }
        outputs(&mut machine);
        let mut exchanges = 0;
        while machine.next_timeout() <= after(210) {
            let now = machine.next_timeout();
            machine.handle_timeout(now);
            for output in outputs(&mut machine) {
                exchanges += u32::from(matches!(output, Output::PushPull { .. }));
                if let Output::Packet { payload, .. } = output {
                    for message in packet::decode(&payload).0 {
                        answer_pings(&mut machine, now, ([0, 0, 0, 0], 0).into(), message);
                    }
                }
            }
        }
        assert!(
            expected.contains(&exchanges),
            "{others} others: {exchanges}"
        );
    }
}
