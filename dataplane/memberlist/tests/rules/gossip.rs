//! What is sent to whom and how often.

use super::*;

#[test]
fn an_update_replaces_what_it_covers() {
    let mut machine = machine();
    for (update, queued) in [
        (word("ring", &["a"], 1), 1),
        (word("ring", &["a", "b"], 2), 1),
        (word("ring", &["c"], 3), 2),
        (word("other", &["a", "b", "c"], 9), 3),
        (word("ring", &["a", "b", "c"], 2), 3),
        (word("ring", &["b", "c"], 4), 3),
        (word("ring", &["c", "d"], 5), 4),
        (word("ring", &[], 5), 5),
        (word("ring", &["a", "b", "c"], 5), 3),
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
fn who_leaves_does_not_come_back_with_new_metadata() {
    let mut machine = with_nodes(1);
    machine.leave(NOW);
    assert_eq!(machine.update_meta(b"m".to_vec()), Ok(()));
    let mut told = Vec::new();
    run(&mut machine, after(3), |_, _, _, message| match message {
        Message::Dead(accusation) => told.push(accusation.node),
        Message::Alive(alive) => assert_ne!(alive.node, "me"),
        _ => {}
    });
    assert_eq!(told, ["me"; 4]);
    assert!(machine.has_left());
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
    assert!(machine.update_meta(vec![0; 513]).is_err());
    assert_eq!(machine.update_meta(b"m".to_vec()), Ok(()));
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
fn the_dead_hear_gossip_for_a_while_and_those_who_left_do_not() {
    let mut machine = with_nodes(2);
    accept(&mut machine, Message::Dead(accusation("a", 1, "c")));
    accept(&mut machine, Message::Dead(accusation("b", 1, "b")));
    let mut told = Vec::new();
    for second in 0..60 {
        machine.broadcast(Origin::Local, word("ring", &[], second));
        run_between(
            &mut machine,
            after(second),
            after(second + 1),
            |_, now, to, _| {
                told.push((to.to_string(), now));
            },
        );
    }
    let dead = |(to, _): &(String, Timestamp)| to == "10.0.0.10:7946";
    assert!(told.iter().all(dead), "nobody else hears anything");
    let last = told.iter().map(|(_, now)| *now).max();
    assert!(
        last > Some(after(29)) && last <= Some(after(30)),
        "{last:?}"
    );
}

#[test]
fn queues_are_bounded() {
    let mut config = config();
    config.max_queued_broadcasts = 3;
    let mut machine = Machine::new(config, 7, NOW).expect("the config is valid");
    for version in 0..10 {
        machine.broadcast(
            Origin::Forwarded,
            word(&format!("key-{version}"), &[], version),
        );
    }
    assert_eq!(machine.queued_broadcasts(Origin::Forwarded), 3);
}

#[test]
fn many_updates_of_one_key_are_queued_quickly() {
    let mut machine = machine();
    for version in 0..16_384 {
        let update = Broadcast::new("ring", [format!("id-{version}")], version, vec![0; 100]);
        machine.broadcast(Origin::Forwarded, update);
    }
    assert_eq!(machine.queued_broadcasts(Origin::Forwarded), 16_384);
}

#[test]
fn news_rides_along_with_an_ack_if_a_compound_can_hold_it() {
    for (payload, rides) in [(0xFFFE, true), (0xFFFF, false)] {
        let mut machine = with_nodes(1);
        let mut update = word("ring", &[], 1);
        update.payload = Bytes::from(vec![b'x'; payload]);
        machine.broadcast(Origin::Local, update);
        accept(&mut machine, Message::Ping(ping_from("a", 10)));
        let sent = sent(&mut machine);
        assert!(matches!(sent[0], (_, Message::Ack(_))));
        let rode = sent
            .iter()
            .any(|(_, message)| matches!(message, Message::User(_)));
        assert_eq!(rode, rides, "{payload} bytes");
    }
}

fn ping_from(node: &str, host: u8) -> Ping {
    Ping {
        source_node: node.to_owned(),
        source_addr: vec![10, 0, 0, host],
        source_port: 7946,
        ..Ping::default()
    }
}

#[test]
fn strangers_cannot_use_up_the_news_meant_for_members() {
    let mut machine = with_nodes(1);
    machine.broadcast(Origin::Local, word("ring", &[], 1));
    for stranger in [ping_from("", 99), ping_from("x", 99), ping_from("a", 99)] {
        for _ in 0..4 {
            accept(&mut machine, Message::Ping(stranger.clone()));
        }
    }
    assert_eq!(machine.queued_broadcasts(Origin::Local), 1);
    let answers = sent(&mut machine);
    let is_ack = |(_, message): &(SocketAddr, Message)| matches!(message, Message::Ack(_));
    assert!(answers.iter().all(is_ack), "{answers:?}");
}
