//! Push/pull.

use pyroscope_memberlist::StreamMessage;

use super::*;

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
    assert_eq!(
        machine.handle_push_pull(NOW, &push_pull(nodes)),
        Ok(Merged::default())
    );
    assert_eq!(state(&machine, "a"), Some(NodeState::Suspect));
    assert_eq!(state(&machine, "b"), Some(NodeState::Left));
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

#[test]
fn an_early_exchange_goes_to_a_living_node_and_not_too_often() {
    let mut machine = with_nodes(2);
    accept(&mut machine, Message::Dead(accusation("a", 1, "c")));
    outputs(&mut machine);
    assert!(machine.request_push_pull(after(1)));
    let asked = outputs(&mut machine);
    assert!(
        matches!(&asked[..], [Output::PushPull { node, .. }] if **node == *"b"),
        "{asked:?}"
    );
    assert!(!machine.request_push_pull(after(10)));
    assert!(machine.request_push_pull(after(11)));

    let mut alone = super::machine();
    assert!(!alone.request_push_pull(after(1)));
}

#[test]
fn a_cluster_that_doubled_is_a_reason_to_exchange_state_soon() {
    let mut machine = machine();
    let mut exchanges = Vec::new();
    for host in 0..32 {
        let name = format!("n{host}");
        let now = after(u64::from(host) / 4);
        assert_eq!(
            handle(&mut machine, now, Message::Alive(alive(&name, host, 1))),
            Ok(())
        );
        outputs(&mut machine);
        let end = after((u64::from(host) + 1) / 4);
        while machine.next_timeout() < end {
            let now = machine.next_timeout().max(now);
            machine.handle_timeout(now);
            let asked = outputs(&mut machine);
            if asked
                .iter()
                .any(|output| matches!(output, Output::PushPull { .. }))
            {
                let state = PushPull::default();
                assert!(machine.handle_push_pull(now, &state).is_ok());
                exchanges.push(now);
            }
        }
    }
    assert!((3..=5).contains(&exchanges.len()), "{exchanges:?}");
}

#[test]
fn a_name_that_is_not_text_costs_its_own_record_only() {
    let mut bad = remote("bad", NodeState::Alive, &VSN);
    bad.addr = vec![10, 0, 0, 3];
    let mut stream = push_pull(vec![bad, remote("good", NodeState::Alive, &VSN)]).encode();
    let at = stream.windows(3).position(|name| name == b"bad");
    stream[at.expect("the name is there")] = 0xFF;
    let mut machine = machine();
    let message = machine.request_reader().feed(&stream);
    let Ok(Some(StreamMessage::PushPull(state))) = message else {
        panic!("{message:?}");
    };
    let merged = machine.handle_push_pull(NOW, &state);
    assert!(merged.is_ok_and(|merged| merged.skipped == 1));
    assert_eq!(self::state(&machine, "good"), Some(NodeState::Alive));
    assert_eq!(machine.members().count(), 2);
}
