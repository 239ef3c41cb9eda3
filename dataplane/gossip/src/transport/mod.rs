//! dskit's TCP transport: packets and streams through one listener.
//!
//! The first byte of a connection tells which it is. A packet is a connection
//! of its own that ends with it, written without waiting for an answer; a
//! stream is a request and an answer. Everything that a peer can make this
//! side hold or wait for has a limit.

mod incoming;
mod memory;
mod outgoing;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) use incoming::{Incoming, IncomingStream, Packet, listen};
pub(crate) use memory::{Memory, Reservation};
pub(crate) use outgoing::{Dialer, OutgoingPackets, timed_out, write_and_finish};

use crate::Config;

/// Longest silence of a peer inside a packet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for a whole packet to arrive.
const PACKET_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections served at once; further ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// Streams served at once, as in memberlist; further ones are closed.
const MAX_STREAMS: usize = 127;
/// Bytes held in all incoming messages together.
const INCOMING_MEMORY: usize = 256 << 20;
/// Bytes held in all outgoing packets together.
const OUTGOING_MEMORY: usize = 128 << 20;
/// Outgoing packets that wait for a writer.
const MAX_WAITING_PACKETS: usize = 4096;
/// Step in which incoming bytes are read.
const CHUNK: usize = 16 << 10;

/// Timeouts of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) stream: Duration,
    pub(crate) packet_dial: Duration,
    pub(crate) packet_write: Duration,
    pub(crate) acquire_writer: Duration,
}

impl From<&Config> for Timeouts {
    fn from(config: &Config) -> Self {
        Self {
            stream: config.stream_timeout,
            packet_dial: config.packet_dial_timeout,
            packet_write: config.packet_write_timeout,
            acquire_writer: config.acquire_writer_timeout,
        }
    }
}

/// Creates the allowance of all incoming messages.
pub(crate) fn incoming_memory() -> Arc<Memory> {
    Arc::new(Memory::new(INCOMING_MEMORY))
}

/// Reads once into `buffer`, behind what is there; 0 at the end.
pub(crate) async fn read_chunk(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let start = buffer.len();
    buffer.resize(start + CHUNK, 0);
    let result = stream.read(&mut buffer[start..]).await;
    buffer.truncate(start + *result.as_ref().unwrap_or(&0));
    result
}
