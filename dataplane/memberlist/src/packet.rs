//! Packets: `label( crc( compress( compound | message )))`.

use bytes::Bytes;

use crate::compress;
use crate::config::Compression;
use crate::error::WireError;
use crate::label;
use crate::message::{Message, kind};
use crate::msgpack::Reader;

pub use crate::label::split as split_label;

/// Most bytes in a packet, as received and after decompression.
pub const MAX_PACKET: usize = 21 * 1024 * 1024;
/// Bytes that each part of a compound costs: its length.
pub(crate) const PART: usize = 2;
/// Longest message that fits into a compound; its length has 16 bits there.
pub(crate) const MAX_PART: usize = 0xFFFF;
/// Most messages in a compound; their number has 8 bits.
pub(crate) const MAX_PARTS: usize = 255;
/// Most messages in a packet, whatever their nesting, wrappers and unreadable ones included: peers send one compound.
const MAX_MESSAGES: usize = 1024;
/// Deepest nesting of compound and compress.
const MAX_DEPTH: usize = 4;

/// Decodes a packet whose label was removed into its messages.
///
/// What is wrong with one part does not concern the others, so there can be both messages and an error (the first).
pub fn decode(packet: &[u8]) -> (Vec<Message>, Option<WireError>) {
    let mut decoder = Decoder {
        messages: Vec::new(),
        error: None,
        seen: 0,
        budget: MAX_PACKET,
    };
    if let Err(error) = decoder.packet(packet) {
        decoder.note(error);
    }
    (decoder.messages, decoder.error)
}

struct Decoder {
    messages: Vec<Message>,
    error: Option<WireError>,
    /// How many messages were looked at.
    seen: usize,
    /// Bytes that may still come out of decompression.
    budget: usize,
}

impl Decoder {
    fn packet(&mut self, packet: &[u8]) -> Result<(), WireError> {
        if packet.len() > MAX_PACKET {
            return Err(WireError::TooLarge {
                what: "packet",
                size: packet.len() as u64,
                limit: MAX_PACKET as u64,
            });
        }
        let content = match packet {
            [kind::HAS_CRC, a, b, c, d, rest @ ..] => {
                if crc32fast::hash(rest) != u32::from_be_bytes([*a, *b, *c, *d]) {
                    return Err(WireError::Checksum { what: "packet crc" });
                }
                rest
            }
            packet => packet,
        };
        let encrypted = looks_encrypted(packet);
        if encrypted && !matches!(packet[1], 0x81..=0x8F | 0xDE | 0xDF) {
            return Err(WireError::Encrypted);
        }
        let message = self.message(&Bytes::copy_from_slice(content), 0);
        message.map_err(|error| {
            if encrypted {
                WireError::Encrypted
            } else {
                error
            }
        })
    }

    fn message(&mut self, bytes: &Bytes, depth: usize) -> Result<(), WireError> {
        if self.seen == MAX_MESSAGES {
            return Err(WireError::Full {
                what: "messages in a packet",
                limit: MAX_MESSAGES,
            });
        }
        self.seen += 1;
        match bytes.first() {
            Some(&(kind::COMPOUND | kind::COMPRESS)) if depth == MAX_DEPTH => {
                Err(WireError::TooDeep { limit: MAX_DEPTH })
            }
            Some(&kind::COMPOUND) => self.compound(bytes.slice(1..), depth + 1),
            Some(&kind::COMPRESS) => {
                // What fails may have cost all of it.
                let budget = std::mem::take(&mut self.budget);
                let plain = compress::unwrap(&mut Reader::new(&bytes[1..]), budget)?;
                self.budget = budget - plain.len();
                self.message(&Bytes::from(plain), depth + 1)
            }
            _ => {
                self.messages.push(Message::decode(bytes)?);
                Ok(())
            }
        }
    }

    fn compound(&mut self, body: Bytes, depth: usize) -> Result<(), WireError> {
        let truncated = WireError::Truncated { what: "compound" };
        let &count = body.first().ok_or_else(|| truncated.clone())?;
        let table = 1 + 2 * usize::from(count);
        let lengths = body.get(1..table).ok_or_else(|| truncated.clone())?;
        let mut start = table;
        for length in lengths.chunks_exact(2) {
            let end = start + usize::from(u16::from_be_bytes([length[0], length[1]]));
            if end > body.len() {
                return Err(truncated);
            }
            match self.message(&body.slice(start..end), depth) {
                Err(full @ WireError::Full { .. }) => return Err(full),
                Err(error) => self.note(error),
                Ok(()) => {}
            }
            start = end;
        }
        Ok(())
    }

    fn note(&mut self, error: WireError) {
        self.error.get_or_insert(error);
    }
}

/// Tells whether a packet may be ciphertext: a version of 0 or 1, a nonce of 12 bytes and a tag of 16.
///
/// Pings start with the same bytes; what decides is whether they go on with a map and can be read.
fn looks_encrypted(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(0 | 1)) && packet.len() >= 1 + 12 + 16
}

/// Combines messages into the fewest packet bodies: compounds of up to 255 parts; what is too long for a compound, or alone, stays bare.
pub fn assemble<T: AsRef<[u8]>>(messages: &[T]) -> Vec<Vec<u8>> {
    let (short, long): (Vec<&[u8]>, Vec<&[u8]>) = messages
        .iter()
        .map(AsRef::as_ref)
        .partition(|message| message.len() <= MAX_PART);
    let mut bodies: Vec<Vec<u8>> = short
        .chunks(MAX_PARTS)
        .map(|parts| match parts {
            [only] => only.to_vec(),
            parts => compound(parts),
        })
        .collect();
    bodies.extend(long.into_iter().map(<[u8]>::to_vec));
    bodies
}

/// Encodes a compound of at most [`MAX_PARTS`] messages of at most [`MAX_PART`] bytes.
fn compound(parts: &[&[u8]]) -> Vec<u8> {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(2 + 2 * parts.len() + content);
    out.extend_from_slice(&[kind::COMPOUND, parts.len() as u8]);
    for part in parts {
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Wraps a message or compound for sending: compressed if that makes it smaller, then the checksum, then `label`.
///
/// What goes over a stream is wrapped the same way, without checksum; only its opener sends the label.
pub fn encode(
    label: &str,
    compression: Option<Compression>,
    with_crc: bool,
    body: Vec<u8>,
) -> Vec<u8> {
    let body = compression
        .and_then(|algorithm| compress::shrink(algorithm, &body))
        .unwrap_or(body);
    let mut packet = label::header(label);
    packet.reserve_exact(5 + body.len());
    if with_crc {
        packet.push(kind::HAS_CRC);
        packet.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    }
    packet.extend_from_slice(&body);
    packet
}
