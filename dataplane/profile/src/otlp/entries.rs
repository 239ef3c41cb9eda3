//! How many entries a request announces, before they take memory.
//!
//! On the wire an empty sample takes two bytes and in memory a hundred, so a
//! request of the allowed size could become one of many gigabytes.

use prost::bytes::Buf as _;
use prost::encoding::{WireType, decode_key, decode_varint};

/// Fields whose content is messages, by message: field number, and the message
/// in it. Numbers that occur in several levels are told apart by the message.
#[derive(Clone, Copy, Debug)]
enum Message {
    Request,
    Resource,
    Scope,
    Profile,
    Dictionary,
    /// Location, sample, or one with attributes: what is in it has no messages
    /// that have messages.
    Leaf,
}

impl Message {
    fn field(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Request, 1) => Self::Resource,
            (Self::Request, 2) => Self::Dictionary,
            (Self::Resource, 2) => Self::Scope,
            (Self::Scope, 2) => Self::Profile,
            (Self::Resource | Self::Scope, 1) => Self::Leaf,
            (Self::Profile, 2) => Self::Leaf,
            (Self::Dictionary, 1..=4 | 6 | 7) => Self::Leaf,
            _ => return None,
        })
    }
}

/// Counts the messages, strings and lists of an encoded export request, and the
/// numbers in lists by the eight, up to where it is malformed.
pub fn entries(request: &[u8]) -> usize {
    count(Message::Request, request)
}

/// Recursion is as deep as the messages above: five levels.
fn count(message: Message, mut bytes: &[u8]) -> usize {
    let mut entries = 0_usize;
    while let Ok((number, wire_type)) = decode_key(&mut bytes) {
        let skipped = match wire_type {
            WireType::Varint => decode_varint(&mut bytes).map(|_| 0).ok(),
            WireType::SixtyFourBit => Some(8),
            WireType::ThirtyTwoBit => Some(4),
            // What is in an unknown group is passed over when decoding, and
            // counted here.
            WireType::StartGroup | WireType::EndGroup => Some(0),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut bytes).ok();
                let length = length.and_then(|length| usize::try_from(length).ok());
                let Some(content) = length.and_then(|length| bytes.get(..length)) else {
                    break;
                };
                entries += 1 + match message.field(number) {
                    Some(inner) => count(inner, content),
                    // A string, or numbers that may take eight times their size.
                    None => content.len() / 8,
                };
                Some(content.len())
            }
        };
        match skipped {
            Some(skipped) if skipped <= bytes.len() => bytes.advance(skipped),
            _ => break,
        }
        if wire_type == WireType::Varint {
            // Lists of numbers may also come unpacked.
            entries += usize::from(matches!(message, Message::Leaf));
        }
    }
    entries
}
