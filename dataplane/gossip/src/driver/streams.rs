//! Streams: full state exchanges in both directions, pings where packets do
//! not get through, and messages that must arrive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memberlist::{PushPullRejected, StreamMessage, StreamReader, WireError};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::Command;
use crate::refusals::{Refusals, reason};
use crate::transport::{Admission, Admitted, Connection, Dialer, IncomingStream, timed_out};

/// Streams answered at once, as in memberlist.
const MAX_ANSWERS: usize = 127;

/// Why a stream came to nothing. Trying again later can help.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("peer closed the stream without an answer, as it does when its cluster label differs")]
    Closed,
    #[error("cannot read the stream: {0}")]
    Wire(#[from] WireError),
    #[error("not complete in time")]
    Slow,
    #[error("no memory left for incoming messages")]
    NoMemory,
    #[error("too many streams are being answered")]
    Busy,
    #[error("peer reports: {0}")]
    Peer(String),
    #[error("peer answered with something else than was asked for")]
    Unexpected,
    #[error(transparent)]
    Rejected(#[from] PushPullRejected),
    #[error("gossip has stopped")]
    Stopped,
}

impl StreamError {
    /// Returns the label of the metric.
    fn reason(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Closed | Self::Stopped => reason::TRUNCATED,
            Self::Wire(error) => error.kind(),
            Self::Slow => reason::SLOW,
            Self::NoMemory => reason::NO_MEMORY,
            Self::Busy => reason::QUEUE_FULL,
            Self::Rejected(rejected) => rejected.kind(),
            Self::Peer(_) | Self::Unexpected => "malformed",
        }
    }
}

/// Opens and serves streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    commands: mpsc::Sender<Command>,
    dialer: Dialer,
    timeout: Duration,
    admission: Arc<Admission>,
    answers: Arc<Semaphore>,
    refusals: Refusals,
}

impl Streams {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        dialer: Dialer,
        timeout: Duration,
        admission: Arc<Admission>,
        refusals: Refusals,
    ) -> Self {
        Self {
            commands,
            dialer,
            timeout,
            admission,
            answers: Arc::new(Semaphore::new(MAX_ANSWERS)),
            refusals,
        }
    }

    /// Exchanges states with the node at `to` and merges its answer.
    pub(crate) async fn push_pull(&self, to: SocketAddr, join: bool) -> Result<(), StreamError> {
        let (request, reader) = self.ask(|reply| Command::Open { join, reply }).await?;
        let mut connection = self.dialer.open(to, &request).await?;
        drop(request);
        let expected = self.admission.expect(to.ip());
        let remote = match self.read(&mut connection, reader, &expected).await? {
            StreamMessage::PushPull(remote) => remote,
            StreamMessage::Error(error) => return Err(StreamError::Peer(error)),
            _ => return Err(StreamError::Unexpected),
        };
        self.ask(|reply| Command::Merge { remote, reply }).await??;
        Ok(())
    }

    /// Asks the node at `to` whether it is there.
    pub(crate) async fn ping(
        &self,
        to: SocketAddr,
        request: Vec<u8>,
        reader: StreamReader,
        deadline: Instant,
    ) -> Result<(), StreamError> {
        let asking = async {
            let mut connection = self.dialer.open(to, &request).await?;
            let expected = self.admission.expect(to.ip());
            self.read(&mut connection, reader, &expected).await
        };
        let answer = timeout_at(deadline, asking).await;
        match answer.map_err(|_| StreamError::Slow)?? {
            StreamMessage::Ack(ack) => self.tell(Command::Ack(ack)).await,
            _ => Err(StreamError::Unexpected),
        }
    }

    /// Brings a message to the node at `to`.
    pub(crate) async fn send(&self, to: SocketAddr, message: Bytes) -> Result<(), StreamError> {
        let stream = self.ask(|reply| Command::UserStream { message, reply });
        let stream = stream.await??;
        let mut connection = self.dialer.open(to, &stream).await?;
        // The peer answers nothing, but closing in order tells it the end.
        timeout(self.timeout, async {
            connection.write_and_finish(&[]).await?;
            connection.drain().await;
            Ok::<_, io::Error>(())
        })
        .await
        .map_err(|_| timed_out("writing"))??;
        Ok(())
    }

    /// Serves a stream that a peer opened.
    pub(crate) async fn serve(self, mut stream: IncomingStream, reader: StreamReader) {
        let evicted = stream.admitted.eviction();
        let serving = self.try_serve(&mut stream.connection, reader, &stream.admitted);
        let Some(Err(error)) = evicted.run_until_cancelled(serving).await else {
            return;
        };
        self.refusals.count(error.reason());
        tracing::debug!(peer = %stream.peer, %error, "refused a gossip stream");
        if let StreamError::Wire(error) = error {
            let refusal = self.ask(|reply| Command::Refuse { error, reply }).await;
            if let Ok(Some(refusal)) = refusal {
                self.answer(&mut stream.connection, &refusal).await;
            }
        }
    }

    async fn try_serve(
        &self,
        connection: &mut Connection,
        reader: StreamReader,
        admitted: &Admitted,
    ) -> Result<(), StreamError> {
        let message = self.read(connection, reader, admitted).await?;
        admitted.received();
        let Ok(_answering) = self.answers.try_acquire() else {
            return Err(StreamError::Busy);
        };
        let answer = self.ask(|reply| Command::Serve { message, reply }).await?;
        if let Some(answer) = answer {
            self.answer(connection, &answer).await;
        }
        Ok(())
    }

    /// Writes an answer. That the peer does not wait for it harms nobody else.
    async fn answer(&self, connection: &mut Connection, answer: &[u8]) {
        let writing = timeout(self.timeout, connection.write_and_finish(answer));
        if let Err(error) = writing.await.map_err(|_| timed_out("writing")).flatten() {
            tracing::debug!(%error, "a peer did not take its answer");
        }
    }

    /// Asks the driver.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, StreamError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| StreamError::Stopped)
    }

    /// Tells the driver.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), StreamError> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| StreamError::Stopped)
    }

    async fn read(
        &self,
        connection: &mut Connection,
        reader: StreamReader,
        admitted: &Admitted,
    ) -> Result<StreamMessage, StreamError> {
        timeout(self.timeout, read_message(connection, reader, admitted))
            .await
            .map_err(|_| StreamError::Slow)?
    }
}

/// Reads one message, which says itself where it ends.
async fn read_message(
    connection: &mut Connection,
    mut reader: StreamReader,
    admitted: &Admitted,
) -> Result<StreamMessage, StreamError> {
    let mut chunk = Vec::new();
    let mut total = 0;
    loop {
        chunk.clear();
        match connection.read_chunk(&mut chunk, total).await? {
            0 => return Err(StreamError::Closed),
            count => total += count,
        }
        if !admitted.grow_to(total) {
            return Err(StreamError::NoMemory);
        }
        if let Some(message) = reader.feed(&chunk)? {
            // A compressed message becomes much longer, and waits for the driver in that form.
            return match admitted.grow_to(message.held_bytes()) {
                true => Ok(message),
                false => Err(StreamError::NoMemory),
            };
        }
    }
}
