//! Connections to peers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::frame;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::{MAX_WAITING_PACKETS, Memory, OUTGOING_MEMORY, Reservation, Timeouts};
use crate::metrics::TransportMetrics;

/// Sends packets. Nothing is reported to the caller: a packet that gets lost
/// is noticed by the missing answer, as with UDP.
#[derive(Debug)]
pub(crate) struct OutgoingPackets {
    queue: mpsc::Sender<Waiting>,
    memory: Memory,
    acquire_writer: Duration,
    metrics: TransportMetrics,
}

/// A packet that waits for a writer.
#[derive(Debug)]
struct Waiting {
    to: SocketAddr,
    payload: Vec<u8>,
    deadline: Instant,
    _memory: Reservation,
}

impl OutgoingPackets {
    /// Starts the writers in `tracker`; they end when the value is dropped and
    /// the packets that waited are written.
    pub(super) fn start(
        advertised: String,
        timeouts: Timeouts,
        max_concurrent_writes: usize,
        metrics: TransportMetrics,
        tracker: &TaskTracker,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING_PACKETS);
        let writer = Writer {
            advertised: advertised.into(),
            timeouts,
            metrics: metrics.clone(),
        };
        let permits = Arc::new(Semaphore::new(max_concurrent_writes.max(1)));
        tracker.spawn(writer.run(waiting, permits, tracker.clone()));
        Self {
            queue,
            memory: Memory::new(OUTGOING_MEMORY),
            acquire_writer: timeouts.acquire_writer,
            metrics,
        }
    }

    /// Hands a packet to the writers, or drops it when too much is waiting.
    pub(crate) fn send(&self, to: SocketAddr, payload: Vec<u8>) {
        let mut memory = self.memory.reservation();
        if !memory.grow_to(payload.len()) {
            self.metrics.packets_dropped.inc();
            return;
        }
        let waiting = Waiting {
            to,
            payload,
            deadline: Instant::now() + self.acquire_writer,
            _memory: memory,
        };
        if self.queue.try_send(waiting).is_err() {
            self.metrics.packets_dropped.inc();
        }
    }
}

#[derive(Clone, Debug)]
struct Writer {
    advertised: Arc<str>,
    timeouts: Timeouts,
    metrics: TransportMetrics,
}

impl Writer {
    async fn run(
        self,
        mut waiting: mpsc::Receiver<Waiting>,
        permits: Arc<Semaphore>,
        tracker: TaskTracker,
    ) {
        while let Some(packet) = waiting.recv().await {
            let permit = permits.clone().acquire_owned();
            match timeout_at(packet.deadline, permit).await {
                Ok(Ok(permit)) => {
                    tracker.spawn(self.clone().write(packet, permit));
                }
                Ok(Err(_)) | Err(_) => {
                    self.metrics.packets_dropped.inc();
                }
            }
        }
    }

    async fn write(self, packet: Waiting, _permit: OwnedSemaphorePermit) {
        let size = packet.payload.len() as u64;
        match self.try_write(&packet).await {
            Ok(()) => {
                self.metrics.packets_sent.inc();
                self.metrics.packets_sent_bytes.inc_by(size);
            }
            Err(error) => {
                self.metrics.packets_sent_errors.inc();
                tracing::debug!(to = %packet.to, %error, "packet not sent");
            }
        }
    }

    async fn try_write(&self, packet: &Waiting) -> io::Result<()> {
        let frame = frame::encode(&self.advertised, &packet.payload).map_err(io::Error::other)?;
        let dial = timeout(self.timeouts.packet_dial, TcpStream::connect(packet.to));
        let mut connection = dial.await.map_err(|_| timed_out("dialling"))??;
        timeout(
            self.timeouts.packet_write,
            write_and_finish(&mut connection, &frame),
        )
        .await
        .map_err(|_| timed_out("writing"))?
    }
}

/// Writes and says that nothing follows. The receiver knows the end of a
/// packet by this alone, and an abort would make it lose the packet.
pub(crate) async fn write_and_finish(connection: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    connection.write_all(bytes).await?;
    connection.shutdown().await
}

/// Opens streams.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    timeout: Duration,
    metrics: TransportMetrics,
}

impl Dialer {
    pub(super) fn new(timeouts: Timeouts, metrics: TransportMetrics) -> Self {
        Self {
            timeout: timeouts.stream,
            metrics,
        }
    }

    /// Opens a stream and writes the request.
    pub(crate) async fn open(&self, to: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
        let result = self.try_open(to, request).await;
        match &result {
            Ok(_) => self.metrics.outgoing_streams.inc(),
            Err(_) => self.metrics.outgoing_stream_errors.inc(),
        };
        result
    }

    async fn try_open(&self, to: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
        let dial = timeout(self.timeout, TcpStream::connect(to));
        let mut connection = dial.await.map_err(|_| timed_out("dialling"))??;
        let write = async {
            connection.write_all(&[frame::STREAM]).await?;
            connection.write_all(request).await
        };
        timeout(self.timeout, write)
            .await
            .map_err(|_| timed_out("writing"))??;
        Ok(connection)
    }
}

pub(crate) fn timed_out(doing: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{doing} timed out"))
}
