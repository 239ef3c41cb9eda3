//! What a machine asks of its driver.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::address::Address;
use crate::node::Node;

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
    /// The cluster changed.
    Event(Event),
    /// An update for the driver's own state.
    UserMessage(Bytes),
}

/// A change of the cluster as this node sees it. Only [`Event::Refuted`] is about the node itself.
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
}
