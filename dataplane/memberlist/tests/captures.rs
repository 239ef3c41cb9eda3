//! Every capture of a Go peer decodes, and encodes to the same bytes again where both sides must agree on them.

use std::path::Path;

use bytes::Bytes;
use pyroscope_memberlist::{
    Accusation, Address, Compression, Config, EncryptionVersion, Event, Keyring, Machine, Merged,
    Message, NodeState, Nonces, Output, PushPull, StreamMessage, StreamReader, Timestamp,
    WireError, frame, packet,
};

/// Reads a capture.
fn capture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(format!("{name}.hex"));
    unhex(&std::fs::read_to_string(&path).expect("the capture can be read"))
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex is ascii");
            u8::from_str_radix(pair, 16).expect("captures are hex")
        })
        .collect()
}

/// Creates a machine of the cluster `label`.
fn machine(label: &str) -> Machine {
    let mut config = Config::new("rust", Address::v4([127, 0, 0, 1], 7946));
    config.label = label.to_owned();
    Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid")
}

/// Creates a machine of the cluster `label` that has the keys.
fn encrypted_machine(label: &str, keys: &[&[u8]]) -> Machine {
    let mut config = Config::lan("rust", Address::v4([127, 0, 0, 1], 7946));
    config.label = label.to_owned();
    config.keyring = Some(Keyring::new(keys).expect("the keys are valid"));
    let nonces = Nonces::from_secret([3; 32]);
    Machine::encrypted(config, 1, nonces, Timestamp::ZERO).expect("the config is valid")
}

/// Decodes the payload of a packet and checks that encoding its messages gives the same bytes.
fn round_trip(payload: &[u8], compression: Option<Compression>, with_crc: bool) -> Vec<Message> {
    let (label, rest) = packet::split_label(payload).expect("the label is valid");
    let (messages, error) = packet::decode(rest);
    assert_eq!(error, None);
    let encoded: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
    let body = packet::assemble(&encoded).remove(0);
    let label = std::str::from_utf8(label).expect("labels of captures are text");
    assert!(
        packet::encode(label, compression, with_crc, body) == payload,
        "encodes differently"
    );
    messages
}

/// Splits a dskit packet and checks that its frame encodes to the same bytes.
fn dskit_payload(name: &str) -> Vec<u8> {
    let bytes = capture(name);
    assert_eq!(bytes[0], frame::PACKET);
    let decoded = frame::decode(&bytes[1..]).expect("the frame is valid");
    assert_eq!(
        frame::encode(decoded.from, decoded.payload),
        Ok(bytes.clone())
    );
    decoded.payload.to_vec()
}

fn kinds(messages: &[Message]) -> Vec<&'static str> {
    let kind = |message: &Message| match message {
        Message::Ping(_) => "ping",
        Message::IndirectPing(_) => "indirect ping",
        Message::Ack(_) => "ack",
        Message::Suspect(_) => "suspect",
        Message::Alive(_) => "alive",
        Message::Dead(_) => "dead",
        Message::User(_) => "user",
        Message::Nack(_) => "nack",
        Message::Err(_) => "error",
    };
    messages.iter().map(kind).collect()
}

#[test]
fn dskit_packets() {
    let lzw = Some(Compression::Lzw);
    for (name, compression, with_crc, expected) in [
        ("01-dskit-ping", None, false, vec!["ping"]),
        ("02-dskit-ack", None, false, vec!["ack"]),
        (
            "03-dskit-compound-alive-user",
            None,
            true,
            vec!["alive", "alive", "user", "user"],
        ),
        (
            "04-dskit-user-keyvaluepair-ringdesc",
            None,
            true,
            vec!["user"],
        ),
        ("05-dskit-user-left-tombstone", None, true, vec!["user"]),
        ("06-dskit-leave-dead", None, true, vec!["dead"]),
        ("07-dskit-ping-piggyback", None, false, vec!["ping", "user"]),
        (
            "11-dskit-packet-label-crc-lzw-compound",
            lzw,
            true,
            vec!["alive", "alive", "user"],
        ),
    ] {
        let messages = round_trip(&dskit_payload(name), compression, with_crc);
        assert_eq!(kinds(&messages), expected, "{name}");
    }
}

#[test]
fn snappy_packet() {
    let payload = dskit_payload("12-dskit-packet-snappy");
    let (messages, error) = packet::decode(&payload);
    assert_eq!(error, None);
    assert_eq!(kinds(&messages), ["alive", "alive", "user", "user"]);
}

#[test]
fn classic_packets() {
    for (name, with_crc, expected) in [
        ("20-udp-ping", false, vec!["ping"]),
        ("21-udp-ack", false, vec!["ack"]),
        ("22-udp-indirect-ping", false, vec!["indirect ping"]),
        ("23-udp-nack", false, vec!["nack"]),
        ("24-udp-suspect", true, vec!["suspect"]),
        ("25-udp-dead", true, vec!["dead"]),
        ("26-udp-alive", true, vec!["alive"]),
        (
            "27-udp-compound-ping-suspect",
            true,
            vec!["ping", "suspect"],
        ),
        ("28-udp-user", true, vec!["user"]),
    ] {
        let messages = round_trip(&capture(name), None, with_crc);
        assert_eq!(kinds(&messages), expected, "{name}");
    }
}

#[test]
fn fields_mean_what_they_say() {
    let messages = round_trip(&capture("22-udp-indirect-ping"), None, false);
    let [Message::IndirectPing(ping)] = &messages[..] else {
        panic!("one indirect ping")
    };
    assert_eq!(
        (ping.seq_no, ping.node.as_str(), ping.port),
        (5, "p4", 7204)
    );
    assert_eq!((&ping.target[..], ping.nack), (&[127, 0, 0, 1][..], true));
    assert_eq!(ping.source_node, "p2");

    let messages = round_trip(&dskit_payload("06-dskit-leave-dead"), None, true);
    let [Message::Dead(Accusation { node, from, .. })] = &messages[..] else {
        panic!("one dead message")
    };
    assert_eq!(node, from, "who leaves says so itself");
}

/// Feeds a stream byte by byte, which must be complete with the last byte and not before.
fn read(mut reader: StreamReader, bytes: &[u8]) -> StreamMessage {
    let (last, first) = bytes.split_last().expect("the stream is not empty");
    for byte in first {
        assert_eq!(reader.feed(&[*byte]), Ok(None));
    }
    let message = reader.feed(&[*last]).expect("the stream is valid");
    message.expect("the stream is complete")
}

fn push_pull(message: StreamMessage) -> PushPull {
    match message {
        StreamMessage::PushPull(state) => state,
        other => panic!("not a push/pull: {other:?}"),
    }
}

#[test]
fn push_pulls() {
    let lzw = Some(Compression::Lzw);
    for (name, label, compression, nodes) in [
        ("08-dskit-pushpull-join", "", None, (2, 2)),
        ("09-dskit-pushpull-label-lzw", "prod", lzw, (2, 2)),
        ("10-dskit-pushpull-label-uncompressed", "prod", None, (1, 1)),
        ("29-tcp-pushpull-plain", "", None, (1, 2)),
    ] {
        let client = capture(&format!("{name}.client"));
        let request = match name.contains("dskit") {
            true => client
                .strip_prefix(&[frame::STREAM])
                .expect("a dskit stream"),
            false => &client,
        };
        let server = capture(&format!("{name}.server"));
        let sent = push_pull(read(machine(label).request_reader(), request));
        let answered = push_pull(read(machine(label).response_reader(), &server));
        assert_eq!((sent.nodes.len(), answered.nodes.len()), nodes, "{name}");
        assert_eq!(sent.join, answered.join, "{name}: the answer repeats join");
        let encode =
            |label, state: &PushPull| packet::encode(label, compression, false, state.encode());
        assert!(
            encode(label, &sent) == request,
            "{name}: request encodes differently"
        );
        assert!(
            encode("", &answered) == server,
            "{name}: answer encodes differently"
        );
    }
}

#[test]
fn snappy_push_pull() {
    let client = capture("13-dskit-pushpull-snappy.client");
    let server = capture("13-dskit-pushpull-snappy.server");
    let sent = push_pull(read(machine("").request_reader(), &client[1..]));
    let answered = push_pull(read(machine("").response_reader(), &server));
    assert!(!sent.user_state.is_empty() && !answered.user_state.is_empty());
}

#[test]
fn stream_ping_is_answered_by_the_node_it_is_for() {
    let bytes = capture("30-tcp-ping-fallback.client");
    let StreamMessage::Ping(ping) = read(machine("").request_reader(), &bytes) else {
        panic!("not a ping")
    };
    assert_eq!(machine("").stream_ping_reply(&ping), None);
    let config = Config::new("p4", Address::v4([127, 0, 0, 1], 7204));
    let mut p4 = Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid");
    let reply = p4.stream_ping_reply(&ping).expect("p4 is asked");
    let reply = Message::decode(&Bytes::from(reply)).expect("the reply is valid");
    assert!(matches!(reply, Message::Ack(ack) if ack.seq_no == ping.seq_no));
}

#[test]
fn encrypted_input_is_recognised_and_refused_without_a_key() {
    for name in ["40-udp-encrypted-ping", "41-udp-encrypted-crc-lzw-compound"] {
        let refused = machine("lab1").handle_packet(Timestamp::ZERO, "", &capture(name));
        assert_eq!(refused, Err(WireError::Encrypted), "{name}");
    }
    let client = capture("42-tcp-encrypted-pushpull.client");
    let server = capture("42-tcp-encrypted-pushpull.server");
    let machine = machine("lab1");
    assert_eq!(
        machine.request_reader().feed(&client),
        Err(WireError::Encrypted)
    );
    assert_eq!(
        machine.response_reader().feed(&server),
        Err(WireError::Encrypted)
    );
}

/// The key of the encrypted captures.
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn encrypted_captures_are_read_with_the_key() {
    let mut machine = encrypted_machine("lab1", &[&[9; 32], &KEY]);
    for name in ["40-udp-encrypted-ping", "41-udp-encrypted-crc-lzw-compound"] {
        let result = machine.handle_packet(Timestamp::ZERO, "127.0.0.1:1", &capture(name));
        match result {
            Ok(()) => {}
            // The ping is for the node that was captured.
            Err(WireError::WrongNode { .. }) if name.starts_with("40") => {}
            refused => panic!("{name}: {refused:?}"),
        }
    }
    assert!(machine.members().count() > 1, "the compound tells of nodes");
    let client = capture("42-tcp-encrypted-pushpull.client");
    let server = capture("42-tcp-encrypted-pushpull.server");
    for (reader, bytes) in [
        (machine.request_reader(), client),
        (machine.response_reader(), server),
    ] {
        let StreamMessage::PushPull(state) = read(reader, &bytes) else {
            panic!("not a push/pull");
        };
        assert!(!state.nodes.is_empty());
    }
}

#[test]
fn encryption_is_that_of_go_in_both_versions_and_with_all_lengths_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/encryption-vectors.json");
    let json = std::fs::read_to_string(path).expect("the vectors can be read");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&json).expect("they are json");
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let text = |field: &str| vector[field].as_str().expect("it is text").to_owned();
        let bytes = |field: &str| unhex(&text(field));
        let keys = Keyring::new([bytes("key")]).expect("the key is valid");
        let nonce = bytes("nonce").try_into().expect("12 bytes");
        let version = match vector["encryption_version"].as_u64() {
            Some(0) => EncryptionVersion::Padded,
            _ => EncryptionVersion::Unpadded,
        };
        for (form, header) in [("packet", 0), ("stream", 5)] {
            let plain = bytes(&format!("{form}_plaintext"));
            let authenticated = bytes(&format!("{form}_aad"));
            let whole = bytes(form);
            let (_, unlabelled) = packet::split_label(&whole).expect("the label is valid");
            let sealed = &unlabelled[header..];
            assert_eq!(keys.open(sealed, &authenticated).as_ref(), Ok(&plain));
            let written = keys.seal(version, nonce, &plain, &authenticated);
            assert_eq!(written.as_deref(), Some(sealed));
        }

        let mut machine = encrypted_machine(&text("label"), &[&bytes("key")]);
        assert_eq!(
            machine.handle_packet(Timestamp::ZERO, "", &bytes("packet")),
            Ok(())
        );
        let user = Bytes::from(bytes("packet_plaintext")).slice(1..);
        assert_eq!(machine.poll_output(), Some(Output::UserMessage(user)));
        let StreamMessage::User(user) = read(machine.request_reader(), &bytes("stream")) else {
            panic!("not a user message");
        };
        assert!(bytes("stream_plaintext").ends_with(&user));
    }
}

#[test]
fn another_label_is_refused_without_an_answer() {
    let labelled = dskit_payload("11-dskit-packet-label-crc-lzw-compound");
    let plain = dskit_payload("03-dskit-compound-alive-user");
    for (label, payload) in [("", &labelled), ("other", &labelled), ("prod", &plain)] {
        let mut machine = machine(label);
        let refused = machine.handle_packet(Timestamp::ZERO, "", payload);
        assert!(
            matches!(refused, Err(WireError::LabelMismatch { .. })),
            "{refused:?}"
        );
        assert_eq!(machine.poll_output(), None);
    }
    let stream = capture("09-dskit-pushpull-label-lzw.client");
    let refused = machine("other").request_reader().feed(&stream[1..]);
    assert!(
        matches!(refused, Err(WireError::LabelMismatch { .. })),
        "{refused:?}"
    );
}

#[test]
fn label_verification_can_be_disabled() {
    let mut config = Config::new("rust", Address::v4([127, 0, 0, 1], 7946));
    config.verify_label = false;
    let mut machine = Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid");
    let labelled = dskit_payload("11-dskit-packet-label-crc-lzw-compound");
    assert_eq!(
        machine.handle_packet(Timestamp::ZERO, "", &labelled),
        Ok(())
    );
    assert_eq!(machine.alive_count(), 3);
}

#[test]
fn a_machine_joins_the_captured_cluster() {
    let mut machine = machine("");
    let server = capture("08-dskit-pushpull-join.server");
    let state = push_pull(read(machine.response_reader(), &server));
    let merged = machine.handle_push_pull(Timestamp::ZERO, &state);
    assert_eq!(merged, Ok(Merged::default()));
    let gossip = dskit_payload("03-dskit-compound-alive-user");
    let packet = machine.handle_packet(Timestamp::ZERO, "127.0.0.1:7201", &gossip);
    assert_eq!(packet, Ok(()));
    let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
    let joined = |output: &&Output| matches!(output, Output::Event(Event::Joined(_)));
    assert_eq!(outputs.iter().filter(joined).count(), 2);
    let user = |output: &&Output| matches!(output, Output::UserMessage(_));
    assert_eq!(outputs.iter().filter(user).count(), 2);
    let node = machine.member("node-a").expect("node-a is known");
    assert_eq!(node.state, NodeState::Alive);
    assert_eq!(node.address.to_string(), "127.0.0.1:7201");
}
