//! What a machine asks of its driver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::node::Node;
use crate::time::Timestamp;

/// Something to do or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a packet. Nobody waits for the result.
    Packet {
        /// The receiver.
        to: SocketAddr,
        /// The packet, ready for the transport's frame.
        payload: Vec<u8>,
    },
    /// Exchange state with a node, without joining.
    PushPull {
        /// The node's address.
        to: SocketAddr,
        /// The node's name.
        node: Arc<str>,
    },
    /// Ask a node by a stream whether it is there, as packets do not seem to reach it.
    ///
    /// Open a stream, write `request`, read the answer with [`crate::Machine::response_reader`] and hand its ack to
    /// [`crate::Machine::handle_stream_ack`].
    StreamPing {
        /// The node's address.
        to: SocketAddr,
        /// The node's name.
        node: Arc<str>,
        /// What to send, after the transport's stream prefix.
        request: Vec<u8>,
        /// When the answer is of no use any more.
        deadline: Timestamp,
    },
    /// The cluster changed, or something was learned about it.
    Event(Event),
    /// An update for the driver's own state.
    UserMessage(Bytes),
}

/// A change of the cluster as this node sees it, and what it learned of its peers.
///
/// Only [`Event::Refuted`] is about the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node is new, or back.
    Joined(Node),
    /// A node changed its metadata.
    Updated(Node),
    /// A node does not answer; it is still a member.
    Suspected(Node),
    /// A node was declared dead.
    Dead(Node),
    /// A node left on its own account.
    Left(Node),
    /// Others doubted that this node is alive; it objects.
    Refuted {
        /// The incarnation that overrides the accusation.
        incarnation: u32,
    },
    /// A node claims a name that is taken by another address; the claim is ignored.
    Conflict {
        /// The name.
        name: Arc<str>,
        /// The address that has it.
        known: Address,
        /// The address that claims it.
        offered: Address,
    },
    /// A node answered a ping of this one directly. Says nothing about membership.
    PingCompleted {
        /// The node that answered.
        node: Arc<str>,
        /// The time between ping and ack.
        rtt: Duration,
        /// What the node's owner adds to its acks; empty if nothing.
        payload: Bytes,
    },
    /// A node answered by stream but not by packet: the network drops its packets. It stays a member.
    ReachedByStream {
        /// The node that answered.
        node: Arc<str>,
    },
}
