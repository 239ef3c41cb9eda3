//! Connections from peers.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use memberlist::{WireError, frame};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Admission, Admitted, Connection, Dialect, Timeouts};
use crate::metrics::TransportMetrics;
use crate::refusals::{Refusals, reason};
use crate::tls::Tls;

/// Pause after the listener failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Streams that wait for the driver.
pub(super) const STREAM_QUEUE: usize = 128;

/// A packet as received.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Who sent it, as the sender or the socket says.
    pub(crate) from: String,
    bytes: Vec<u8>,
    payload: Range<usize>,
    _admitted: Admitted,
}

impl Packet {
    /// Takes what a packet connection carried after its first byte.
    fn framed(bytes: Vec<u8>, admitted: Admitted) -> Result<Self, WireError> {
        let frame = frame::decode(&bytes)?;
        let from = frame.from.to_owned();
        let start = 1 + from.len();
        Ok(Self {
            payload: start..start + frame.payload.len(),
            from,
            bytes,
            _admitted: admitted,
        })
    }

    /// Takes a datagram.
    pub(super) fn datagram(bytes: Vec<u8>, from: SocketAddr, admitted: Admitted) -> Self {
        Self {
            from: from.to_string(),
            payload: 0..bytes.len(),
            bytes,
            _admitted: admitted,
        }
    }

    /// Returns the message.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct IncomingStream {
    pub(crate) connection: Connection,
    pub(crate) peer: SocketAddr,
    pub(crate) admitted: Admitted,
}

/// What peers send.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) packets: mpsc::Receiver<Packet>,
    pub(crate) streams: mpsc::Receiver<IncomingStream>,
}

/// Serves connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) dialect: Dialect,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) packets: mpsc::Sender<Packet>,
    pub(super) streams: mpsc::Sender<IncomingStream>,
    pub(super) admission: Arc<Admission>,
    pub(super) timeouts: Timeouts,
    pub(super) metrics: TransportMetrics,
    pub(super) refusals: Refusals,
    pub(super) tracker: TaskTracker,
    pub(super) abort: CancellationToken,
}

/// Why nothing came of a connection.
#[derive(Debug, Error)]
enum ServeError {
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("no byte for too long")]
    Idle,
    #[error("not complete in time")]
    Slow,
    #[error("larger than {} bytes", frame::MAX_FRAME)]
    TooLarge,
    #[error("no memory left for incoming messages")]
    NoMemory,
    #[error("too many packets wait to be handled")]
    QueueFull,
    #[error("neither packet nor stream, but {0}")]
    UnknownKind(u8),
    #[error(transparent)]
    Frame(#[from] WireError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ServeError {
    /// Returns the label of the metric.
    fn reason(&self) -> &'static str {
        match self {
            Self::Handshake(_) => reason::HANDSHAKE,
            Self::Idle => reason::IDLE,
            Self::Slow => reason::SLOW,
            Self::TooLarge => reason::TOO_LARGE,
            Self::NoMemory => reason::NO_MEMORY,
            Self::QueueFull => reason::QUEUE_FULL,
            Self::UnknownKind(_) => reason::UNKNOWN_KIND,
            Self::Frame(error) => error.kind(),
            Self::Io(_) => reason::TRUNCATED,
        }
    }
}

impl Acceptor {
    /// Serves a listener for ever.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((connection, peer)) => {
                    let admitted = self.admission.admit(peer.ip());
                    self.tracker
                        .spawn(Arc::clone(&self).serve(connection, peer, admitted));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gossip connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, connection: TcpStream, peer: SocketAddr, admitted: Admitted) {
        let evicted = admitted.eviction();
        let serving = self.try_serve(connection, peer, admitted);
        let serving = self.abort.run_until_cancelled(serving);
        if let Some(Some(Err(error))) = evicted.run_until_cancelled(serving).await {
            self.refusals.count(error.reason());
            tracing::debug!(%peer, %error, "refused a gossip connection");
        }
    }

    async fn try_serve(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        admitted: Admitted,
    ) -> Result<(), ServeError> {
        let mut connection = self.shake_hands(connection).await?;
        let kind = match self.dialect {
            Dialect::Classic => frame::STREAM,
            Dialect::Dskit => timeout(self.timeouts.packet_idle, connection.read_u8())
                .await
                .map_err(|_| ServeError::Idle)??,
        };
        match kind {
            frame::PACKET => {
                let received = self.receive_packet(&mut connection, admitted).await;
                if received.is_err() {
                    self.metrics.packets_received_errors.inc();
                }
                received
            }
            frame::STREAM => {
                self.receive_stream(connection, peer, admitted);
                Ok(())
            }
            kind => {
                self.metrics.unknown_connections.inc();
                Err(ServeError::UnknownKind(kind))
            }
        }
    }

    async fn shake_hands(&self, connection: TcpStream) -> Result<Connection, ServeError> {
        let Some(tls) = &self.tls else {
            return Ok(Connection::Plain(connection));
        };
        let shaking = timeout(self.timeouts.stream, tls.accept(connection));
        let stream = shaking
            .await
            .map_err(|_| ServeError::Handshake(super::timed_out("waiting")))?
            .map_err(ServeError::Handshake)?;
        Ok(Connection::Tls(Box::new(stream)))
    }

    async fn receive_packet(
        &self,
        connection: &mut Connection,
        admitted: Admitted,
    ) -> Result<(), ServeError> {
        let bytes = self.read_packet(connection, &admitted).await?;
        admitted.received();
        let packet = Packet::framed(bytes, admitted)?;
        self.hand_over(packet)
    }

    fn hand_over(&self, packet: Packet) -> Result<(), ServeError> {
        self.metrics.packets_received.inc();
        let bytes = packet.bytes.len() as u64;
        self.metrics.packets_received_bytes.inc_by(bytes);
        self.packets.try_send(packet).map_err(|_| {
            self.metrics.packets_dropped.inc();
            ServeError::QueueFull
        })
    }

    async fn read_packet(
        &self,
        connection: &mut Connection,
        admitted: &Admitted,
    ) -> Result<Vec<u8>, ServeError> {
        let deadline = Instant::now() + self.timeouts.packet_read;
        let mut bytes = Vec::new();
        loop {
            let received = bytes.len();
            let read = connection.read_chunk(&mut bytes, received);
            let read = timeout(self.timeouts.packet_idle, read);
            let count = timeout_at(deadline, read)
                .await
                .map_err(|_| ServeError::Slow)?
                .map_err(|_| ServeError::Idle)??;
            if count == 0 {
                return Ok(bytes);
            }
            if bytes.len() > frame::MAX_FRAME {
                return Err(ServeError::TooLarge);
            }
            if !admitted.grow_to(bytes.len()) {
                return Err(ServeError::NoMemory);
            }
        }
    }

    fn receive_stream(&self, connection: Connection, peer: SocketAddr, admitted: Admitted) {
        self.metrics.incoming_streams.inc();
        let stream = IncomingStream {
            connection,
            peer,
            admitted,
        };
        if self.streams.try_send(stream).is_err() {
            self.refusals.count(reason::QUEUE_FULL);
        }
    }

    /// Takes a datagram that `peer` sent.
    pub(super) fn receive_datagram(&self, bytes: &[u8], peer: SocketAddr) {
        let admitted = self.admission.expect(peer.ip());
        let result = if admitted.grow_to(bytes.len()) {
            self.hand_over(Packet::datagram(bytes.to_vec(), peer, admitted))
        } else {
            Err(ServeError::NoMemory)
        };
        if let Err(error) = result {
            self.refusals.count(error.reason());
        }
    }
}
