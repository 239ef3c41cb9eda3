//! Streams: full state exchanges in both directions, and what else peers may
//! send on a stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::{PushPull, PushPullRejected, StreamMessage, StreamReader, WireError};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::transport::{
    Dialer, IncomingStream, Memory, Reservation, read_chunk, timed_out, write_and_finish,
};

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
    #[error("no memory left for incoming messages")]
    NoMemory,
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
    memory: Arc<Memory>,
}

impl PushPuller {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        dialer: Dialer,
        timeout: Duration,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            commands,
            dialer,
            timeout,
            memory,
        }
    }

    /// Exchanges states with the node at `to` and merges its answer.
    pub(crate) async fn push_pull(&self, to: SocketAddr, join: bool) -> Result<(), PushPullError> {
        let (request, reader) = self.ask(|reply| Command::Open { join, reply }).await?;
        let mut connection = self.dialer.open(to, &request).await?;
        drop(request);
        let (message, _memory) = self.read(&mut connection, reader).await?;
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
        if let Err(error) = self.try_serve(&mut stream.connection, reader).await {
            tracing::debug!(peer = %stream.peer, %error, "closed a stream");
        }
    }

    async fn try_serve(
        &self,
        connection: &mut TcpStream,
        reader: StreamReader,
    ) -> Result<(), PushPullError> {
        let (message, _memory) = self.read(connection, reader).await?;
        let answer = self.ask(|reply| Command::Serve { message, reply }).await?;
        let Some(answer) = answer else {
            return Ok(());
        };
        timeout(self.timeout, write_and_finish(connection, &answer))
            .await
            .map_err(|_| timed_out("writing"))??;
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
        connection: &mut TcpStream,
        reader: StreamReader,
    ) -> Result<(StreamMessage, Reservation), PushPullError> {
        timeout(self.timeout, self.read_message(connection, reader))
            .await
            .map_err(|_| timed_out("reading"))?
    }

    /// Reads one message, which says itself where it ends.
    async fn read_message(
        &self,
        connection: &mut TcpStream,
        mut reader: StreamReader,
    ) -> Result<(StreamMessage, Reservation), PushPullError> {
        let mut memory = self.memory.reservation();
        let mut chunk = Vec::new();
        let mut total = 0;
        loop {
            chunk.clear();
            match read_chunk(connection, &mut chunk).await? {
                0 => return Err(PushPullError::Closed),
                count => total += count,
            }
            if !memory.grow_to(total) {
                return Err(PushPullError::NoMemory);
            }
            if let Some(message) = reader.feed(&chunk)? {
                return Ok((message, memory));
            }
        }
    }
}
