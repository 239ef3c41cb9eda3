//! Keys: what is encrypted, what is refused, and how keys change under way.

use pyroscope_memberlist::{KeyError, Keyring, Nonces, StreamMessage};

use super::*;

const OLD: [u8; 16] = [1; 16];
const NEW: [u8; 32] = [2; 32];

/// Each machine has its own secret, as each node must.
fn machine_with(secret: u8, label: &str, change: impl FnOnce(&mut Config)) -> Machine {
    let mut config = config();
    config.label = label.to_owned();
    config.keyring = Keyring::new([OLD]).ok();
    change(&mut config);
    let nonces = Nonces::from_secret([secret; 32]);
    Machine::encrypted(config, 7, nonces, NOW).expect("the config is valid")
}

fn to() -> SocketAddr {
    "10.0.0.2:7946".parse().expect("it is an address")
}

fn packet_with(machine: &mut Machine, text: &[u8]) -> Vec<u8> {
    machine.send_best_effort(to(), text).expect("it fits");
    match machine.poll_output() {
        Some(Output::Packet { payload, .. }) => payload,
        other => panic!("{other:?}"),
    }
}

/// Hands a packet over and returns the user message in it.
fn receive(machine: &mut Machine, packet: &[u8]) -> Result<Bytes, WireError> {
    machine.handle_packet(NOW, "10.0.0.9:7946", packet)?;
    match machine.poll_output() {
        Some(Output::UserMessage(text)) => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_are_readable_with_the_key_and_the_label_only() {
    let mut a = machine_with(1, "prod", |_| {});
    let packet = packet_with(&mut a, b"a secret that nobody else reads");
    assert!(!packet.windows(6).any(|window| window == b"secret"));
    let text = receive(&mut machine_with(2, "prod", |_| {}), &packet);
    assert_eq!(text, Ok("a secret that nobody else reads".into()));

    let mut other_key = machine_with(2, "prod", |config| {
        config.keyring = Keyring::new([NEW]).ok();
    });
    assert_eq!(receive(&mut other_key, &packet), Err(WireError::UnknownKey));
    let mut relabelled = packet.clone();
    relabelled[2..6].copy_from_slice(b"test");
    let mut other_label = machine_with(2, "test", |_| {});
    assert_eq!(
        receive(&mut other_label, &relabelled),
        Err(WireError::UnknownKey),
        "the label is authenticated"
    );
    let mut plain = machine();
    let packet = packet_with(&mut machine_with(1, "", |_| {}), b"text");
    assert_eq!(receive(&mut plain, &packet), Err(WireError::Encrypted));
}

#[test]
fn the_same_text_is_never_encrypted_to_the_same_bytes() {
    let mut a = machine_with(1, "", |_| {});
    let first = packet_with(&mut a, b"text");
    assert_ne!(first, packet_with(&mut a, b"text"));
    assert_ne!(
        first,
        packet_with(&mut machine_with(2, "", |_| {}), b"text")
    );
}

#[test]
fn plain_input_is_refused_unless_that_is_allowed() {
    let ping = Message::Ping(Ping::default()).encode();
    let user = Message::User("text".into()).encode();
    let mut strict = machine_with(1, "", |_| {});
    for message in [&ping, &user] {
        let refused = strict.handle_packet(NOW, "10.0.0.9:7946", message);
        assert_eq!(refused, Err(WireError::NotEncrypted));
    }
    assert_eq!(strict.poll_output(), None);
    let stream = machine().push_pull_request(false, b"state");
    let refused = strict.request_reader().feed(&stream);
    assert_eq!(refused, Err(WireError::NotEncrypted));

    let mut lenient = machine_with(1, "", |config| config.verify_incoming = false);
    assert_eq!(receive(&mut lenient, &user), Ok("text".into()));
    let read = lenient.request_reader().feed(&stream);
    assert!(
        matches!(read, Ok(Some(StreamMessage::PushPull(_)))),
        "{read:?}"
    );
}

#[test]
fn output_stays_plain_until_that_is_turned_on() {
    let mut silent = machine_with(1, "", |config| config.verify_outgoing = false);
    let packet = packet_with(&mut silent, b"text");
    assert_eq!(receive(&mut machine(), &packet), Ok("text".into()));
    let mut keyless = machine_with(1, "", |config| config.keyring = None);
    let packet = packet_with(&mut keyless, b"text");
    assert_eq!(receive(&mut machine(), &packet), Ok("text".into()));
    assert!(Machine::new(silent.config().clone(), 7, NOW).is_err());
}

#[test]
fn streams_are_encrypted_in_both_directions() {
    for label in ["", "prod"] {
        let mut opener = machine_with(1, label, |_| {});
        let mut acceptor = machine_with(2, label, |_| {});
        let request = opener.push_pull_request(true, b"a secret state");
        let response = acceptor.push_pull_response(true, b"a secret answer");
        for (mut reader, bytes, state) in [
            (acceptor.request_reader(), request, "a secret state"),
            (opener.response_reader(), response, "a secret answer"),
        ] {
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
            let (last, most) = bytes.split_last().expect("there are bytes");
            for byte in most {
                assert_eq!(reader.feed(&[*byte]), Ok(None));
            }
            let read = reader.feed(&[*last]);
            let Ok(Some(StreamMessage::PushPull(read))) = read else {
                panic!("{read:?}");
            };
            assert_eq!(read.user_state, state);
        }
        let stream = opener.user_stream(b"reliable").expect("it is short");
        let read = acceptor.request_reader().feed(&stream);
        assert_eq!(read, Ok(Some(StreamMessage::User("reliable".into()))));
    }
}

#[test]
fn who_has_other_settings_is_told_so() {
    let mut encrypted = machine_with(1, "", |_| {});
    let plain = machine();
    let stream = encrypted.push_pull_request(false, b"");
    let refused = plain.request_reader().feed(&stream);
    assert_eq!(refused, Err(WireError::Encrypted));
    let answer = plain.stream_refusal(&WireError::Encrypted);
    let mut reader = machine().response_reader();
    let told = reader.feed(&answer.expect("it is told"));
    assert!(
        matches!(told, Ok(Some(StreamMessage::Error(_)))),
        "{told:?}"
    );
    assert_eq!(plain.stream_refusal(&WireError::UnknownKey), None);
}

#[test]
fn keys_are_rolled_without_a_gap() {
    let mut nodes: Vec<Machine> = (1..=3)
        .map(|secret| machine_with(secret, "", |_| {}))
        .collect();
    let all_hear_all = |nodes: &mut Vec<Machine>| {
        for sender in 0..nodes.len() {
            let packet = packet_with(&mut nodes[sender], b"text");
            for node in nodes.iter_mut() {
                assert_eq!(receive(node, &packet), Ok("text".into()));
            }
        }
    };
    type Step = fn(&mut Keyring) -> Result<(), KeyError>;
    let steps: [Step; 3] = [
        |keys| keys.install(&NEW),
        |keys| keys.use_key(&NEW),
        |keys| keys.remove(&OLD),
    ];
    for step in steps {
        for node in 0..nodes.len() {
            let keys = nodes[node].keyring_mut().expect("it has keys");
            assert_eq!(step(keys), Ok(()));
            all_hear_all(&mut nodes);
        }
    }
    let outdated = packet_with(&mut machine_with(9, "", |_| {}), b"text");
    assert_eq!(
        receive(&mut nodes[0], &outdated),
        Err(WireError::UnknownKey)
    );
}

#[test]
fn what_cannot_be_done_with_keys_is_refused() {
    let mut keys = Keyring::new([OLD]).expect("the key is valid");
    assert_eq!(keys.install(&[0; 20]), Err(KeyError::Length { found: 20 }));
    assert_eq!(keys.use_key(&NEW), Err(KeyError::NotInstalled));
    assert_eq!(keys.remove(&OLD), Err(KeyError::Primary));
    assert_eq!(keys.remove(&NEW), Ok(()));
    for key in 10..25 {
        assert_eq!(keys.install(&[key; 16]), Ok(()));
    }
    assert!(matches!(keys.install(&NEW), Err(KeyError::Full { .. })));
    assert_eq!(keys.install(&OLD), Ok(()), "it is there already");
    assert!(!format!("{keys:?}").contains('1'), "{keys:?}");
}

#[test]
fn encrypted_packets_stay_within_their_budget() {
    let mut machine = machine_with(1, "prod", |config| config.packet_budget = 1400);
    accept_sealed(&mut machine);
    for version in 0..20 {
        let payload = vec![b'x'; 200];
        let update = Broadcast::new(format!("key-{version}"), ["id"], version, payload);
        machine.broadcast(Origin::Local, update);
    }
    let mut sizes = Vec::new();
    for round in 1..20 {
        machine.handle_timeout(after(round));
        for output in outputs(&mut machine) {
            if let Output::Packet { payload, .. } = output {
                sizes.push(payload.len());
            }
        }
    }
    let largest = sizes.into_iter().max();
    assert!((Some(1100)..=Some(1405)).contains(&largest), "{largest:?}");
}

#[test]
fn an_update_that_fits_still_fits_once_there_is_a_key() {
    let mut machine = machine_with(1, "", |config| {
        config.packet_budget = 1400;
        config.keyring = None;
    });
    accept_sealed(&mut machine);
    for length in 1360..1370 {
        let update = Broadcast::new(format!("key-{length}"), ["id"], 1, vec![b'x'; length]);
        machine.broadcast(Origin::Local, update);
    }
    assert!(machine.queued_broadcasts(Origin::Local) > 5);
    let keys = machine.keyring_mut().expect("there is a ring");
    assert_eq!(keys.install(&OLD), Ok(()));
    while machine.next_timeout() <= after(20) {
        machine.handle_timeout(machine.next_timeout());
        outputs(&mut machine);
    }
    assert_eq!(machine.queued_broadcasts(Origin::Local), 0);
}

/// Lets the machine know of another node.
fn accept_sealed(machine: &mut Machine) {
    let mut state = PushPull::default();
    state.nodes.push(PushPullNode {
        name: "a".to_owned(),
        addr: vec![10, 0, 0, 2],
        port: 7946,
        incarnation: 1,
        vsn: Some(VSN.to_vec()),
        ..PushPullNode::default()
    });
    assert!(machine.handle_push_pull(NOW, &state).is_ok());
    outputs(machine);
}
