//! What users of the library decide, send and learn.

use std::sync::{Arc, Mutex};

use pyroscope_memberlist::{Node, Policy, PushPullRejected, StreamMessage};

use super::*;

/// Refuses nodes whose name starts with `bad`, and clusters with such a node.
#[derive(Debug, Default)]
struct NoBad {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Policy for NoBad {
    fn admit(&self, node: &Node) -> Result<(), String> {
        let mut asked = self.asked.lock().expect("nobody panics");
        asked.push(node.name.to_string());
        match node.name.starts_with("bad") {
            true => Err("bad".to_owned()),
            false => Ok(()),
        }
    }

    fn merge(&self, nodes: &[Node]) -> Result<(), String> {
        match nodes.iter().any(|node| node.name.starts_with("bad")) {
            true => Err("bad company".to_owned()),
            false => Ok(()),
        }
    }
}

fn push_pull(join: bool, names: &[&str]) -> PushPull {
    let node = |(host, name): (usize, &&str)| PushPullNode {
        name: (*name).to_owned(),
        addr: vec![10, 0, 1, host as u8],
        port: 7946,
        incarnation: 1,
        vsn: Some(VSN.to_vec()),
        ..PushPullNode::default()
    };
    PushPull {
        join,
        nodes: names.iter().enumerate().map(node).collect(),
        user_state: Bytes::new(),
    }
}

#[test]
fn nodes_that_are_not_admitted_are_not_known() {
    let mut machine = machine();
    let policy = NoBad::default();
    let asked = Arc::clone(&policy.asked);
    machine.set_policy(Box::new(policy));
    accept(&mut machine, Message::Alive(alive("good", 2, 1)));
    let refused = handle(&mut machine, NOW, Message::Alive(alive("bad", 3, 1)));
    assert_eq!(
        refused.as_ref().map_err(WireError::kind),
        Err("not_admitted")
    );
    assert_eq!(state(&machine, "good"), Some(NodeState::Alive));
    assert_eq!(state(&machine, "bad"), None);
    accept(&mut machine, Message::Alive(alive("good", 2, 1)));
    let asked = asked.lock().expect("nobody panics").clone();
    assert_eq!(asked, ["good", "bad"], "nobody is asked about old news");
}

#[test]
fn clusters_become_one_only_if_both_want_it() {
    let mut machine = machine();
    machine.set_policy(Box::new(NoBad::default()));
    let rejected = machine.handle_push_pull(NOW, &push_pull(true, &["good", "bad"]));
    assert_eq!(
        rejected,
        Err(PushPullRejected::Vetoed {
            reason: "bad company".to_owned()
        })
    );
    assert_eq!(state(&machine, "good"), None);

    let merged = machine.handle_push_pull(NOW, &push_pull(false, &["good", "bad"]));
    let merged = merged.expect("only joining asks the policy");
    assert_eq!(merged.skipped, 1);
    assert_eq!(
        merged.first_error.map(|error| error.kind()),
        Some("not_admitted")
    );
    assert_eq!(state(&machine, "good"), Some(NodeState::Alive));
}

#[test]
fn acks_carry_a_payload_and_who_asked_learns_the_time() {
    let mut asked = with_nodes(0);
    assert!(asked.set_ack_payload(&[0; 513]).is_err());
    assert_eq!(asked.set_ack_payload(b"load 3"), Ok(()));
    accept(&mut asked, Message::Ping(Ping::default()));
    let answers = sent(&mut asked);
    let payload = match &answers[0].1 {
        Message::Ack(ack) => ack.payload.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(payload.as_deref(), Some(&b"load 3"[..]));

    let mut machine = with_nodes(1);
    let mut now = NOW;
    let ping = loop {
        now = machine.next_timeout().max(now);
        machine.handle_timeout(now);
        let ping = sent(&mut machine)
            .into_iter()
            .find_map(|(_, message)| match message {
                Message::Ping(ping) => Some(ping),
                _ => None,
            });
        if let Some(ping) = ping {
            break ping;
        }
    };
    let ack = Ack {
        seq_no: ping.seq_no,
        payload,
    };
    let later = now + Duration::from_millis(30);
    assert_eq!(
        handle(&mut machine, later, Message::Ack(ack.clone())),
        Ok(())
    );
    assert_eq!(handle(&mut machine, later, Message::Ack(ack)), Ok(()));
    let completed = Event::PingCompleted {
        node: "a".into(),
        rtt: Duration::from_millis(30),
        payload: "load 3".into(),
    };
    assert_eq!(events(&mut machine), [completed], "once");
}

#[test]
fn a_best_effort_message_is_one_packet_with_a_checksum_for_those_who_know_it() {
    let mut machine = with_nodes(1);
    for (to, first) in [("10.0.0.10:7946", 12), ("10.0.0.99:7946", 8)] {
        let to = to.parse().expect("an address");
        assert_eq!(machine.send_best_effort(to, b"hello"), Ok(()));
        match outputs(&mut machine).as_slice() {
            [
                Output::Packet {
                    to: sent_to,
                    payload,
                },
            ] => {
                assert_eq!((*sent_to, payload[0]), (to, first));
                let user = Message::User("hello".into());
                assert_eq!(packet::decode(payload), (vec![user], None));
            }
            other => panic!("{other:?}"),
        }
    }
    let too_long = vec![0; machine.config().packet_budget];
    let to = "10.0.0.10:7946".parse().expect("an address");
    let refused = machine.send_best_effort(to, &too_long);
    assert_eq!(refused.map_err(|error| error.kind()), Err("too_large"));
    assert_eq!(machine.poll_output(), None);
}

#[test]
fn a_reliable_message_is_a_stream() {
    let mut sender = machine();
    let long = vec![b'x'; 100_000];
    for payload in [&b""[..], b"hello", &long] {
        let stream = sender.user_stream(payload).expect("it is short enough");
        let read = machine().request_reader().feed(&stream);
        let message = StreamMessage::User(Bytes::copy_from_slice(payload));
        assert_eq!(read, Ok(Some(message)));
    }
    let refused = sender.user_stream(&vec![0; pyroscope_memberlist::MAX_USER_STATE + 1]);
    assert_eq!(refused.map_err(|error| error.kind()), Err("too_large"));
}

#[test]
fn acks_come_only_as_answers_on_streams() {
    let ack = Ack {
        seq_no: 9,
        payload: None,
    };
    let bytes = Message::Ack(ack.clone()).encode();
    let read = machine().response_reader().feed(&bytes);
    assert_eq!(read, Ok(Some(StreamMessage::Ack(ack))));
    let refused = machine().request_reader().feed(&bytes);
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err("unexpected_type")
    );
}
