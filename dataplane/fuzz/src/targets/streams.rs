//! Streams, which arrive in pieces.

use memberlist::{
    Address, Compression, Config, Machine, PushPull, StreamMessage, StreamReader, Timestamp,
    WireError, packet,
};

use crate::seeds;

fn machine() -> Machine {
    let mut config = Config::new("me", Address::v4([127, 0, 0, 1], 7946));
    config.verify_label = false;
    Machine::new(config, 1, Timestamp::ZERO).expect("the settings are valid")
}

/// The first byte is the size of the pieces and the side that reads; the rest is the stream.
pub(crate) fn check(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let machine = machine();
    let reader = || match choice & 1 {
        0 => machine.request_reader(),
        _ => machine.response_reader(),
    };
    let whole = reader().feed(stream);
    let pieces = in_pieces(reader(), stream, usize::from(choice >> 1) + 1);
    match (&whole, &pieces) {
        // Which of several mistakes is seen first depends on what has arrived.
        (Err(_), Err(_)) => {}
        _ => assert_eq!(whole, pieces),
    }
    if let Ok(Some(StreamMessage::PushPull(state))) = whole {
        round_trip(&state);
    }
}

/// A push/pull, in one piece, to a node that merges it.
pub(crate) fn push_pull(data: &[u8]) {
    let mut machine = machine();
    if let Ok(Some(StreamMessage::PushPull(state))) = machine.request_reader().feed(data) {
        let known: Vec<String> = machine
            .members()
            .map(|node| node.name.to_string())
            .collect();
        if machine.handle_push_pull(Timestamp::ZERO, &state).is_err() {
            let still: Vec<String> = machine
                .members()
                .map(|node| node.name.to_string())
                .collect();
            assert_eq!(known, still, "what is rejected changes nothing");
        }
        let answer = machine.push_pull_response(state.join, b"state");
        let read = machine.response_reader().feed(&answer);
        assert!(
            matches!(read, Ok(Some(StreamMessage::PushPull(_)))),
            "{read:?}"
        );
    }
}

fn in_pieces(
    mut reader: StreamReader,
    stream: &[u8],
    size: usize,
) -> Result<Option<StreamMessage>, WireError> {
    // A reader that was fed nothing still has to say that nothing is there.
    let mut read = reader.feed(&[]);
    for piece in stream.chunks(size) {
        if !matches!(read, Ok(None)) {
            break;
        }
        read = reader.feed(piece);
    }
    read
}

fn round_trip(state: &PushPull) {
    for compression in [None, Some(Compression::Lzw), Some(Compression::Snappy)] {
        let stream = packet::encode("", compression, false, state.encode());
        let read = machine().response_reader().feed(&stream);
        assert_eq!(read, Ok(Some(StreamMessage::PushPull(state.clone()))));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let streams = seeds::streams();
    let with_choice = |(index, stream): (usize, &Vec<u8>)| {
        let choice = (index as u8).wrapping_mul(7);
        [&[choice], &stream[..]].concat()
    };
    streams.iter().enumerate().map(with_choice).collect()
}

/// Reads what an opener may send, whatever the label.
pub(crate) fn read(stream: &[u8]) -> Option<StreamMessage> {
    machine().request_reader().feed(stream).ok()?
}
