//! Pings, asked and answered.

use pyroscope_memberlist::StreamMessage;

use super::*;

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

#[test]
fn bad_health_slows_probes_down_and_answers_restore_it() {
    let mut machine = with_nodes(3);
    let mut asked_at = Vec::new();
    let (mut silent, mut warned) = (true, false);
    for end in [16, 60] {
        run(&mut machine, after(end), |machine, now, to, message| {
            // The ping that follows an accusation warns a suspect and is no probe.
            if matches!(message, Message::Ping(_)) && !warned {
                asked_at.push(now);
            }
            warned = matches!(message, Message::Suspect(_));
            if !silent {
                answer_pings(machine, now, to, message);
            }
        });
        if silent {
            assert_eq!(machine.health_score(), 2);
        }
        silent = false;
    }
    assert_eq!(machine.health_score(), 0);
    let gaps: Vec<Duration> = asked_at
        .windows(2)
        .map(|pair| pair[1].saturating_since(pair[0]))
        .collect();
    assert_eq!(gaps[0], Duration::from_secs(5));
    assert_eq!(
        gaps[1],
        Duration::from_secs(15),
        "the second probe waited for three intervals"
    );
}

#[test]
fn every_node_is_probed_once_a_round_in_changing_order() {
    let mut machine = with_nodes(6);
    let mut order = Vec::new();
    run(&mut machine, after(5 * 61), |machine, now, to, message| {
        if let Message::Ping(ping) = &message {
            order.push(ping.node.clone());
        }
        answer_pings(machine, now, to, message);
    });
    let rounds: Vec<&[String]> = order.chunks_exact(6).collect();
    assert!(rounds.len() >= 9, "{} rounds", rounds.len());
    for round in &rounds {
        let mut names = round.to_vec();
        names.sort();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
    }
    assert!(
        rounds.windows(2).any(|pair| pair[0] != pair[1]),
        "the order changes"
    );
}

#[test]
fn probes_for_others_are_bounded_and_make_room_again() {
    let mut machine = machine();
    let request = Message::IndirectPing(IndirectPing {
        target: vec![10, 0, 0, 3],
        port: 7946,
        ..IndirectPing::default()
    });
    for _ in 0..1024 {
        accept(&mut machine, request.clone());
    }
    let full = handle(&mut machine, NOW, request.clone());
    assert!(
        matches!(full, Err(WireError::Full { limit: 1024, .. })),
        "{full:?}"
    );
    machine.handle_timeout(after(2));
    accept(&mut machine, request);
}

/// Lets the machine run until it pings somebody, who does not answer.
fn first_ping(machine: &mut Machine) -> (Timestamp, SocketAddr, Ping) {
    loop {
        let now = machine.next_timeout();
        machine.handle_timeout(now);
        for (to, message) in sent(machine) {
            if let Message::Ping(ping) = message {
                return (now, to, ping);
            }
        }
    }
}

fn indirect_pings(machine: &mut Machine) -> usize {
    let is_request =
        |(_, message): &(SocketAddr, Message)| matches!(message, Message::IndirectPing(_));
    sent(machine).iter().filter(|sent| is_request(sent)).count()
}

#[test]
fn a_refused_connection_makes_others_be_asked_at_once() {
    let mut machine = with_nodes(4);
    let (now, to, ping) = first_ping(&mut machine);
    machine.handle_unreachable(now, "10.0.0.99:7946".parse().expect("an address"));
    assert_eq!(indirect_pings(&mut machine), 0, "that is somebody else");
    machine.handle_unreachable(now, to);
    assert_eq!(indirect_pings(&mut machine), 3);
    machine.handle_unreachable(now, to);
    assert_eq!(indirect_pings(&mut machine), 0, "they are asked once");
    assert_eq!(state(&machine, &ping.node), Some(NodeState::Alive));

    for nacks in 1..=3 {
        assert_eq!(
            handle(&mut machine, now, Message::Nack(ping.seq_no)),
            Ok(())
        );
        let expected = match nacks {
            3 => NodeState::Suspect,
            _ => NodeState::Alive,
        };
        assert_eq!(state(&machine, &ping.node), Some(expected), "{nacks} nacks");
    }
    assert_eq!(machine.health_score(), 0, "the fault is not here");
    machine.handle_unreachable(now, to);
    assert_eq!(state(&machine, &ping.node), Some(NodeState::Suspect));
}

#[test]
fn a_refused_node_that_others_reach_is_not_suspected() {
    let mut machine = with_nodes(4);
    let (now, to, ping) = first_ping(&mut machine);
    machine.handle_unreachable(now, to);
    let ack = Ack {
        seq_no: ping.seq_no,
        payload: None,
    };
    assert_eq!(handle(&mut machine, now, Message::Ack(ack)), Ok(()));
    for _ in 0..3 {
        assert_eq!(
            handle(&mut machine, now, Message::Nack(ping.seq_no)),
            Ok(())
        );
    }
    assert_eq!(state(&machine, &ping.node), Some(NodeState::Alive));
    assert!(
        !events(&mut machine)
            .iter()
            .any(|event| matches!(event, Event::PingCompleted { .. })),
        "the time of somebody else's ping says nothing"
    );
}

#[test]
fn a_refused_relay_is_reported_at_once() {
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
    outputs(&mut machine);
    machine.handle_unreachable(NOW, "10.0.0.3:7946".parse().expect("an address"));
    let sent = sent(&mut machine);
    assert!(matches!(&sent[0], (_, Message::Nack(77))), "{sent:?}");
    machine.handle_timeout(after(2));
    let is_nack = |(_, message): &(SocketAddr, Message)| matches!(message, Message::Nack(_));
    assert!(
        !super::sent(&mut machine).iter().any(is_nack),
        "it is reported once"
    );
}

#[test]
fn classic_nodes_are_asked_by_stream_as_well() {
    let config = Config::lan("me", Address::v4([10, 0, 0, 1], 7946));
    for answers in [true, false] {
        let mut machine = Machine::new(config.clone(), 7, NOW).expect("the config is valid");
        for (name, host) in [("a", 10), ("b", 11)] {
            accept(&mut machine, Message::Alive(alive(name, host, 1)));
        }
        outputs(&mut machine);
        let (now, to, ping) = first_ping(&mut machine);
        let now = now + Duration::from_millis(500);
        machine.handle_timeout(now);
        let asked = outputs(&mut machine)
            .into_iter()
            .find_map(|output| match output {
                Output::StreamPing {
                    to,
                    node,
                    request,
                    deadline,
                } => Some((to, node, request, deadline)),
                _ => None,
            });
        let (asked_at, node, request, deadline) = asked.expect("it is asked by stream");
        assert_eq!((asked_at, &*node), (to, ping.node.as_str()));
        assert_eq!(deadline, now + Duration::from_millis(500));
        let read = machine.request_reader().feed(&request);
        assert_eq!(read, Ok(Some(StreamMessage::Ping(ping.clone()))));
        if answers {
            let ack = Ack {
                seq_no: ping.seq_no,
                payload: None,
            };
            machine.handle_stream_ack(now, &ack);
            let reached = Event::ReachedByStream { node };
            assert!(events(&mut machine).contains(&reached));
        }
        run_between(&mut machine, now, deadline, |_, _, _, _| {});
        let expected = match answers {
            true => NodeState::Alive,
            false => NodeState::Suspect,
        };
        assert_eq!(state(&machine, &ping.node), Some(expected));
    }
}
