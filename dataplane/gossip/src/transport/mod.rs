//! The transports of both dialects.
//!
//! dskit's serves packets and streams through one TCP listener: the first byte
//! of a connection tells which it is. A packet is a connection of its own that
//! ends with it; a stream is a request and an answer. In the classic dialect
//! packets are datagrams, and every connection is a stream. Everything that a
//! peer can make this side hold or wait for has a limit.

mod admission;
mod connection;
mod incoming;
mod listeners;
mod memory;
mod outgoing;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use admission::{Admission, Admitted};
pub(crate) use connection::Connection;
pub(crate) use incoming::{Incoming, IncomingStream, Packet};
pub use listeners::Listeners;
use memory::{Memory, Reservation};
pub(crate) use outgoing::{Dialer, OutgoingPackets, timed_out};

use crate::metrics::TransportMetrics;
use crate::refusals::Refusals;
use crate::tls::Tls;
use crate::{Config, Dialect};

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
    pub(crate) admission: Arc<Admission>,
}

/// What the transport is made of, besides sockets.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) advertised: SocketAddr,
    pub(crate) metrics: TransportMetrics,
    pub(crate) refusals: Refusals,
    /// Ends the serving of peers.
    pub(crate) abort: CancellationToken,
    pub(crate) tracker: &'a TaskTracker,
}

impl Transport {
    /// Serves `listeners`, and sends packets until the [`OutgoingPackets`] are
    /// dropped.
    pub(crate) fn open(listeners: Listeners, parts: Parts<'_>) -> Self {
        let admission = Admission::new(parts.config.incoming, parts.refusals.clone());
        let (packet_sender, packets) = mpsc::channel(parts.config.received_messages_queue_size);
        let (stream_sender, streams) = mpsc::channel(incoming::STREAM_QUEUE);
        let acceptor = Arc::new(incoming::Acceptor {
            dialect: parts.config.dialect,
            tls: parts.tls.clone(),
            packets: packet_sender,
            streams: stream_sender,
            admission: Arc::clone(&admission),
            timeouts: parts.config.into(),
            metrics: parts.metrics.clone(),
            refusals: parts.refusals.clone(),
            tracker: parts.tracker.clone(),
            abort: parts.abort.clone(),
        });
        let datagrams: Vec<_> = listeners.datagrams.into_iter().map(Arc::new).collect();
        for listener in listeners.streams {
            parts.serve(Arc::clone(&acceptor).accept(listener));
        }
        for socket in &datagrams {
            parts.serve(udp::receive(Arc::clone(&acceptor), Arc::clone(socket)));
        }
        Self {
            incoming: Incoming { packets, streams },
            outgoing: parts.outgoing(datagrams),
            dialer: Dialer {
                dialect: parts.config.dialect,
                timeout: parts.config.stream_timeout,
                metrics: parts.metrics,
                tls: parts.tls,
            },
            admission,
        }
    }
}

impl Parts<'_> {
    fn serve(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tracker.spawn(async move {
            abort.run_until_cancelled(serving).await;
        });
    }

    fn outgoing(&self, datagrams: Vec<Arc<tokio::net::UdpSocket>>) -> OutgoingPackets {
        let debug = self.config.transport_debug;
        match self.config.dialect {
            Dialect::Classic => {
                OutgoingPackets::by_datagrams(datagrams, self.metrics.clone(), debug)
            }
            Dialect::Dskit => {
                let writer = outgoing::Writer {
                    advertised: self.advertised.to_string().into(),
                    tls: self.tls.clone(),
                    timeouts: self.config.into(),
                    metrics: self.metrics.clone(),
                };
                let writes = self.config.max_concurrent_writes;
                OutgoingPackets::by_connections(writer, writes, debug, self.tracker)
            }
        }
    }
}
