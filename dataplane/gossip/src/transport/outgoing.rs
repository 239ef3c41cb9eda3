//! Connections to peers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::frame;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::{Connection, Dialect, Memory, Reservation, Timeouts, udp};
use crate::metrics::TransportMetrics;
use crate::tls::Tls;

/// Outgoing packets that wait for a writer.
const MAX_WAITING: usize = 4096;
/// Bytes held in all outgoing packets together.
const MEMORY: usize = 128 << 20;
/// Age at which a packet that waits is not worth sending any more: its probe
/// has failed, and gossip has been repeated.
const MAX_AGE: Duration = Duration::from_secs(2);
/// Peers found unreachable that wait to be looked at.
const UNREACHABLE_QUEUE: usize = 64;

/// Sends packets. What gets lost is noticed by the missing answer, as with
/// UDP; only peers that refuse connections are reported.
#[derive(Debug)]
pub(crate) struct OutgoingPackets {
    way: Way,
    metrics: TransportMetrics,
    transport_debug: bool,
    /// Peers whose hosts say that nobody listens.
    pub(crate) unreachable: mpsc::Receiver<SocketAddr>,
}

#[derive(Debug)]
enum Way {
    /// One connection per packet.
    Connections {
        queue: mpsc::Sender<Waiting>,
        memory: Memory,
    },
    Datagrams(Vec<Arc<UdpSocket>>),
}

/// A packet that waits for a writer.
#[derive(Debug)]
struct Waiting {
    to: SocketAddr,
    payload: Vec<u8>,
    since: Instant,
    _memory: Reservation,
}

/// How packets are written to connections.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) advertised: Arc<str>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) timeouts: Timeouts,
    pub(super) metrics: TransportMetrics,
}

impl OutgoingPackets {
    /// Starts the writers in `tracker`; they end when the value is dropped and
    /// the packets that waited are written.
    pub(super) fn by_connections(
        writer: Writer,
        max_concurrent_writes: usize,
        transport_debug: bool,
        tracker: &TaskTracker,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let (unreachable_sender, unreachable) = mpsc::channel(UNREACHABLE_QUEUE);
        let metrics = writer.metrics.clone();
        let writers = Writers {
            writer,
            permits: Arc::new(Semaphore::new(max_concurrent_writes.max(1))),
            unreachable: unreachable_sender,
            tracker: tracker.clone(),
        };
        tracker.spawn(writers.run(waiting));
        Self {
            way: Way::Connections {
                queue,
                memory: Memory::new(MEMORY),
            },
            metrics,
            transport_debug,
            unreachable,
        }
    }

    /// Sends from `sockets`.
    pub(super) fn by_datagrams(
        sockets: Vec<Arc<UdpSocket>>,
        metrics: TransportMetrics,
        transport_debug: bool,
    ) -> Self {
        Self {
            way: Way::Datagrams(sockets),
            metrics,
            transport_debug,
            unreachable: mpsc::channel(1).1,
        }
    }

    /// Sends a packet soon, or drops it when too much is waiting.
    pub(crate) fn send(&self, to: SocketAddr, payload: Vec<u8>) {
        if self.transport_debug {
            tracing::debug!(%to, bytes = payload.len(), "sends a packet");
        }
        match &self.way {
            Way::Connections { queue, memory } => {
                let mut reservation = memory.reservation();
                let fits = reservation.grow_to(payload.len());
                let waiting = Waiting {
                    to,
                    payload,
                    since: Instant::now(),
                    _memory: reservation,
                };
                if !fits || queue.try_send(waiting).is_err() {
                    self.metrics.packets_dropped.inc();
                }
            }
            Way::Datagrams(sockets) => {
                let result = udp::send(sockets, to, &payload);
                self.metrics.count_sent(to, payload.len(), result);
            }
        }
    }
}

/// Writes packets, a few at once.
struct Writers {
    writer: Writer,
    permits: Arc<Semaphore>,
    unreachable: mpsc::Sender<SocketAddr>,
    tracker: TaskTracker,
}

impl Writers {
    /// Takes packets in order. The first one waits for a writer as long as the
    /// settings say, so a burst is not lost while writers make progress.
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(packet) = waiting.recv().await {
            let permit = match self.permits.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) if packet.since.elapsed() > MAX_AGE => None,
                Err(_) => self.wait().await,
            };
            match permit {
                Some(permit) => {
                    let write = self.writer.clone().write(packet, permit);
                    let unreachable = self.unreachable.clone();
                    self.tracker.spawn(async move {
                        if let Some(peer) = write.await {
                            // Too many at once: the others will be found too.
                            let _ = unreachable.try_send(peer);
                        }
                    });
                }
                None => {
                    self.writer.metrics.packets_dropped.inc();
                }
            }
        }
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let acquire = self.permits.clone().acquire_owned();
        let acquired = timeout(self.writer.timeouts.acquire_writer, acquire).await;
        acquired.ok().and_then(Result::ok)
    }
}

impl Writer {
    /// Returns the peer when nobody listens there.
    async fn write(self, packet: Waiting, permit: OwnedSemaphorePermit) -> Option<SocketAddr> {
        let to = packet.to;
        let size = packet.payload.len();
        let result = self.try_write(packet).await;
        drop(permit);
        let refused = result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        let (result, connection) = match result {
            Ok(connection) => (Ok(()), Some(connection)),
            Err(error) => (Err(error), None),
        };
        self.metrics.count_sent(to, size, result);
        if let Some(mut connection) = connection {
            // Only for the sake of the connection: the packet is sent.
            drop(timeout(self.timeouts.packet_write, connection.drain()).await);
        }
        refused.then_some(to)
    }

    async fn try_write(&self, packet: Waiting) -> io::Result<Connection> {
        let frame = frame::encode(&self.advertised, &packet.payload).map_err(io::Error::other)?;
        let to = packet.to;
        drop(packet);
        let dial = timeout(self.timeouts.packet_dial, connect(self.tls.as_deref(), to));
        let mut connection = dial.await.map_err(|_| timed_out("dialling"))??;
        timeout(
            self.timeouts.packet_write,
            connection.write_and_finish(&frame),
        )
        .await
        .map_err(|_| timed_out("writing"))??;
        Ok(connection)
    }
}

impl TransportMetrics {
    fn count_sent(&self, to: SocketAddr, bytes: usize, result: io::Result<()>) {
        match result {
            Ok(()) => {
                self.packets_sent.inc();
                self.packets_sent_bytes.inc_by(bytes as u64);
            }
            Err(error) => {
                self.packets_sent_errors.inc();
                tracing::debug!(%to, %error, "packet not sent");
            }
        }
    }
}

/// Opens streams.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(super) dialect: Dialect,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) timeout: Duration,
    pub(super) metrics: TransportMetrics,
}

impl Dialer {
    /// Opens a stream and writes the request.
    pub(crate) async fn open(&self, to: SocketAddr, request: &[u8]) -> io::Result<Connection> {
        let result = self.try_open(to, request).await;
        match &result {
            Ok(_) => self.metrics.outgoing_streams.inc(),
            Err(_) => self.metrics.outgoing_stream_errors.inc(),
        };
        result
    }

    async fn try_open(&self, to: SocketAddr, request: &[u8]) -> io::Result<Connection> {
        let dial = timeout(self.timeout, connect(self.tls.as_deref(), to));
        let mut connection = dial.await.map_err(|_| timed_out("dialling"))??;
        let write = async {
            if self.dialect == Dialect::Dskit {
                connection.write_all(&[frame::STREAM]).await?;
            }
            connection.write_all(request).await?;
            connection.flush().await
        };
        timeout(self.timeout, write)
            .await
            .map_err(|_| timed_out("writing"))??;
        Ok(connection)
    }
}

async fn connect(tls: Option<&Tls>, to: SocketAddr) -> io::Result<Connection> {
    let connection = TcpStream::connect(to).await?;
    Ok(match tls {
        None => Connection::Plain(connection),
        Some(tls) => Connection::Tls(Box::new(tls.connect(connection, to).await?)),
    })
}

pub(crate) fn timed_out(doing: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{doing} timed out"))
}
