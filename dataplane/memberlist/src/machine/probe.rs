//! The failure detector: one node at a time is pinged, directly and then through others.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::Machine;
use super::gossip::Peer;
use crate::address::Address;
use crate::error::WireError;
use crate::message::{Ack, IndirectPing, Message, Ping};
use crate::node::{Node, NodeState};
use crate::time::Timestamp;

/// Most probes made for others at the same time.
const MAX_RELAYS: usize = 1024;
/// The first protocol version that knows nacks.
const NACKS_SINCE: u8 = 4;

/// The probe under way.
#[derive(Debug)]
pub(super) struct Probe {
    sequence: u32,
    target: Arc<str>,
    /// When others are asked, unless they were.
    ask_others: Option<Timestamp>,
    /// When the target becomes suspect.
    ends: Timestamp,
    /// Others asked that say so if they get no answer either.
    nacks_expected: u32,
    nacks_received: u32,
}

impl Probe {
    pub(super) fn deadline(&self) -> Timestamp {
        self.ask_others.map_or(self.ends, |ask| ask.min(self.ends))
    }
}

/// A probe made for another node.
#[derive(Debug)]
pub(super) struct Relay {
    requester: Peer,
    /// The requester's number for the probe.
    sequence: u32,
    wants_nack: bool,
    pub(super) deadline: Timestamp,
}

impl Machine {
    pub(super) fn handle_ping(&mut self, from: &str, ping: &Ping) -> Result<(), WireError> {
        if !self.is_addressee(ping) {
            return Err(WireError::WrongNode {
                name: ping.node.clone(),
            });
        }
        let to = return_address(&ping.source_addr, ping.source_port, from)?;
        self.send_ack(self.peer_at(&ping.source_node, to), ping.seq_no);
        Ok(())
    }

    pub(super) fn is_addressee(&self, ping: &Ping) -> bool {
        ping.node.is_empty() || ping.node == *self.name
    }

    pub(super) fn handle_indirect_ping(
        &mut self,
        now: Timestamp,
        from: &str,
        request: &IndirectPing,
    ) -> Result<(), WireError> {
        if self.relays.len() >= MAX_RELAYS {
            let (what, limit) = ("indirect pings", MAX_RELAYS);
            return Err(WireError::Full { what, limit });
        }
        let requester = return_address(&request.source_addr, request.source_port, from)?;
        let requester = self.peer_at(&request.source_node, requester);
        let target = self.announced_address(&request.target, request.port)?;
        let sequence = self.next_sequence();
        self.relays.insert(
            sequence,
            Relay {
                requester,
                sequence: request.seq_no,
                wants_nack: request.nack,
                deadline: now + self.config.probe_timeout,
            },
        );
        let ping = self.ping(sequence, &request.node);
        let target = self.peer_at(&request.node, target.socket_addr());
        self.send_with_news(target, &ping);
        Ok(())
    }

    pub(super) fn handle_ack(&mut self, now: Timestamp, sequence: u32) {
        if self
            .probe
            .take_if(|probe| probe.sequence == sequence)
            .is_some()
        {
            self.health_score = self.health_score.saturating_sub(1);
            self.start_overdue_probe(now);
        } else if let Some(relay) = self.relays.remove(&sequence) {
            self.send_ack(relay.requester, relay.sequence);
        }
    }

    pub(super) fn handle_nack(&mut self, sequence: u32) {
        if let Some(probe) = &mut self.probe
            && probe.sequence == sequence
        {
            probe.nacks_received = probe.nacks_expected.min(probe.nacks_received + 1);
        }
    }

    /// Gives up on probes made for others, and tells those who want to know.
    pub(super) fn expire_relays(&mut self, now: Timestamp) {
        let expired: Vec<Relay> = self
            .relays
            .extract_if(.., |_, relay| relay.deadline <= now)
            .map(|(_, relay)| relay)
            .collect();
        for relay in expired.iter().filter(|relay| relay.wants_nack) {
            self.send_with_news(relay.requester, &Message::Nack(relay.sequence));
        }
    }

    /// Asks others about the target, or suspects it, when it is time.
    pub(super) fn advance_probe(&mut self, now: Timestamp) {
        if let Some(probe) = self.probe.take_if(|probe| probe.ends <= now) {
            self.fail_probe(now, &probe);
        } else if let Some(probe) = &mut self.probe
            && probe.ask_others.take_if(|ask| *ask <= now).is_some()
        {
            let (sequence, target) = (probe.sequence, Arc::clone(&probe.target));
            self.ask_others(sequence, &target);
        }
    }

    /// Starts the next probe if one is due and none is under way.
    pub(super) fn start_overdue_probe(&mut self, now: Timestamp) {
        if !self.probe_overdue || self.probe.is_some() {
            return;
        }
        self.probe_overdue = false;
        if let Some(target) = self.next_target(now) {
            self.start_probe(now, &target);
        }
    }

    fn start_probe(&mut self, now: Timestamp, target: &Node) {
        let sequence = self.next_sequence();
        self.probe = Some(Probe {
            sequence,
            target: Arc::clone(&target.name),
            ask_others: Some(now + self.config.probe_timeout),
            ends: now + self.config.probe_interval * (self.health_score + 1),
            nacks_expected: 0,
            nacks_received: 0,
        });
        let ping = self.ping(sequence, &target.name);
        match self.accuse(&target.name) {
            // The target learns at once that it is suspected, so that it can object.
            Some(accusation) if target.state != NodeState::Alive => {
                let parts = [ping, Message::Suspect(accusation)];
                let parts = parts.map(|message| Bytes::from(message.encode()));
                self.send_all(Peer::from(target), &parts);
            }
            _ => self.send_with_news(Peer::from(target), &ping),
        }
    }

    fn ask_others(&mut self, sequence: u32, target: &str) {
        let Some(target) = self.nodes.get(target).cloned() else {
            return;
        };
        let helpers = self.random_nodes(
            self.config.indirect_checks,
            |node| node.name != target.name && node.state == NodeState::Alive,
            |node| (Peer::from(node), node.versions.protocol_max >= NACKS_SINCE),
        );
        for (helper, nack) in helpers {
            if let Some(probe) = &mut self.probe {
                probe.nacks_expected += u32::from(nack);
            }
            let request = Message::IndirectPing(IndirectPing {
                seq_no: sequence,
                target: target.address.ip.as_bytes().to_vec(),
                port: target.address.port,
                node: target.name.to_string(),
                nack,
                source_addr: self.config.advertise.ip.as_bytes().to_vec(),
                source_port: self.config.advertise.port,
                source_node: self.name.to_string(),
            });
            self.send_with_news(helper, &request);
        }
    }

    /// Nobody could reach the target. If the others did not even say so, the fault may be here.
    fn fail_probe(&mut self, now: Timestamp, probe: &Probe) {
        let missed = match probe.nacks_expected {
            0 => 1,
            expected => expected - probe.nacks_received,
        };
        self.worsen_health(missed);
        if let Some(accusation) = self.accuse(&probe.target) {
            self.handle_suspect(now, &accusation);
        }
    }

    /// Walks the list to the next member; each time it wraps, the dead are forgotten and the order changes.
    fn next_target(&mut self, now: Timestamp) -> Option<Node> {
        for _ in 0..=self.probe_order.len() {
            if self.probe_index >= self.probe_order.len() {
                self.reap(now);
                self.rng.shuffle(&mut self.probe_order);
                self.probe_index = 0;
            }
            let name = self.probe_order.get(self.probe_index)?;
            self.probe_index += 1;
            let node = self.nodes.get(name).filter(|node| node.state.is_member());
            if let Some(node) = node.filter(|node| node.name != self.name) {
                return Some(node.clone());
            }
        }
        None
    }

    fn ping(&self, sequence: u32, node: &str) -> Message {
        Message::Ping(Ping {
            seq_no: sequence,
            node: node.to_owned(),
            source_addr: self.config.advertise.ip.as_bytes().to_vec(),
            source_port: self.config.advertise.port,
            source_node: self.name.to_string(),
        })
    }

    fn send_ack(&mut self, to: Peer, sequence: u32) {
        let ack = Ack {
            seq_no: sequence,
            payload: None,
        };
        self.send_with_news(to, &Message::Ack(ack));
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

/// Returns where to answer to: what the message says, or else where the packet came from.
fn return_address(ip: &[u8], port: u16, from: &str) -> Result<SocketAddr, WireError> {
    let announced = Address::from_bytes(ip, port).filter(|address| address.port != 0);
    match announced {
        Some(address) => Ok(address.socket_addr()),
        None => from.parse().map_err(|_| WireError::NoReturnAddress {
            from: from.to_owned(),
        }),
    }
}
