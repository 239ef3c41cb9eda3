//! Bytes of the key-value store: pairs, full states, compressed values.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use proto::memberlist::KeyValuePair;
use thiserror::Error;

/// Largest value, uncompressed, and all of a store: what a push/pull can carry.
pub(super) const MAX_VALUE_BYTES: usize = 20 << 20;

/// Why bytes of a peer were not understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// A pair has no key.
    #[error("key-value pair has an empty key")]
    EmptyKey,
    /// The codec is not one of ours; the pair is neither kept nor relayed,
    /// because only its codec could tell what it changes.
    #[error("key {key:?} has unknown codec {codec:?}")]
    UnknownCodec {
        /// The key.
        key: String,
        /// Its codec.
        codec: String,
    },
    /// The key holds a value of another codec.
    #[error("key {key:?} is of codec {known:?}, not {codec:?}")]
    OtherCodec {
        /// The key.
        key: String,
        /// The codec of the value that is there.
        known: &'static str,
        /// The codec of the pair.
        codec: String,
    },
    /// The value is not a snappy block.
    #[error("value is not a snappy block: {0}")]
    Snappy(#[from] snap::Error),
    /// The value is not the protobuf message that its codec announces.
    #[error("malformed protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The value is not the JSON document that its codec announces.
    #[error("malformed JSON: {0}")]
    Json(String),
    /// An id is not UTF-8.
    #[error("id is not UTF-8")]
    NotText,
    /// The value is larger than any real one.
    #[error("value of {0} bytes or records is too large")]
    TooLarge(usize),
    /// A full state ends inside a pair.
    #[error("full state ends inside a pair: {needed} bytes announced, {left} left")]
    Truncated {
        /// Announced length.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
}

/// Decodes the pair of a user message. Its value is a part of `bytes`.
pub(super) fn decode_pair(bytes: Bytes) -> Result<KeyValuePair, CodecError> {
    let pair = KeyValuePair::decode(bytes)?;
    if pair.key.is_empty() {
        return Err(CodecError::EmptyKey);
    }
    Ok(pair)
}

/// Appends a pair to a full state: a 32-bit length, then the pair.
pub(super) fn append_pair(state: &mut BytesMut, pair: &KeyValuePair) {
    let length = pair.encoded_len();
    let Ok(prefix) = u32::try_from(length) else {
        return;
    };
    state.reserve(4 + length);
    state.put_u32(prefix);
    pair.encode(state)
        .expect("a BytesMut grows as far as memory goes");
}

/// Splits a full state into its pairs and stops at the first bad length. A
/// pair that is malformed in itself does not spoil the others.
pub(super) fn pairs(mut state: Bytes) -> impl Iterator<Item = Result<Bytes, CodecError>> {
    std::iter::from_fn(move || {
        if state.is_empty() {
            return None;
        }
        let needed = if state.len() < 4 {
            4
        } else {
            state.get_u32() as usize
        };
        if needed > state.len() {
            let left = state.len();
            state.clear();
            return Some(Err(CodecError::Truncated { needed, left }));
        }
        Some(Ok(state.split_to(needed)))
    })
}

/// Makes the snappy block that most codecs use.
pub(super) fn compress(plain: &[u8]) -> Bytes {
    snap::raw::Encoder::new()
        .compress_vec(plain)
        .map(Bytes::from)
        .expect("a value is far below snappy's limit of 4 GiB")
}

/// Reads a snappy block. No bytes at all are an empty block, as in dskit.
pub(super) fn decompress(block: &[u8]) -> Result<Vec<u8>, CodecError> {
    if block.is_empty() {
        return Ok(Vec::new());
    }
    let length = snap::raw::decompress_len(block)?;
    // Snappy shrinks nothing to less than a 21st; a larger announcement is a
    // lie, and memory is not taken for lies.
    if length > MAX_VALUE_BYTES || length / 32 > block.len() {
        return Err(CodecError::TooLarge(length));
    }
    Ok(snap::raw::Decoder::new().decompress_vec(block)?)
}

/// Skips a field of a message.
pub(super) fn skip(tag: u32, wire_type: WireType, message: &mut &[u8]) -> Result<(), CodecError> {
    Ok(skip_field(
        wire_type,
        tag,
        message,
        DecodeContext::default(),
    )?)
}

/// Walks over the fields of a message that have a length.
#[derive(Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Returns the number and the bytes of the next one.
    pub(super) fn next_length(&mut self) -> Result<Option<(u32, &'a [u8])>, CodecError> {
        while !self.0.is_empty() {
            let (tag, wire_type) = decode_key(&mut self.0)?;
            if wire_type != WireType::LengthDelimited {
                skip(tag, wire_type, &mut self.0)?;
                continue;
            }
            let needed = usize::try_from(decode_varint(&mut self.0)?).unwrap_or(usize::MAX);
            let left = self.0.len();
            let Some((field, rest)) = self.0.split_at_checked(needed) else {
                return Err(CodecError::Truncated { needed, left });
            };
            self.0 = rest;
            return Ok(Some((tag, field)));
        }
        Ok(None)
    }

    /// Returns the fields of one number.
    pub(super) fn lengths(
        mut self,
        wanted: u32,
    ) -> impl Iterator<Item = Result<&'a [u8], CodecError>> {
        std::iter::from_fn(move || {
            loop {
                match self.next_length() {
                    Ok(Some((tag, field))) if tag == wanted => return Some(Ok(field)),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => {
                        self.0 = &[];
                        return Some(Err(error));
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(value: &'static [u8]) -> KeyValuePair {
        KeyValuePair {
            key: "collectors/ring".into(),
            value: Bytes::from_static(value),
            codec: "ringDesc".into(),
            ..KeyValuePair::default()
        }
    }

    #[test]
    fn a_state_splits_into_the_pairs_it_was_made_of() {
        let mut state = BytesMut::new();
        append_pair(&mut state, &pair(b"one"));
        append_pair(&mut state, &pair(b""));
        let decoded: Vec<_> = pairs(state.freeze())
            .map(|bytes| decode_pair(bytes.unwrap()).unwrap())
            .collect();
        assert_eq!(decoded, [pair(b"one"), pair(b"")]);
    }

    #[test]
    fn a_cut_state_keeps_the_pairs_before_the_cut() {
        let mut state = BytesMut::new();
        append_pair(&mut state, &pair(b"one"));
        let whole = state.len();
        append_pair(&mut state, &pair(b"two"));
        for cut in whole + 1..state.len() {
            let results: Vec<_> = pairs(Bytes::copy_from_slice(&state[..cut])).collect();
            assert_eq!(results.len(), 2);
            assert!(results[0].is_ok());
            assert!(matches!(results[1], Err(CodecError::Truncated { .. })));
        }
    }

    #[test]
    fn blocks_inflate_to_what_they_were_made_of() {
        for plain in [&b""[..], &[7; 100_000], b"short"] {
            assert_eq!(decompress(&compress(plain)).unwrap(), plain);
        }
        assert!(decompress(&[]).unwrap().is_empty());
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(decode_pair(Bytes::from_static(&[0xFF; 9])).is_err());
        assert_eq!(decode_pair(Bytes::new()), Err(CodecError::EmptyKey));
        assert!(decompress(b"garbage").is_err());
    }
}
