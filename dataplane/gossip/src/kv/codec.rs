//! Bytes of the key-value store: pairs, ring descriptors, full states.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use proto::memberlist::KeyValuePair;
use proto::ring::Desc;
use thiserror::Error;

/// Codec of ring descriptors: a snappy block of the protobuf message.
pub const RING_DESC: &str = "ringDesc";

/// Largest ring descriptor, uncompressed.
const MAX_DESC_BYTES: usize = 20 << 20;

/// Most instances of one descriptor: a small message can list many empty
/// ones, each of which is large in memory.
const MAX_INSTANCES: usize = 1 << 16;

/// Why bytes of a peer were not understood.
#[derive(Debug, Error, PartialEq, Eq)]
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
    /// The value is not a snappy block.
    #[error("value is not a snappy block: {0}")]
    Snappy(#[from] snap::Error),
    /// The value is not the protobuf message that its codec announces.
    #[error("malformed protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The value is larger than any ring.
    #[error("value of {0} bytes or instances is too large")]
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

/// Decodes the pair of a user message.
pub(crate) fn decode_pair(bytes: &[u8]) -> Result<KeyValuePair, CodecError> {
    let pair = KeyValuePair::decode(bytes)?;
    if pair.key.is_empty() {
        return Err(CodecError::EmptyKey);
    }
    Ok(pair)
}

/// Decodes the ring descriptor of a pair. An empty value is an empty ring.
pub(crate) fn decode_desc(pair: &KeyValuePair) -> Result<Desc, CodecError> {
    if pair.codec != RING_DESC {
        return Err(CodecError::UnknownCodec {
            key: pair.key.clone(),
            codec: pair.codec.clone(),
        });
    }
    if pair.value.is_empty() {
        return Ok(Desc::default());
    }
    let length = snap::raw::decompress_len(&pair.value)?;
    if length > MAX_DESC_BYTES {
        return Err(CodecError::TooLarge(length));
    }
    let plain = snap::raw::Decoder::new().decompress_vec(&pair.value)?;
    check_instances(&plain)?;
    Ok(Desc::decode(plain.as_slice())?)
}

/// Encodes a ring descriptor.
pub(crate) fn encode_desc(desc: &Desc) -> Bytes {
    snap::raw::Encoder::new()
        .compress_vec(&desc.encode_to_vec())
        .map(Bytes::from)
        .expect("a descriptor is far below snappy's limit of 4 GiB")
}

/// Appends a pair to a full state: a 32-bit length, then the pair.
pub(crate) fn append_pair(state: &mut BytesMut, pair: &KeyValuePair) {
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
pub(crate) fn pairs(mut state: Bytes) -> impl Iterator<Item = Result<KeyValuePair, CodecError>> {
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
        Some(decode_pair(&state.split_to(needed)))
    })
}

fn check_instances(mut message: &[u8]) -> Result<(), CodecError> {
    let mut count = 0;
    while message.has_remaining() {
        let (tag, wire_type) = decode_key(&mut message)?;
        if tag == 1 && wire_type == WireType::LengthDelimited {
            count += 1;
            let length = decode_varint(&mut message)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            message.advance(length.min(message.len()));
        } else {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        }
    }
    if count > MAX_INSTANCES {
        return Err(CodecError::TooLarge(count));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proto::ring::InstanceDesc;

    use super::*;

    fn pair(value: Bytes) -> KeyValuePair {
        KeyValuePair {
            key: "collectors/ring".into(),
            value,
            codec: RING_DESC.into(),
            ..KeyValuePair::default()
        }
    }

    fn one_instance() -> Desc {
        let instance = InstanceDesc {
            addr: "10.0.0.1:4040".into(),
            timestamp: 7,
            tokens: vec![1, 2],
            ..InstanceDesc::default()
        };
        Desc {
            ingesters: [("a".to_owned(), instance)].into(),
        }
    }

    #[test]
    fn a_state_splits_into_the_pairs_it_was_made_of() {
        let desc = one_instance();
        let mut state = BytesMut::new();
        append_pair(&mut state, &pair(encode_desc(&desc)));
        append_pair(&mut state, &pair(Bytes::new()));
        let decoded: Vec<Desc> = pairs(state.freeze())
            .map(|pair| decode_desc(&pair.unwrap()).unwrap())
            .collect();
        assert_eq!(decoded, [desc, Desc::default()]);
    }

    #[test]
    fn a_cut_state_keeps_the_pairs_before_the_cut() {
        let mut state = BytesMut::new();
        append_pair(&mut state, &pair(encode_desc(&one_instance())));
        let whole = state.len();
        append_pair(&mut state, &pair(encode_desc(&one_instance())));
        for cut in whole + 1..state.len() {
            let results: Vec<_> = pairs(Bytes::copy_from_slice(&state[..cut])).collect();
            assert_eq!(results.len(), 2);
            assert!(results[0].is_ok());
            assert!(matches!(results[1], Err(CodecError::Truncated { .. })));
        }
    }

    #[test]
    fn values_that_inflate_are_refused_before_memory_is_taken() {
        let announced = Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
        assert!(matches!(
            decode_desc(&pair(announced)),
            Err(CodecError::TooLarge(_) | CodecError::Snappy(_))
        ));
        let many = [0x0A, 0x00].repeat(MAX_INSTANCES + 1);
        let value = snap::raw::Encoder::new().compress_vec(&many).unwrap();
        assert_eq!(
            decode_desc(&pair(value.into())),
            Err(CodecError::TooLarge(MAX_INSTANCES + 1))
        );
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(decode_pair(&[0xFF; 9]).is_err());
        assert_eq!(decode_pair(&[]), Err(CodecError::EmptyKey));
        assert!(decode_desc(&pair(Bytes::from_static(b"garbage"))).is_err());
    }
}
