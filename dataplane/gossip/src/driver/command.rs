//! What other tasks ask of the driver.

use std::net::SocketAddr;

use bytes::Bytes;
use memberlist::{
    Ack, Broadcast, ConfigError, KeyError, PushPull, PushPullRejected, StreamMessage, StreamReader,
    WireError,
};
use tokio::sync::oneshot;

/// A request to the driver, with the way for its answer.
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
    /// Says what to answer to a stream that makes no sense.
    Refuse {
        error: WireError,
        reply: oneshot::Sender<Option<Vec<u8>>>,
    },
    /// Takes the answer to a ping by stream.
    Ack(Ack),
    /// Spreads a message of this node.
    Broadcast(Broadcast),
    /// Sends a message to one node by a packet.
    Send {
        to: SocketAddr,
        message: Bytes,
        reply: oneshot::Sender<Result<(), WireError>>,
    },
    /// Makes the stream that carries a message to one node.
    UserStream {
        message: Bytes,
        reply: oneshot::Sender<Result<Vec<u8>, WireError>>,
    },
    UpdateMeta {
        meta: Bytes,
        reply: oneshot::Sender<Result<(), ConfigError>>,
    },
    SetAckPayload {
        payload: Bytes,
        reply: oneshot::Sender<Result<(), ConfigError>>,
    },
    ChangeKeys {
        change: KeyChange,
        reply: oneshot::Sender<Result<(), KeyError>>,
    },
}

/// A step of changing the key of a cluster.
#[derive(Clone)]
pub(crate) enum KeyChange {
    Install(Bytes),
    Use(Bytes),
    Remove(Bytes),
}

impl std::fmt::Debug for KeyChange {
    /// Keys are secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Install(_) => "Install",
            Self::Use(_) => "Use",
            Self::Remove(_) => "Remove",
        })
    }
}
