//! Packets and what they are wrapped in.

use bytes::Bytes;
use memberlist::{Compression, Message, frame, packet};

use crate::seeds;

/// The most that packets decoded here are encoded again for: beyond, checks cost more than they find.
const MOST: usize = 1024 * 1024;

pub(crate) fn frame(data: &[u8]) {
    if let Ok(frame) = frame::decode(data) {
        let again = frame::encode(frame.from, frame.payload).expect("what was decoded fits");
        assert_eq!(&again[1..], data);
    }
    // The fuzzer does not guess a digest: frame the input itself too.
    let framed = frame::encode("127.0.0.1:7946", data).expect("the input is short");
    let read = frame::decode(&framed[1..]).expect("what was encoded is whole");
    assert_eq!((read.from, read.payload), ("127.0.0.1:7946", data));
}

pub(crate) fn label(data: &[u8]) {
    let Ok((label, rest)) = packet::split_label(data) else {
        return;
    };
    assert!(label.len() <= 255);
    if let Ok(text) = std::str::from_utf8(label) {
        let again = packet::encode(text, None, false, rest.to_vec());
        // An unlabelled packet keeps its bytes; so does a labelled one.
        assert_eq!(again, data);
    }
}

pub(crate) fn packet(data: &[u8]) {
    let (messages, _) = packet::decode(data);
    round_trip(&messages);
}

/// Damaged packets end at their checksum, so the fuzzer is given a valid one.
pub(crate) fn crc(data: &[u8]) {
    let sealed = packet::encode("", None, true, data.to_vec());
    let (messages, _) = packet::decode(&sealed);
    round_trip(&messages);
    if let Some(last) = data.last() {
        let mut damaged = sealed;
        let end = damaged.len() - 1;
        damaged[end] = !last;
        let (messages, error) = packet::decode(&damaged);
        assert!(messages.is_empty() && error.is_some());
    }
}

/// The first byte chooses the algorithm, the rest is what it decompresses.
pub(crate) fn compress(data: &[u8]) {
    let Some((&algorithm, buffer)) = data.split_first() else {
        return;
    };
    let mut wrapped = b"\x09\x82\xA4Algo".to_vec();
    wrapped.extend([algorithm & 3, 0xA3]);
    wrapped.extend(b"Buf\xDB");
    wrapped.extend((buffer.len() as u32).to_be_bytes());
    wrapped.extend(buffer);
    let (messages, _) = packet::decode(&wrapped);
    round_trip(&messages);
    // And the other way round: what is compressed here is read back.
    let user = Message::User(Bytes::copy_from_slice(buffer));
    for algorithm in [Compression::Lzw, Compression::Snappy] {
        let packet = packet::encode("", Some(algorithm), false, user.encode());
        assert_eq!(packet::decode(&packet), (vec![user.clone()], None));
    }
}

pub(crate) fn compress_seeds() -> Vec<Vec<u8>> {
    let vectors = seeds::messages();
    let wrapped = vectors.iter().filter(|vector| vector[0] == 9);
    wrapped
        .map(|vector| {
            // 09 82 A4 "Algo" n A3 "Buf" then a header of 1, 3 or 5 bytes.
            let header = match vector[12] {
                0xDA => 3,
                0xDB => 5,
                _ => 1,
            };
            let mut seed = vec![vector[7]];
            seed.extend(&vector[12 + header..]);
            seed
        })
        .collect()
}

/// Parts of the input, each after its length, in one compound; and the input as a compound's body.
pub(crate) fn compound(data: &[u8]) {
    let mut body = vec![7];
    body.extend(data);
    round_trip(&packet::decode(&body).0);

    let mut parts: Vec<&[u8]> = Vec::new();
    let mut rest = data;
    while let Some((&length, tail)) = rest.split_first() {
        let (part, tail) = tail.split_at(tail.len().min(usize::from(length)));
        parts.push(part);
        rest = tail;
    }
    let alone: Vec<Message> = parts
        .iter()
        .flat_map(|part| packet::decode(&[&[7, 1, 0, part.len() as u8], *part].concat()).0)
        .collect();
    let bodies = packet::assemble(&parts);
    let together: Vec<Message> = bodies
        .iter()
        .filter(|body| body.first() == Some(&7))
        .flat_map(|body| packet::decode(body).0)
        .collect();
    if parts.len() > 1 && parts.len() <= 255 {
        assert_eq!(together, alone);
    }
}

pub(crate) fn compound_seeds() -> Vec<Vec<u8>> {
    let short = |message: &Vec<u8>| message.len() < 256 && message[0] != 9;
    let messages: Vec<Vec<u8>> = seeds::messages().into_iter().filter(short).collect();
    let with_length = |message: &Vec<u8>| [&[message.len() as u8], &message[..]].concat();
    messages
        .chunks(4)
        .map(|four| four.iter().flat_map(with_length).collect())
        .collect()
}

pub(crate) fn message(data: &[u8]) {
    if let Ok(message) = Message::decode(&Bytes::copy_from_slice(data)) {
        let encoded = Bytes::from(message.encode());
        let again = Message::decode(&encoded).expect("what was encoded is understood");
        assert_eq!(again, message);
        assert_eq!(again.encode(), encoded, "there is one encoding");
    }
}

/// Puts messages into packets again, in every wrapping, and reads them back.
fn round_trip(messages: &[Message]) {
    let encoded: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
    if encoded.iter().map(Vec::len).sum::<usize>() > MOST {
        return;
    }
    // Those too long for a compound travel alone, after the others.
    let short = |message: &&Message| message.encode().len() <= 0xFFFF;
    let mut expected: Vec<Message> = messages.iter().filter(short).cloned().collect();
    expected.extend(messages.iter().filter(|message| !short(message)).cloned());
    for compression in [None, Some(Compression::Lzw), Some(Compression::Snappy)] {
        let mut read = Vec::new();
        for body in packet::assemble(&encoded) {
            let packet = packet::encode("label", compression, compression.is_none(), body);
            let (label, rest) = packet::split_label(&packet).expect("the label is whole");
            assert_eq!(label, b"label");
            let (messages, error) = packet::decode(rest);
            assert_eq!(error, None);
            read.extend(messages);
        }
        assert_eq!(read, expected);
    }
}
