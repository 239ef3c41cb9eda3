//! Spreading news: in rounds to random nodes, and along with the messages of the failure detector.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Machine;
use crate::broadcast::{TakeLimits, transmit_limit};
use crate::message::{Message, kind};
use crate::node::{Node, NodeState};
use crate::packet::{self, MAX_PART, MAX_PARTS};
use crate::time::Timestamp;

/// Bytes that a compound costs: its type and the number of parts.
const COMPOUND: usize = 2;
/// Bytes that each part of a compound costs: its length.
const PART: usize = 2;

/// Returns what a user message costs in a packet: its payload, type and place in a compound.
pub(super) const fn user_cost(payload: usize) -> usize {
    payload + PART + 1
}

impl Machine {
    /// Sends what is queued to a few random nodes, each time counting as one transmission per node.
    pub(super) fn gossip(&mut self, now: Timestamp) {
        let dead_time = self.config.gossip_to_the_dead_time;
        let receivers = self.random_nodes(self.config.gossip_nodes, |node| match node.state {
            NodeState::Alive | NodeState::Suspect => true,
            NodeState::Dead => now.saturating_since(node.state_change) <= dead_time,
            NodeState::Left => false,
        });
        for receiver in receivers {
            let messages = self.take_broadcasts(TakeLimits {
                budget: self.gossip_budget(),
                count: usize::MAX,
                max_len: usize::MAX,
            });
            if messages.is_empty() {
                return;
            }
            for body in packet::assemble(&messages) {
                self.send_to_node(&receiver, body);
            }
        }
    }

    /// Sends a message of the failure detector, and with it as much news as fits into one packet.
    pub(super) fn send_with_news(&mut self, to: SocketAddr, message: &Message) {
        let message = Bytes::from(message.encode());
        let news = self.take_broadcasts(TakeLimits {
            budget: self.gossip_budget().saturating_sub(message.len() + PART),
            count: MAX_PARTS - 1,
            max_len: MAX_PART,
        });
        let parts: Vec<Bytes> = std::iter::once(message).chain(news).collect();
        for body in packet::assemble(&parts) {
            self.emit_packet(to, false, body);
        }
    }

    /// Sends to a node that is known to understand checksums, or not.
    pub(super) fn send_to_node(&mut self, node: &Node, body: Vec<u8>) {
        const CHECKSUMS_SINCE: u8 = 5;
        let with_crc = node.versions.protocol_max >= CHECKSUMS_SINCE;
        self.emit_packet(node.address.socket_addr(), with_crc, body);
    }

    /// Chooses up to `count` nodes other than this one.
    pub(super) fn random_nodes(
        &mut self,
        count: usize,
        accept: impl Fn(&Node) -> bool,
    ) -> Vec<Node> {
        let candidates: Vec<&Node> = self
            .nodes
            .values()
            .filter(|node| node.name != self.name && accept(node))
            .collect();
        let chosen = self.rng.choose(candidates, count);
        chosen.into_iter().cloned().collect()
    }

    /// Returns the bytes that one packet has for messages.
    pub(super) fn gossip_budget(&self) -> usize {
        let label = match self.config.label.len() {
            0 => 0,
            len => 2 + len,
        };
        self.config.packet_budget - COMPOUND - label
    }

    /// Takes news about nodes first, then this node's updates, then those of others.
    fn take_broadcasts(&mut self, mut limits: TakeLimits) -> Vec<Bytes> {
        let multiplier = self.config.retransmit_mult;
        let limit = transmit_limit(multiplier, self.nodes.len());
        let mut messages = self.membership_broadcasts.take(&mut limits, PART, limit);
        let user_limit = transmit_limit(multiplier, self.alive_count());
        limits.max_len = limits.max_len.saturating_sub(1);
        for queue in [&mut self.local_broadcasts, &mut self.forwarded_broadcasts] {
            let payloads = queue.take(&mut limits, user_cost(0), user_limit);
            messages.extend(payloads.iter().map(as_user_message));
        }
        messages
    }
}

fn as_user_message(payload: &Bytes) -> Bytes {
    Bytes::from([&[kind::USER], payload.as_ref()].concat())
}
