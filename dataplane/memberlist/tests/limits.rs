//! Hostile input: what strangers announce costs nothing, what they nest or inflate is refused.

use std::collections::BTreeSet;

use bytes::Bytes;
use pyroscope_memberlist::{
    Accusation, Address, Broadcast, Compression, Config, Keyring, MAX_NODES, MAX_STREAM,
    MAX_USER_STATE, Machine, Message, Nonces, Origin, Ping, PushPull, PushPullNode, StreamMessage,
    StreamReader, Timestamp, WireError, frame, packet,
};

fn reader() -> StreamReader {
    let config = Config::new("me", Address::v4([127, 0, 0, 1], 7946));
    let machine = Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid");
    machine.request_reader()
}

/// Encodes a push/pull header that announces what may not follow.
fn header(nodes: i32, user_state: i32) -> Vec<u8> {
    [
        b"\x06\x82\xA5Nodes\xD2",
        &nodes.to_be_bytes()[..],
        b"\xACUserStateLen\xD2",
        &user_state.to_be_bytes(),
    ]
    .concat()
}

fn compound(parts: &[Vec<u8>]) -> Vec<u8> {
    let lengths = parts
        .iter()
        .flat_map(|part| (part.len() as u16).to_be_bytes());
    let mut compound = vec![7, parts.len() as u8];
    compound.extend(lengths);
    compound.extend(parts.concat());
    compound
}

#[test]
fn counts_over_the_limits_are_refused_at_once() {
    let over_nodes = header(MAX_NODES as i32 + 1, 0);
    let over_state = header(0, MAX_USER_STATE as i32 + 1);
    for stream in [over_nodes, over_state] {
        let result = reader().feed(&stream);
        assert!(
            matches!(result, Err(WireError::TooLarge { .. })),
            "{result:?}"
        );
    }
    for stream in [header(-1, 0), header(0, -1)] {
        let result = reader().feed(&stream);
        assert!(
            matches!(result, Err(WireError::Malformed { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn a_push_pull_does_not_become_much_longer_when_it_is_decoded() {
    let mut stream = header(MAX_NODES as i32, 0);
    stream.resize(stream.len() + MAX_NODES, 0x80);
    let Ok(Some(StreamMessage::PushPull(state))) = reader().feed(&stream) else {
        panic!("as many records as are allowed, and nothing in them");
    };
    let held = state.nodes.capacity() * size_of::<PushPullNode>();
    assert!(held <= MAX_STREAM, "{held} bytes are held");
}

#[test]
fn a_message_says_how_much_memory_it_takes() {
    let state = PushPull {
        nodes: vec![PushPullNode::default(); 10_000],
        user_state: vec![0; 1 << 20].into(),
        join: true,
    };
    let expected = (1 << 20) + 10_000 * size_of::<PushPullNode>();
    let config = Config::lan("me", Address::v4([127, 0, 0, 1], 7946));
    let mut machine = Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid");
    let message = StreamMessage::PushPull(state);
    assert_eq!(message.held_bytes(), expected);

    let stream = machine
        .user_stream(&vec![0; 1 << 20])
        .expect("it is short enough");
    assert!(stream.len() < 4096, "{} bytes compressed", stream.len());
    let Ok(Some(message)) = machine.request_reader().feed(&stream) else {
        panic!("the stream is cut short");
    };
    assert_eq!(message.held_bytes(), 1 << 20);
}

#[test]
fn counts_within_the_limits_are_awaited() {
    let stream = header(MAX_NODES as i32, MAX_USER_STATE as i32);
    assert_eq!(reader().feed(&stream), Ok(None));
}

#[test]
fn a_stream_announced_longer_than_the_limit_is_refused() {
    let compressed = b"\x09\x82\xA4Algo\x00\xA3Buf\xDB\xFF\xFF\xFF\xFF";
    let result = reader().feed(compressed);
    let limit = MAX_STREAM as u64;
    assert!(
        matches!(result, Err(WireError::TooLarge { limit: found, .. }) if found == limit),
        "{result:?}"
    );
}

#[test]
fn a_node_record_has_a_size_limit() {
    let stream = [&header(1, 0)[..], b"\x81\xA4Name\xDB\x00\x10\x00\x00"].concat();
    let result = reader().feed(&stream);
    assert!(
        matches!(result, Err(WireError::TooLarge { .. })),
        "{result:?}"
    );
}

#[test]
fn compressed_streams_are_not_nested_and_not_empty() {
    let compress = |body| packet::encode("", Some(Compression::Snappy), false, body);
    let inner = compress(vec![8; 10_000]);
    let padded = [&inner[..], &[0; 10_000]].concat();
    assert!(matches!(
        reader().feed(&compress(padded)),
        Err(WireError::UnexpectedType { found: 9, .. })
    ));
    let empty = b"\x09\x82\xA4Algo\x00\xA3Buf\xA3\x00\x03\x02";
    assert!(matches!(
        reader().feed(empty),
        Err(WireError::Truncated { .. })
    ));
}

#[test]
fn only_stream_messages_come_in_streams() {
    for kind in [1, 2, 3, 4, 5, 7, 11, 12, 14, 200] {
        let result = reader().feed(&[kind, 0x80]);
        assert!(
            matches!(result, Err(WireError::UnexpectedType { .. })),
            "{kind}: {result:?}"
        );
    }
}

#[test]
fn nesting_is_limited() {
    let mut body = Message::Nack(1).encode();
    for depth in 1..=6 {
        body = compound(&[body]);
        let (messages, error) = packet::decode(&body);
        match depth {
            1..=4 => assert_eq!((messages.len(), error), (1, None), "depth {depth}"),
            _ => assert_eq!(
                error,
                Some(WireError::TooDeep { limit: 4 }),
                "depth {depth}"
            ),
        }
    }
}

#[test]
fn what_all_parts_of_a_packet_inflate_to_is_limited_together() {
    let bomb = packet::encode("", Some(Compression::Lzw), false, vec![8; 8 << 20]);
    assert!(bomb.len() < 60_000);
    let (messages, error) =
        packet::decode(&compound(&[bomb.clone(), bomb.clone(), bomb.clone(), bomb]));
    assert_eq!(messages.len(), 2);
    assert!(
        matches!(error, Some(WireError::TooLarge { .. })),
        "{error:?}"
    );
}

#[test]
fn a_bad_part_does_not_cost_the_others() {
    let good = Message::Nack(1).encode();
    let mut body = compound(&[good.clone(), vec![11, 0xFF], good.clone(), vec![99], good]);
    let (messages, error) = packet::decode(&body);
    assert_eq!(messages, vec![Message::Nack(1); 3]);
    assert!(
        matches!(error, Some(WireError::Malformed { .. })),
        "the first error is told: {error:?}"
    );
    body.pop();
    assert_eq!(
        packet::decode(&body).0.len(),
        2,
        "a part that runs past the end is dropped"
    );
}

#[test]
fn checksums_stand_outside_only() {
    let checked = packet::encode("", None, true, vec![8; 500]);
    for body in [compound(std::slice::from_ref(&checked)), {
        packet::encode("", Some(Compression::Lzw), false, checked)
    }] {
        let (messages, error) = packet::decode(&body);
        assert!(messages.is_empty());
        assert!(
            matches!(error, Some(WireError::UnexpectedType { found: 12, .. })),
            "{error:?}"
        );
    }
}

#[test]
fn empty_and_short_packets_are_refused() {
    for bytes in [&[][..], &[7], &[7, 2, 0], &[12, 1, 2], &[9], &[0xF4]] {
        let (messages, error) = packet::decode(bytes);
        assert!(messages.is_empty() && error.is_some(), "{bytes:?}");
    }
    for bytes in [&[0xF4][..], &[0xF4, 0, 1], &[0xF4, 3, b'a']] {
        assert!(packet::split_label(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn unknown_compression_is_refused_by_number() {
    let (_, error) = packet::decode(b"\x09\x82\xA4Algo\x07\xA3Buf\xA1x");
    assert_eq!(error, Some(WireError::UnknownCompression { algorithm: 7 }));
}

#[test]
fn frames_have_a_size_limit_and_need_a_digest() {
    assert!(matches!(
        frame::encode(&"1".repeat(256), b""),
        Err(WireError::TooLarge { .. })
    ));
    assert!(matches!(
        frame::encode("", &vec![0; packet::MAX_PACKET + 1]),
        Err(WireError::TooLarge { .. })
    ));
    assert!(matches!(
        frame::decode(&vec![0; frame::MAX_FRAME + 1]),
        Err(WireError::TooLarge { .. })
    ));
    for short in [&[][..], &[5, b'a'], &[0; 16]] {
        assert_eq!(
            frame::decode(short),
            Err(WireError::Truncated {
                what: "packet frame"
            })
        );
    }
}

#[test]
fn messages_longer_than_a_compound_part_travel_alone() {
    let long = vec![8; 70_000];
    let bodies = packet::assemble(&[vec![8, 1], long.clone(), vec![8, 2]]);
    assert_eq!(bodies.len(), 2);
    assert_eq!(packet::decode(&bodies[0]).0.len(), 2);
    assert!(bodies[1] == long);
    let many = vec![vec![8]; 600];
    let sizes: Vec<usize> = packet::assemble(&many)
        .iter()
        .map(|body| packet::decode(body).0.len())
        .collect();
    assert_eq!(sizes, [255, 255, 90]);
}

#[test]
fn ciphertext_that_starts_like_an_empty_map_is_no_ping() {
    for nonce in [0x80, 0xC0, 0x7F] {
        let packet = [&[1, nonce][..], &[0xA7; 40]].concat();
        let (messages, error) = packet::decode(&packet);
        assert_eq!(
            (messages, error),
            (vec![], Some(WireError::Encrypted)),
            "nonce {nonce:x}"
        );
    }
}

fn machine() -> Machine {
    let config = Config::new("me", Address::v4([127, 0, 0, 1], 7946));
    Machine::new(config, 1, Timestamp::ZERO).expect("the config is valid")
}

#[test]
fn one_packet_cannot_make_a_node_answer_a_thousand_times() {
    let ping = Message::Ping(Ping {
        source_addr: vec![10, 0, 0, 1],
        source_port: 80,
        ..Ping::default()
    });
    let mut machine = machine();
    let flood = compound(&vec![ping.encode(); 255]);
    let refused = machine.handle_packet(Timestamp::ZERO, "", &flood);
    assert_eq!(
        refused,
        Err(WireError::Full {
            what: "pings in a packet",
            limit: 4
        })
    );
    let answers = std::iter::from_fn(|| machine.poll_output()).count();
    assert_eq!(answers, 4);
}

#[test]
fn the_messages_of_one_packet_are_counted_whatever_their_nesting() {
    let inner = compound(&vec![Message::Nack(1).encode(); 255]);
    let flood = compound(&vec![inner; 6]);
    let (messages, error) = packet::decode(&flood);
    assert_eq!(messages.len(), 1024 - 5, "and five wrappers");
    assert_eq!(error.map(|error| error.kind()), Some("full"));
}

#[test]
fn unreadable_messages_of_one_packet_are_counted_too() {
    let nothing = compound(&vec![vec![]; 255]);
    let last = Message::Nack(1).encode();
    let read = |floods: usize| {
        let mut parts = vec![nothing.clone(); floods];
        parts.push(last.clone());
        packet::decode(&compound(&parts)).0.len()
    };
    assert_eq!((read(3), read(5)), (1, 0));
}

#[test]
fn decompression_that_fails_is_paid_for_as_well() {
    let lzw = |plain: Vec<u8>| packet::encode("", Some(Compression::Lzw), false, plain);
    let nacks = lzw(compound(&vec![Message::Nack(1).encode(); 100]));
    let mut bomb = lzw(vec![0; 1 << 20]);
    let end = bomb.len() - 3;
    bomb[end..].fill(0xFF);
    let (messages, error) = packet::decode(&compound(&[bomb, nacks.clone()]));
    assert_eq!(error.map(|error| error.kind()), Some("malformed"));
    assert!(messages.is_empty(), "nothing is left for the second part");
    assert_eq!(packet::decode(&nacks).0.len(), 100);
}

#[test]
fn names_that_nobody_has_are_not_stored() {
    let long = "x".repeat(256);
    for (node, from) in [("me", &*long), (&*long, "me")] {
        let accusation = Accusation {
            incarnation: 1,
            node: node.to_owned(),
            from: from.to_owned(),
        };
        for message in [
            Message::Suspect(accusation.clone()),
            Message::Dead(accusation),
        ] {
            let mut machine = machine();
            let refused = machine.handle_packet(Timestamp::ZERO, "", &message.encode());
            assert_eq!(refused.map_err(|error| error.kind()), Err("malformed"));
            assert_eq!(machine.poll_output(), None);
        }
    }
}

#[test]
fn queued_updates_are_bounded_in_bytes() {
    let mut machine = machine();
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    for key in 0..100 {
        let update = Broadcast::new(key.to_string(), ["id"], 1, megabyte.clone());
        machine.broadcast(Origin::Forwarded, update);
    }
    assert_eq!(
        machine.queued_broadcasts(Origin::Forwarded),
        63,
        "of 64 MiB"
    );
}

#[test]
fn an_encrypted_stream_cannot_announce_more_than_anybody_sends() {
    let mut config = Config::lan("me", Address::v4([127, 0, 0, 1], 7946));
    config.keyring = Keyring::new([[1; 16]]).ok();
    let nonces = Nonces::from_secret([1; 32]);
    let machine =
        Machine::encrypted(config, 1, nonces, Timestamp::ZERO).expect("the config is valid");
    let announce = |len: u32| [&[10][..], &len.to_be_bytes()].concat();
    let refused = machine.request_reader().feed(&announce(u32::MAX));
    assert_eq!(refused.map_err(|error| error.kind()), Err("too_large"));
    let awaited = machine
        .request_reader()
        .feed(&announce(MAX_USER_STATE as u32));
    assert_eq!(awaited, Ok(None));
}

#[test]
fn every_refusal_has_a_kind_of_its_own() {
    let size = WireError::TooLarge {
        what: "",
        size: 1,
        limit: 0,
    };
    let malformed = WireError::Malformed {
        what: "",
        reason: "",
    };
    let label = WireError::LabelMismatch {
        found: String::new(),
        expected: String::new(),
    };
    let not_admitted = WireError::NotAdmitted {
        node: String::new(),
        reason: String::new(),
    };
    let name = String::new();
    let errors = [
        WireError::Truncated { what: "" },
        size,
        malformed,
        WireError::UnexpectedType {
            found: 0,
            place: "",
        },
        WireError::Encrypted,
        WireError::NotEncrypted,
        WireError::UnknownKey,
        label,
        WireError::Checksum { what: "" },
        WireError::TooDeep { limit: 0 },
        WireError::UnknownCompression { algorithm: 0 },
        WireError::WrongNode { name: name.clone() },
        WireError::NoReturnAddress { from: name },
        WireError::Full { what: "", limit: 0 },
        not_admitted,
    ];
    let kinds: BTreeSet<&str> = errors.iter().map(WireError::kind).collect();
    assert_eq!(kinds.len(), errors.len());
}
