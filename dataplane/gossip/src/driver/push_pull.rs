//! Streams: full state exchanges in both directions, and what else peers may
//! send on a stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::{PushPull, PushPullRejected, StreamMessage, StreamReader, WireError};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::refusals::{Refusal, Refusals};
use crate::transport::{Admission, Admitted, Connection, Dialer, IncomingStream, timed_out};

/// Streams answered at once, as in memberlist.
const MAX_ANSWERS: usize = 127;

/// What a stream task asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// Begins a push/pull: this node's state and a reader for the answer.
    Open {
        join: bool,
        reply: oneshot::Sender<(Vec<u8>, StreamReader)>,
    },
    /// Merges the answer of a peer.
    Merge {
        remote: PushPull,
        reply: oneshot::Sender<Result<(), PushPullRejected>>,
    },
    /// Answers what a peer sent on a stream; `None` closes it.
    Serve {
        message: StreamMessage,
        reply: oneshot::Sender<Option<Vec<u8>>>,
    },
}

/// Why a full state exchange failed. Trying again later can help.
#[derive(Debug, Error)]
pub(crate) enum PushPullError {
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
    #[error("peer answered with something else than its state")]
    Unexpected,
    #[error(transparent)]
    Rejected(#[from] PushPullRejected),
    #[error("gossip has stopped")]
    Stopped,
}

/// Exchanges full states with peers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct PushPuller {
    commands: mpsc::Sender<Command>,
    dialer: Dialer,
    timeout: Duration,
    admission: Arc<Admission>,
    answers: Arc<Semaphore>,
    refusals: Refusals,
}

impl PushPuller {
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
    pub(crate) async fn push_pull(&self, to: SocketAddr, join: bool) -> Result<(), PushPullError> {
        let (request, reader) = self.ask(|reply| Command::Open { join, reply }).await?;
        let mut connection = self.dialer.open(to, &request).await?;
        drop(request);
        let expected = self.admission.expect(to.ip());
        let message = self.read(&mut connection, reader, &expected).await?;
        let remote = match message {
            StreamMessage::PushPull(remote) => remote,
            StreamMessage::Error(error) => return Err(PushPullError::Peer(error)),
            _ => return Err(PushPullError::Unexpected),
        };
        self.ask(|reply| Command::Merge { remote, reply }).await??;
        Ok(())
    }

    /// Serves a stream that a peer opened.
    pub(crate) async fn serve(self, mut stream: IncomingStream, reader: StreamReader) {
        let evicted = stream.admitted.eviction();
        let serving = self.try_serve(&mut stream.connection, reader, &stream.admitted);
        if let Some(Err(error)) = evicted.run_until_cancelled(serving).await {
            self.refusals.count((&error).into());
            tracing::debug!(peer = %stream.peer, %error, "refused a gossip stream");
        }
    }

    async fn try_serve(
        &self,
        connection: &mut Connection,
        reader: StreamReader,
        admitted: &Admitted,
    ) -> Result<(), PushPullError> {
        let message = self.read(connection, reader, admitted).await?;
        admitted.received();
        let Ok(_answering) = self.answers.try_acquire() else {
            return Err(PushPullError::Busy);
        };
        let answer = self.ask(|reply| Command::Serve { message, reply }).await?;
        let Some(answer) = answer else {
            return Ok(());
        };
        // That the peer does not wait for its answer harms nobody else.
        let writing = timeout(self.timeout, connection.write_and_finish(&answer));
        if let Err(error) = writing.await.map_err(|_| timed_out("writing")).flatten() {
            tracing::debug!(%error, "a peer did not take its answer");
        }
        Ok(())
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, PushPullError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| PushPullError::Stopped)?;
        answer.await.map_err(|_| PushPullError::Stopped)
    }

    async fn read(
        &self,
        connection: &mut Connection,
        reader: StreamReader,
        admitted: &Admitted,
    ) -> Result<StreamMessage, PushPullError> {
        timeout(self.timeout, read_message(connection, reader, admitted))
            .await
            .map_err(|_| PushPullError::Slow)?
    }
}

/// Reads one message, which says itself where it ends.
async fn read_message(
    connection: &mut Connection,
    mut reader: StreamReader,
    admitted: &Admitted,
) -> Result<StreamMessage, PushPullError> {
    let mut chunk = Vec::new();
    let mut total = 0;
    loop {
        chunk.clear();
        match connection.read_chunk(&mut chunk, total).await? {
            0 => return Err(PushPullError::Closed),
            count => total += count,
        }
        if !admitted.grow_to(total) {
            return Err(PushPullError::NoMemory);
        }
        if let Some(message) = reader.feed(&chunk)? {
            return Ok(message);
        }
    }
}

impl From<&PushPullError> for Refusal {
    fn from(error: &PushPullError) -> Self {
        match error {
            PushPullError::Slow => Self::Slow,
            PushPullError::NoMemory => Self::NoMemory,
            PushPullError::Busy => Self::QueueFull,
            PushPullError::Wire(error) => error.into(),
            PushPullError::Rejected(_) => Self::Members,
            PushPullError::Unexpected | PushPullError::Peer(_) => Self::Malformed,
            PushPullError::Io(_) | PushPullError::Closed | PushPullError::Stopped => {
                Self::Truncated
            }
        }
    }
}
