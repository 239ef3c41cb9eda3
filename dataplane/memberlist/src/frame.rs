//! The packet frame of dskit's TCP transport: one packet per connection, ended by the sender closing it.
//!
//! ```text
//! 01 | length u8 | sender's advertised "ip:port" | payload | MD5(payload)
//! ```
//!
//! There is no length: the receiver reads to the end and splits off the digest.

use md5::{Digest, Md5};

use crate::error::WireError;
use crate::packet::MAX_PACKET;

/// First byte of a connection that carries one packet.
pub const PACKET: u8 = 1;
/// First byte of a connection that carries a stream (a push/pull, a ping or a user message).
pub const STREAM: u8 = 2;
/// Most bytes after the first that a packet connection may carry.
pub const MAX_FRAME: usize = 1 + 255 + MAX_PACKET + DIGEST;

const DIGEST: usize = 16;

/// A packet as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The address that the sender advertises; may be empty.
    pub from: &'a str,
    /// The memberlist packet.
    pub payload: &'a [u8],
}

/// Encodes a whole packet connection, its first byte included.
///
/// # Errors
/// If `from` is longer than 255 bytes or the payload than a receiver accepts.
pub fn encode(from: &str, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let from_len =
        u8::try_from(from.len()).map_err(|_| too_large("sender address", from.len(), 255))?;
    if payload.len() > MAX_PACKET {
        return Err(too_large("packet", payload.len(), MAX_PACKET));
    }
    let mut frame = Vec::with_capacity(2 + from.len() + payload.len() + DIGEST);
    frame.extend_from_slice(&[PACKET, from_len]);
    frame.extend_from_slice(from.as_bytes());
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&Md5::digest(payload));
    Ok(frame)
}

/// Decodes what a packet connection carried after its first byte, up to its end.
///
/// # Errors
/// If it is too short or too long, the address is not text, or the digest does not match. (Go peers log a
/// digest mismatch and go on; a damaged packet has nothing to offer that the next round of gossip has not.)
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, WireError> {
    if bytes.len() > MAX_FRAME {
        return Err(too_large("packet frame", bytes.len(), MAX_FRAME));
    }
    let truncated = WireError::Truncated {
        what: "packet frame",
    };
    let (&from_len, rest) = bytes.split_first().ok_or_else(|| truncated.clone())?;
    let (from, rest) = rest
        .split_at_checked(usize::from(from_len))
        .ok_or_else(|| truncated.clone())?;
    let (payload, digest) = rest.split_last_chunk::<DIGEST>().ok_or(truncated)?;
    let from = std::str::from_utf8(from).map_err(|_| WireError::Malformed {
        what: "packet frame",
        reason: "sender address is not text",
    })?;
    if Md5::digest(payload).as_slice() != digest {
        return Err(WireError::Checksum {
            what: "packet digest",
        });
    }
    Ok(Frame { from, payload })
}

fn too_large(what: &'static str, size: usize, limit: usize) -> WireError {
    WireError::TooLarge {
        what,
        size: size as u64,
        limit: limit as u64,
    }
}
