//! Members of the cluster, for people.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
use memberlist::{Node, NodeState, Timestamp};
use tokio::time::Instant;

/// A node of the cluster, as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Unique name.
    pub name: String,
    /// Address of its gossip.
    pub addr: SocketAddr,
    /// What is believed about it.
    pub state: MemberState,
    /// Counts how often it had to speak for itself.
    pub incarnation: u32,
    /// Data of its application, at most 512 bytes.
    pub meta: Bytes,
    /// When it got into this state, by this node's clock.
    pub since: SystemTime,
}

/// What is believed about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer somebody; it can still object.
    Suspect,
    /// It did not object in time.
    Dead,
    /// It said goodbye.
    Left,
}

impl From<NodeState> for MemberState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Alive => Self::Alive,
            NodeState::Suspect => Self::Suspect,
            NodeState::Dead => Self::Dead,
            NodeState::Left => Self::Left,
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        })
    }
}

impl Member {
    pub(crate) fn new(node: &Node, clock: &Clock) -> Self {
        Self {
            name: node.name.as_ref().to_owned(),
            addr: node.address.socket_addr(),
            state: node.state.into(),
            incarnation: node.incarnation,
            meta: node.meta.clone(),
            since: clock.wall_start + node.state_change.as_duration(),
        }
    }

    /// Returns whether this is what is known of `node`.
    pub(crate) fn describes(&self, node: &Node) -> bool {
        *self.name == *node.name
            && self.state == node.state.into()
            && self.incarnation == node.incarnation
            && self.addr == node.address.socket_addr()
            && self.meta == node.meta
    }

    /// Returns whether the member counts: alive or merely suspected.
    pub fn is_present(&self) -> bool {
        matches!(self.state, MemberState::Alive | MemberState::Suspect)
    }
}

/// The epoch of the membership machine, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) start: Instant,
    pub(crate) wall_start: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            wall_start: SystemTime::now(),
        }
    }

    /// Returns the machine's time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_duration(self.start.elapsed())
    }

    /// Returns when the machine's time is `at`.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        self.start + at.as_duration()
    }
}
