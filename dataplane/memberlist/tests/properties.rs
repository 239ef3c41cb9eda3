//! Codecs give back what they were given, and no input of any kind makes them panic.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use pyroscope_memberlist::{
    Accusation, Ack, Address, Alive, Compression, Config, EncryptionVersion, IndirectPing, Keyring,
    Machine, Message, NONCE, Nonces, Ping, PushPull, PushPullNode, Role, StreamMessage, Timestamp,
    WireError, Zone, frame, packet,
};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{0,40}", "\\PC{0,90}"]
}

fn ping() -> impl Strategy<Value = Ping> {
    (any::<u32>(), name(), bytes(17), any::<u16>(), name()).prop_map(
        |(seq_no, node, source_addr, source_port, source_node)| Ping {
            seq_no,
            node,
            source_addr,
            source_port,
            source_node,
        },
    )
}

fn indirect_ping() -> impl Strategy<Value = IndirectPing> {
    (ping(), bytes(17), any::<u16>(), any::<bool>()).prop_map(|(ping, target, port, nack)| {
        IndirectPing {
            seq_no: ping.seq_no,
            target,
            port,
            node: ping.node,
            nack,
            source_addr: ping.source_addr,
            source_port: ping.source_port,
            source_node: ping.source_node,
        }
    })
}

fn accusation() -> impl Strategy<Value = Accusation> {
    (any::<u32>(), name(), name()).prop_map(|(incarnation, node, from)| Accusation {
        incarnation,
        node,
        from,
    })
}

fn alive() -> impl Strategy<Value = Alive> {
    let address = (bytes(17), any::<u16>());
    (
        any::<u32>(),
        name(),
        address,
        option::of(bytes(600)),
        option::of(bytes(8)),
    )
        .prop_map(|(incarnation, node, (addr, port), meta, vsn)| Alive {
            incarnation,
            node,
            addr,
            port,
            meta,
            vsn,
        })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ping().prop_map(Message::Ping),
        indirect_ping().prop_map(Message::IndirectPing),
        (any::<u32>(), option::of(bytes(300)))
            .prop_map(|(seq_no, payload)| Message::Ack(Ack { seq_no, payload })),
        accusation().prop_map(Message::Suspect),
        alive().prop_map(Message::Alive),
        accusation().prop_map(Message::Dead),
        bytes(3000).prop_map(|payload| Message::User(Bytes::from(payload))),
        any::<u32>().prop_map(Message::Nack),
        name().prop_map(Message::Err),
    ]
}

fn push_pull() -> impl Strategy<Value = PushPull> {
    let node = (alive(), any::<i64>()).prop_map(|(alive, state)| PushPullNode {
        name: alive.node,
        addr: alive.addr,
        port: alive.port,
        meta: alive.meta,
        incarnation: alive.incarnation,
        state,
        vsn: alive.vsn,
    });
    (any::<bool>(), vec(node, 0..20), bytes(5000)).prop_map(|(join, nodes, state)| PushPull {
        join,
        nodes,
        user_state: Bytes::from(state),
    })
}

fn compression() -> impl Strategy<Value = Option<Compression>> {
    prop_oneof![
        Just(None),
        Just(Some(Compression::Lzw)),
        Just(Some(Compression::Snappy))
    ]
}

fn machine(label: &str) -> Machine {
    let mut config = Config::new("me", Address::v4([127, 0, 0, 1], 7946));
    config.label = label.to_owned();
    config.verify_label = !label.is_empty();
    Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid")
}

/// Creates a machine that encrypts, and reads what is not encrypted as well.
fn encrypted_machine(label: &str, verify: bool) -> Machine {
    let mut config = Config::lan("me", Address::v4([127, 0, 0, 1], 7946));
    config.label = label.to_owned();
    config.keyring = Keyring::new([[7; 16]]).ok();
    config.verify_incoming = verify;
    let nonces = Nonces::from_secret([1; 32]);
    Machine::encrypted(config, 1, nonces, Timestamp::ZERO).expect("the config is valid")
}

/// Hands bytes to every decoder; only panics and endless work can fail this.
fn decode_everywhere(bytes: &[u8]) {
    let mut lenient = encrypted_machine("", false);
    let _ = lenient.handle_packet(Timestamp::ZERO, "127.0.0.1:1", bytes);
    let _ = lenient.request_reader().feed(bytes);
    let strict = encrypted_machine("", true).handle_packet(Timestamp::ZERO, "", bytes);
    assert!(strict.is_err(), "nobody but holders of the key is heard");
    let _ = frame::decode(bytes);
    let _ = packet::decode(bytes);
    let mut machine = machine("");
    let mut now = Timestamp::from_duration(Duration::from_secs(1));
    let _ = machine.handle_packet(now, "127.0.0.1:1", bytes);
    for mut reader in [machine.request_reader(), machine.response_reader()] {
        if let Ok(Some(StreamMessage::PushPull(state))) = reader.feed(bytes) {
            let _ = machine.handle_push_pull(now, &state);
        }
        let mut reader = machine.request_reader();
        let _ = bytes
            .chunks(7)
            .try_for_each(|piece| reader.feed(piece).map(|_| ()));
    }
    for _ in 0..20 {
        now = machine.next_timeout();
        machine.handle_timeout(now);
        while machine.poll_output().is_some() {}
    }
}

fn captures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let entries = std::fs::read_dir(folder).expect("the captures can be listed");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the captures can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .collect();
    paths.sort();
    let read = |path| {
        let hex = std::fs::read_to_string(path).expect("the capture can be read");
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits
            .chunks(2)
            .map(|pair| (pair[0] << 4 | pair[1]) as u8)
            .collect()
    };
    paths.into_iter().map(read).collect()
}

/// Returns a capture at each layer from which a decoder may start.
fn layers(capture: &[u8]) -> Vec<Vec<u8>> {
    let mut layers = vec![capture.to_vec()];
    if let Some(rest) = capture.strip_prefix(&[frame::PACKET]) {
        layers.push(rest.to_vec());
        layers.extend(frame::decode(rest).map(|frame| frame.payload.to_vec()));
    }
    layers.extend(capture.strip_prefix(&[frame::STREAM]).map(<[u8]>::to_vec));
    layers
}

/// `PROPTEST_CASES` wins over the usual number, so that `make soak` can run more.
fn cases(usual: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config
    } else {
        ProptestConfig {
            cases: usual,
            ..config
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn messages_come_back(message in message()) {
        prop_assert_eq!(Message::decode(&Bytes::from(message.encode())), Ok(message));
    }

    #[test]
    fn packets_come_back(
        messages in vec(message(), 1..20),
        label in "[a-z.]{0,20}",
        compression in compression(),
        with_crc: bool,
    ) {
        let parts: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
        let mut decoded = Vec::new();
        for body in packet::assemble(&parts) {
            let packet = packet::encode(&label, compression, with_crc, body);
            let (found, rest) = packet::split_label(&packet).expect("the label is valid");
            prop_assert_eq!(found, label.as_bytes());
            let (mut messages, error) = packet::decode(rest);
            prop_assert_eq!(error, None);
            decoded.append(&mut messages);
        }
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn push_pulls_come_back_however_they_are_cut(
        state in push_pull(),
        label in "[a-z.]{0,20}",
        compression in compression(),
        piece in 1..200usize,
    ) {
        let stream = packet::encode(&label, compression, false, state.encode());
        let mut reader = machine(&label).request_reader();
        let mut read = None;
        for (number, bytes) in stream.chunks(piece).enumerate() {
            prop_assert!(read.is_none(), "complete before piece {}", number);
            read = reader.feed(bytes).expect("the stream is valid");
        }
        prop_assert_eq!(read, Some(StreamMessage::PushPull(state)));
    }

    #[test]
    fn frames_come_back_and_notice_damage(from in "[0-9.:]{0,30}", payload in bytes(300), at: prop::sample::Index) {
        let mut bytes = frame::encode(&from, &payload).expect("it is short enough");
        let decoded = frame::decode(&bytes[1..]).expect("the frame is valid");
        prop_assert_eq!((decoded.from, decoded.payload), (from.as_str(), &payload[..]));
        let content = 2 + from.len();
        let at = content + at.index(bytes.len() - content);
        bytes[at] ^= 0x10;
        prop_assert_eq!(frame::decode(&bytes[1..]), Err(WireError::Checksum { what: "packet digest" }));
    }

    #[test]
    fn a_checksum_notices_damage(message in message(), at: prop::sample::Index) {
        let mut packet = packet::encode("", None, true, message.encode());
        let at = 1 + at.index(packet.len() - 1);
        packet[at] ^= 0x01;
        let (messages, error) = packet::decode(&packet);
        prop_assert_eq!((messages, error), (vec![], Some(WireError::Checksum { what: "packet crc" })));
    }

    #[test]
    fn what_is_encrypted_comes_back_and_only_unchanged(
        plain in bytes(300),
        label in bytes(20),
        key in prop::sample::select(vec![16usize, 24, 32]),
        nonce: [u8; NONCE],
        padded: bool,
        at: prop::sample::Index,
        bit in 0..8u32,
    ) {
        let version = match padded {
            true => EncryptionVersion::Padded,
            false => EncryptionVersion::Unpadded,
        };
        let keys = Keyring::new([vec![5; key]]).expect("the key is valid");
        let mut sealed = keys.seal(version, nonce, &plain, &label).expect("there is a key");
        prop_assert_eq!(keys.open(&sealed, &label), Ok(plain));
        prop_assert!(keys.open(&sealed[..at.index(sealed.len())], &label).is_err(), "cut");
        prop_assert!(keys.open(&sealed, &[&label[..], b"x"].concat()).is_err(), "label");
        // The version alone is not authenticated, neither is it in Go: it says whether padding follows.
        let at = 1 + at.index(sealed.len() - 1);
        sealed[at] ^= 1 << bit;
        prop_assert!(keys.open(&sealed, &label).is_err(), "byte {} changed", at);
    }

    #[test]
    fn encrypted_streams_come_back_however_they_are_cut_and_only_unchanged(
        state in push_pull(),
        label in "[a-z.]{0,20}",
        piece in 1..2000usize,
        at: prop::sample::Index,
    ) {
        let mut opener = encrypted_machine(&label, true);
        let sent = opener.user_stream(&state.encode()).expect("it is short enough");
        let mut reader = encrypted_machine(&label, true).request_reader();
        let mut read = None;
        for bytes in sent.chunks(piece) {
            prop_assert_eq!(&read, &None);
            read = reader.feed(bytes).expect("the stream is valid");
        }
        prop_assert_eq!(read, Some(StreamMessage::User(state.encode().into())));
        let mut damaged = sent;
        let at = at.index(damaged.len());
        damaged[at] ^= 0x10;
        let read = encrypted_machine(&label, true).request_reader().feed(&damaged);
        prop_assert!(!matches!(read, Ok(Some(_))), "byte {} changed: {:?}", at, read);
    }

    #[test]
    fn zones_come_back(name in "[a-z0-9-]{1,16}", bridge: bool) {
        let role = if bridge { Role::Bridge } else { Role::Member };
        let zone = Zone { name, role };
        prop_assert_eq!(Zone::from_meta(&zone.to_meta()), Some(zone));
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in bytes(400)) {
        decode_everywhere(&bytes);
    }

    #[test]
    fn random_bytes_of_each_type_do_no_harm(kind in 0..16u8, bytes in bytes(400)) {
        decode_everywhere(&[&[kind], &bytes[..]].concat());
    }

    #[test]
    fn any_message_does_no_harm(messages in vec(message(), 1..6), state in push_pull()) {
        let parts: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
        packet::assemble(&parts).iter().for_each(|body| decode_everywhere(body));
        decode_everywhere(&state.encode());
    }

    #[test]
    fn damaged_captures_do_no_harm(
        capture in prop::sample::select(captures()),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        for mut layer in layers(&capture) {
            for (at, value) in &damage {
                let at = at.index(layer.len());
                layer[at] = *value;
            }
            layer.truncate(cut.map_or(layer.len(), |cut| cut.index(layer.len())));
            decode_everywhere(&layer);
        }
    }
}

#[test]
fn every_prefix_of_every_capture_does_no_harm() {
    let captures = captures();
    assert_eq!(captures.len(), 33);
    for layer in captures.iter().flat_map(|capture| layers(capture)) {
        (0..layer.len())
            .step_by(3)
            .for_each(|end| decode_everywhere(&layer[..end]));
    }
}
