//! What can go wrong when a node starts or joins.

use std::io;

use thiserror::Error;

use crate::TlsError;
use crate::driver::StreamError;

/// Why a node did not start or join. Nothing is left running after an error
/// of [`Gossip::start`](crate::Gossip::start).
#[derive(Debug, Error)]
pub enum GossipError {
    /// A setting is outside its range.
    #[error("memberlist {setting}: {reason}")]
    InvalidConfig {
        /// The setting, named as its flag without the prefix.
        setting: &'static str,
        /// What is expected.
        reason: String,
    },
    /// No address was given and none fit for peers was found on the host.
    #[error("no address to advertise to peers found on this host; set memberlist advertise-addr")]
    NoAdvertiseAddress,
    /// The hostname, which names the node, cannot be read.
    #[error("cannot read the hostname, set memberlist nodename: {0}")]
    Hostname(io::Error),
    /// The listener cannot be used.
    #[error("cannot use the gossip listener: {0}")]
    Listener(io::Error),
    /// TLS is on and its files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Too few seeds answered. Trying again later can help.
    #[error("joined {joined} seed nodes of at least {required}")]
    Join {
        /// Seeds that answered.
        joined: usize,
        /// Seeds that had to.
        required: usize,
    },
    /// The task that gossips has ended without being asked to.
    #[error("gossip has ended unexpectedly, restart the process")]
    Ended,
}

impl GossipError {
    pub(crate) fn invalid(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidConfig {
            setting,
            reason: reason.into(),
        }
    }
}

/// Why a node did not do what it was asked.
#[derive(Debug, Error)]
pub enum SendError {
    /// What was asked for cannot be done; asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// The other node was not reached. Trying again later can help.
    #[error("{0}")]
    Stream(String),
    /// The node has left.
    #[error("gossip has stopped")]
    Stopped,
}

impl SendError {
    pub(crate) fn refused(reason: impl ToString) -> Self {
        Self::Refused(reason.to_string())
    }
}

impl From<StreamError> for SendError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Stopped => Self::Stopped,
            StreamError::Wire(error) => Self::refused(error),
            error => Self::Stream(error.to_string()),
        }
    }
}
