//! Spreading news: in rounds to random nodes, and along with the messages of the failure detector.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Machine;
use crate::broadcast::{Broadcast, Form, Origin, TakeLimits, transmit_limit};
use crate::error::WireError;
use crate::message::{Message, kind};
use crate::node::{Node, NodeState};
use crate::packet::{self, MAX_PART, MAX_PARTS, PART};
use crate::time::Timestamp;

/// Bytes that a compound costs: its type and the number of parts.
const COMPOUND: usize = 2;

/// Where packets go, and what may be in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The receiver is a node of the cluster, as far as is known.
    is_node: bool,
    /// The receiver is known to understand checksums.
    with_crc: bool,
    form: Form,
}

impl Peer {
    /// A receiver that is only known by its address.
    pub(super) fn unknown(address: SocketAddr) -> Self {
        Self {
            address,
            is_node: false,
            with_crc: false,
            form: Form::Full,
        }
    }
}

impl From<&Node> for Peer {
    fn from(node: &Node) -> Self {
        const CHECKSUMS_SINCE: u8 = 5;
        const COMPACT_SINCE: u8 = 1;
        Self {
            address: node.address.socket_addr(),
            is_node: true,
            with_crc: node.versions.protocol_max >= CHECKSUMS_SINCE,
            form: match node.versions.delegate_max >= COMPACT_SINCE {
                true => Form::Compact,
                false => Form::Full,
            },
        }
    }
}

impl Machine {
    /// Queues an update of the driver's state for gossip. A [local](Origin::Local) one that is not lazy makes
    /// [`Self::next_timeout`] come at once, or soon after the latest round of gossip.
    ///
    /// One that is too long for a packet is not queued: others get it by push/pull.
    pub fn broadcast(&mut self, origin: Origin, mut broadcast: Broadcast) {
        broadcast.payload = as_user_message(&broadcast.payload);
        let compact = broadcast.compact.as_ref().map(as_user_message);
        broadcast.compact = compact.filter(|compact| compact.len() < broadcast.payload.len());
        if broadcast.payload.len() + PART > self.gossip_budget() {
            return;
        }
        let hurry = origin == Origin::Local && !broadcast.lazy;
        match origin {
            Origin::Local => self.local_broadcasts.push(broadcast),
            Origin::Forwarded => self.forwarded_broadcasts.push(broadcast),
        }
        if hurry {
            self.schedule.hurry();
        }
    }

    /// Sends a user message to a node once, as a packet that may get lost.
    ///
    /// # Errors
    /// If it does not fit into a packet. Nothing was sent.
    pub fn send_best_effort(&mut self, to: SocketAddr, payload: &[u8]) -> Result<(), WireError> {
        let limit = self.gossip_budget() - PART - 1;
        if payload.len() > limit {
            return Err(WireError::TooLarge {
                what: "user message",
                size: payload.len() as u64,
                limit: limit as u64,
            });
        }
        let known = self.members().find(|node| node.address.socket_addr() == to);
        let peer = known.map_or_else(|| Peer::unknown(to), Peer::from);
        let message = [&[kind::USER], payload].concat();
        self.emit_packet(peer.address, peer.with_crc, message);
        Ok(())
    }

    /// Returns how many updates of `origin` were not yet sent often enough.
    pub fn queued_broadcasts(&self, origin: Origin) -> usize {
        match origin {
            Origin::Local => self.local_broadcasts.len(),
            Origin::Forwarded => self.forwarded_broadcasts.len(),
        }
    }

    /// Returns how many of the [queued](Self::queued_broadcasts) updates are not lazy: what a node that leaves waits for.
    pub fn urgent_broadcasts(&self, origin: Origin) -> usize {
        match origin {
            Origin::Local => self.local_broadcasts.urgent(),
            Origin::Forwarded => self.forwarded_broadcasts.urgent(),
        }
    }

    /// Returns when the next round of gossip is due; `None` while there is nothing to tell or nobody to tell it to.
    pub(super) fn gossip_due(&self) -> Option<Timestamp> {
        let queues = [
            &self.membership_broadcasts,
            &self.local_broadcasts,
            &self.forwarded_broadcasts,
        ];
        if self.nodes.len() == 1 || queues.iter().all(|queue| queue.len() == 0) {
            return None;
        }
        match queues.iter().any(|queue| queue.urgent() > 0) {
            true => Some(self.schedule.gossip),
            false => Some(self.schedule.gossip.max(self.schedule.lazy_gossip)),
        }
    }

    /// Sends what is queued to a few random nodes, each time counting as one transmission per node.
    pub(super) fn gossip(&mut self, now: Timestamp) {
        let dead_time = self.config.gossip_to_the_dead_time;
        let receivers = self.partners(
            self.config.gossip_nodes,
            |node| match node.state {
                NodeState::Alive | NodeState::Suspect => true,
                NodeState::Dead => now.saturating_since(node.state_change) <= dead_time,
                NodeState::Left => false,
            },
            |node| Peer::from(node),
        );
        for receiver in receivers {
            let limits = TakeLimits {
                budget: self.gossip_budget(),
                count: usize::MAX,
                max_len: usize::MAX,
            };
            let mut messages = Vec::new();
            self.take_broadcasts(limits, receiver.form, &mut messages);
            if messages.is_empty() {
                return;
            }
            self.send_all(receiver, &messages);
        }
    }

    /// Sends a message of the failure detector, and with it, to a node, as much news as fits into one packet.
    ///
    /// Strangers get none: each piece of news is sent a limited number of times, which they could use up with their pings.
    /// Such packets carry no checksum, whoever receives them.
    pub(super) fn send_with_news(&mut self, peer: Peer, message: &Message) {
        let message = Bytes::from(message.encode());
        let limits = TakeLimits {
            budget: self.gossip_budget().saturating_sub(message.len() + PART),
            count: MAX_PARTS - 1,
            max_len: MAX_PART,
        };
        let mut parts = vec![message];
        if peer.is_node {
            self.take_broadcasts(limits, peer.form, &mut parts);
        }
        let peer = Peer {
            with_crc: false,
            ..peer
        };
        self.send_all(peer, &parts);
    }

    /// Sends messages in as few packets as possible.
    pub(super) fn send_all(&mut self, peer: Peer, messages: &[Bytes]) {
        for body in packet::assemble(messages) {
            self.emit_packet(peer.address, peer.with_crc, body);
        }
    }

    /// Returns the node called `name` as a receiver, if it has this address.
    pub(super) fn peer_at(&self, name: &str, address: SocketAddr) -> Peer {
        self.nodes
            .get(name)
            .map(Peer::from)
            .filter(|peer| peer.address == address)
            .unwrap_or_else(|| Peer::unknown(address))
    }

    /// Returns the bytes that one packet has for messages.
    pub(super) fn gossip_budget(&self) -> usize {
        let label = match self.config.label.len() {
            0 => 0,
            len => 2 + len,
        };
        self.config.packet_budget - COMPOUND - label - self.encryption_room()
    }

    /// Takes news about nodes first, then this node's updates, then those of others.
    fn take_broadcasts(&mut self, mut limits: TakeLimits, form: Form, messages: &mut Vec<Bytes>) {
        let multiplier = self.config.retransmit_mult;
        let limit = transmit_limit(multiplier, self.nodes.len());
        self.membership_broadcasts
            .take(&mut limits, form, limit, messages);
        if self.local_broadcasts.len() + self.forwarded_broadcasts.len() == 0 {
            return;
        }
        let limit = transmit_limit(multiplier, self.alive_count());
        for queue in [&mut self.local_broadcasts, &mut self.forwarded_broadcasts] {
            queue.take(&mut limits, form, limit, messages);
        }
    }
}

fn as_user_message(payload: &Bytes) -> Bytes {
    Bytes::from([&[kind::USER], payload.as_ref()].concat())
}
