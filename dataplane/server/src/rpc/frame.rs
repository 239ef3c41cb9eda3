//! Messages as gRPC frames them: a byte of flags, four bytes of length, big-endian,
//! and the payload.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;
use tonic::Status;

use super::{Rpc, connect, entries};
use crate::admission::Share;

/// The header that names how compressed messages are compressed.
pub(super) const ENCODING: &str = "grpc-encoding";

/// Flags and length.
pub(super) const HEAD_BYTES: usize = 5;

/// The payload is compressed as [`ENCODING`] says.
const COMPRESSED: u8 = 0x01;

/// Appends a message as a frame.
pub(super) fn put_message(body: &mut BytesMut, message: &impl Message) {
    let length = message.encoded_len();
    body.reserve(HEAD_BYTES + length);
    body.put_u8(0);
    // Answers are far smaller than 4 GiB, which is the most that a frame takes.
    body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message
        .encode(body)
        .expect("a buffer grows to what is put into it");
}

/// Appends a frame.
pub(super) fn put_frame(body: &mut BytesMut, flags: u8, payload: &[u8]) {
    body.put_u8(flags);
    // As above.
    body.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    body.put_slice(payload);
}

/// Decodes the one message of a body within the bounds of `rpc`. Room for what it
/// is when inflated and decoded is taken from the request's `share`.
///
/// # Errors
///
/// `invalid_argument` when the body is not one whole message, `unavailable` when
/// there is no room.
pub(super) fn decode_only<M: Message + Default>(
    body: Bytes,
    gzipped: bool,
    rpc: &Rpc,
    share: Option<&Share>,
) -> Result<M, Status> {
    let limit = rpc.max_message_bytes;
    let (compressed, payload) = only_frame(body)?;
    let payload = match (compressed, gzipped) {
        (false, _) if payload.len() > limit => return Err(connect::too_large(limit)),
        (false, _) => payload,
        (true, true) => connect::inflate(&payload, limit, share)?,
        (true, false) => return Err(malformed("a compressed message without grpc-encoding")),
    };
    entries::admit((rpc.entries)(&payload), share)?;
    M::decode(payload)
        .map_err(|error| Status::invalid_argument(format!("unmarshal message: {error}")))
}

/// Returns whether the one frame of a body is compressed, and its payload.
fn only_frame(mut body: Bytes) -> Result<(bool, Bytes), Status> {
    if body.len() < HEAD_BYTES {
        return Err(malformed("no message"));
    }
    let (flags, length) = (body.get_u8(), body.get_u32());
    if flags & !COMPRESSED != 0 {
        return Err(malformed("flags that no message has"));
    }
    if body.len() as u64 != u64::from(length) {
        return Err(malformed("a length that is not that of its message"));
    }
    Ok((flags & COMPRESSED != 0, body))
}

fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("unmarshal message: the body has {what}"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::rpc::Tenancy;

    fn frame(flags: u8, payload: &[u8]) -> Bytes {
        let mut body = BytesMut::new();
        put_frame(&mut body, flags, payload);
        body.freeze()
    }

    #[test]
    fn one_whole_frame_is_a_message() {
        let (compressed, payload) = only_frame(frame(0, b"abc")).unwrap();
        assert_eq!((compressed, &payload[..]), (false, &b"abc"[..]));
        assert!(only_frame(frame(COMPRESSED, b"")).unwrap().0);
        for bad in [
            Bytes::new(),
            Bytes::from_static(b"\0\0\0\0"),
            Bytes::from_static(b"\0\xff\xff\xff\xff"),
            Bytes::from_static(b"\0\0\0\0\x01ab"),
            frame(0x80, b"grpc-status: 0"),
        ] {
            let error = only_frame(bad).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn the_limit_is_that_of_the_message() {
        type Message = proto::push::v1::PushRequest;
        let blank = [0x12, 0].repeat(50);
        let rpc = |limit| Rpc::new(Tenancy::new(false), limit).with_entries(entries::of_push);
        let decode =
            |limit| decode_only::<Message>(frame(0, &blank), false, &rpc(limit), None).map(|_| ());
        assert_eq!(decode(blank.len()).map_err(|e| e.code()), Ok(()));
        assert_eq!(
            decode(blank.len() - 1).unwrap_err().code(),
            Code::InvalidArgument
        );
        let compressed = frame(COMPRESSED, &blank);
        assert!(decode_only::<Message>(compressed, false, &rpc(1 << 20), None).is_err());
        let flood = frame(0, &[0x0a, 0].repeat(1 << 19));
        let flood = decode_only::<Message>(flood, false, &rpc(1 << 24), None);
        assert!(flood.unwrap_err().message().contains("entries"));
    }
}
