//! dskit's TCP transport: packets and streams through one listener.
//!
//! The first byte of a connection tells which it is. A packet is a connection
//! of its own that ends with it, written without waiting for an answer; a
//! stream is a request and an answer. Everything that a peer can make this
//! side hold or wait for has a limit.

mod incoming;
mod memory;
mod outgoing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use incoming::{Incoming, IncomingStream, Packet};
pub(crate) use memory::{Memory, Reservation};
pub(crate) use outgoing::{Dialer, OutgoingPackets, timed_out, write_and_finish};

use crate::Config;
use crate::metrics::TransportMetrics;

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
struct Timeouts {
    stream: Duration,
    packet_dial: Duration,
    packet_write: Duration,
    packet_idle: Duration,
    packet_read: Duration,
    acquire_writer: Duration,
}

impl From<&Config> for Timeouts {
    fn from(config: &Config) -> Self {
        Self {
            stream: config.stream_timeout,
            packet_dial: config.packet_dial_timeout,
            packet_write: config.packet_write_timeout,
            packet_idle: config.packet_idle_timeout,
            packet_read: config.packet_read_timeout,
            acquire_writer: config.acquire_writer_timeout,
        }
    }
}

/// Both directions of the transport, and the limits that they share.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: OutgoingPackets,
    pub(crate) dialer: Dialer,
    /// Allowance of all incoming messages.
    pub(crate) memory: Arc<Memory>,
}

impl Transport {
    /// Serves `listener` until `abort`, and sends packets until the
    /// [`OutgoingPackets`] are dropped, in tasks of `tracker`.
    pub(crate) fn open(
        config: &Config,
        listener: TcpListener,
        advertised: SocketAddr,
        metrics: TransportMetrics,
        abort: CancellationToken,
        tracker: &TaskTracker,
    ) -> Self {
        let timeouts = Timeouts::from(config);
        let memory = Arc::new(Memory::new(INCOMING_MEMORY));
        Self {
            incoming: incoming::listen(
                listener,
                config.received_messages_queue_size,
                timeouts,
                memory.clone(),
                metrics.clone(),
                abort,
                tracker,
            ),
            outgoing: OutgoingPackets::start(
                advertised.to_string(),
                timeouts,
                config.max_concurrent_writes,
                metrics.clone(),
                tracker,
            ),
            dialer: Dialer::new(timeouts, metrics),
            memory,
        }
    }
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
