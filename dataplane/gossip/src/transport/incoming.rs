//! Connections from peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::frame;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{MAX_CONNECTIONS, MAX_STREAMS, Memory, Reservation, Timeouts, read_chunk};
use crate::metrics::TransportMetrics;

/// Pause after the listener failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A packet as received: the connection's bytes after the first.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    _memory: Reservation,
}

/// A stream that a peer opened, after the first byte.
#[derive(Debug)]
pub(crate) struct IncomingStream {
    pub(crate) connection: TcpStream,
    pub(crate) peer: SocketAddr,
    _permits: [OwnedSemaphorePermit; 2],
}

/// What peers send.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) packets: mpsc::Receiver<Packet>,
    pub(crate) streams: mpsc::Receiver<IncomingStream>,
}

/// Serves `listener` until `cancel`, in tasks of `tracker`.
pub(super) fn listen(
    listener: TcpListener,
    queue: usize,
    timeouts: Timeouts,
    memory: Arc<Memory>,
    metrics: TransportMetrics,
    cancel: CancellationToken,
    tracker: &TaskTracker,
) -> Incoming {
    let (packet_sender, packets) = mpsc::channel(queue);
    let (stream_sender, streams) = mpsc::channel(MAX_STREAMS);
    let acceptor = Acceptor {
        packets: packet_sender,
        streams: stream_sender,
        stream_permits: Arc::new(Semaphore::new(MAX_STREAMS)),
        timeouts,
        memory,
        metrics,
        tracker: tracker.clone(),
        cancel: cancel.clone(),
    };
    tracker.spawn(async move {
        cancel.run_until_cancelled(acceptor.accept(listener)).await;
    });
    Incoming { packets, streams }
}

#[derive(Clone, Debug)]
struct Acceptor {
    packets: mpsc::Sender<Packet>,
    streams: mpsc::Sender<IncomingStream>,
    stream_permits: Arc<Semaphore>,
    timeouts: Timeouts,
    memory: Arc<Memory>,
    metrics: TransportMetrics,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

/// Why a packet was not received.
#[derive(Debug, Error)]
enum PacketError {
    #[error("no byte for too long")]
    Idle,
    #[error("not complete in time")]
    Slow,
    #[error("larger than {} bytes", frame::MAX_FRAME)]
    TooLarge,
    #[error("no memory left for incoming messages")]
    NoMemory,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Acceptor {
    async fn accept(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(permit) = permits.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((connection, peer)) => self.spawn(connection, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gossip connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn spawn(&self, connection: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let acceptor = self.clone();
        self.tracker.spawn(async move {
            let cancel = acceptor.cancel.clone();
            cancel
                .run_until_cancelled(acceptor.serve(connection, peer, permit))
                .await;
        });
    }

    async fn serve(
        self,
        mut connection: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let kind = match timeout(self.timeouts.packet_idle, connection.read_u8()).await {
            Ok(Ok(kind)) => kind,
            // Port scans and probes by load balancers look like this.
            Ok(Err(_)) | Err(_) => return,
        };
        match kind {
            frame::PACKET => self.receive_packet(connection, peer).await,
            frame::STREAM => self.receive_stream(connection, peer, permit),
            _ => {
                self.metrics.unknown_connections.inc();
                tracing::debug!(%peer, kind, "connection is neither packet nor stream");
            }
        }
    }

    async fn receive_packet(&self, mut connection: TcpStream, peer: SocketAddr) {
        match self.read_packet(&mut connection).await {
            Ok(packet) => {
                self.metrics.packets_received.inc();
                self.metrics
                    .packets_received_bytes
                    .inc_by(packet.bytes.len() as u64);
                if self.packets.try_send(packet).is_err() {
                    self.metrics.packets_dropped.inc();
                }
            }
            Err(error) => {
                self.metrics.packets_received_errors.inc();
                tracing::debug!(%peer, %error, "packet not received");
            }
        }
    }

    async fn read_packet(&self, connection: &mut TcpStream) -> Result<Packet, PacketError> {
        let deadline = Instant::now() + self.timeouts.packet_read;
        let mut bytes = Vec::new();
        let mut memory = self.memory.reservation();
        loop {
            let read = timeout(
                self.timeouts.packet_idle,
                read_chunk(connection, &mut bytes),
            );
            let count = timeout_at(deadline, read)
                .await
                .map_err(|_| PacketError::Slow)?
                .map_err(|_| PacketError::Idle)??;
            if count == 0 {
                return Ok(Packet {
                    bytes,
                    _memory: memory,
                });
            }
            if bytes.len() > frame::MAX_FRAME {
                return Err(PacketError::TooLarge);
            }
            if !memory.grow_to(bytes.len()) {
                return Err(PacketError::NoMemory);
            }
        }
    }

    fn receive_stream(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        self.metrics.incoming_streams.inc();
        let Ok(stream_permit) = self.stream_permits.clone().try_acquire_owned() else {
            tracing::warn!(%peer, limit = MAX_STREAMS, "too many streams, closed one");
            return;
        };
        let stream = IncomingStream {
            connection,
            peer,
            _permits: [permit, stream_permit],
        };
        // The permits leave room in the queue, unless the node is stopping.
        drop(self.streams.try_send(stream));
    }
}
