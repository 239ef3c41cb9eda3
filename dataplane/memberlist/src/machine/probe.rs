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
use crate::output::{Event, Output};
use crate::time::Timestamp;

/// Most probes made for others at the same time.
const MAX_RELAYS: usize = 1024;
/// The first protocol version that knows nacks.
const NACKS_SINCE: u8 = 4;
/// The first protocol version that answers pings by stream.
const STREAM_PINGS_SINCE: u8 = 3;

/// The probe under way.
#[derive(Debug)]
pub(super) struct Probe {
    sequence: u32,
    target: Arc<str>,
    address: SocketAddr,
    started: Timestamp,
    /// When others are asked, unless they were.
    ask_others: Option<Timestamp>,
    /// When the target becomes suspect.
    ends: Timestamp,
    /// Others asked that say so if they get no answer either.
    nacks_expected: u32,
    nacks_received: u32,
    /// Others asked that cannot say so, or a stream that may still be answered.
    silent: u32,
    /// The target's host says that nobody listens there.
    refused: bool,
}

impl Probe {
    pub(super) fn deadline(&self) -> Timestamp {
        self.ask_others.map_or(self.ends, |ask| ask.min(self.ends))
    }

    /// Tells whether waiting is pointless: the target's host refuses, and so it does all who were asked.
    fn is_hopeless(&self) -> bool {
        self.refused
            && self.ask_others.is_none()
            && self.silent == 0
            && self.nacks_expected > 0
            && self.nacks_received == self.nacks_expected
    }
}

/// A probe made for another node.
#[derive(Debug)]
pub(super) struct Relay {
    requester: Peer,
    target: SocketAddr,
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
        let payload = (!self.ack_payload.is_empty()).then(|| self.ack_payload.clone());
        self.send_ack(self.peer_at(&ping.source_node, to), ping.seq_no, payload);
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
        let target = self.peer_at(&request.node, target.socket_addr());
        let sequence = self.next_sequence();
        self.relays.insert(
            sequence,
            Relay {
                requester,
                target: target.address,
                sequence: request.seq_no,
                wants_nack: request.nack,
                deadline: now + self.config.probe_timeout,
            },
        );
        let ping = self.ping(sequence, &request.node);
        self.send_with_news(target, &ping);
        Ok(())
    }

    pub(super) fn handle_ack(&mut self, now: Timestamp, ack: Ack) {
        if let Some(probe) = self.finish_probe(now, ack.seq_no) {
            // Later, the ack may be that of another node's ping.
            if probe.ask_others.is_some() {
                self.emit(Event::PingCompleted {
                    node: probe.target,
                    rtt: now.saturating_since(probe.started),
                    payload: Bytes::from(ack.payload.unwrap_or_default()),
                });
            }
        } else if let Some(relay) = self.relays.remove(&ack.seq_no) {
            self.send_ack(relay.requester, relay.sequence, None);
        }
    }

    /// Takes the answer to an [`Output::StreamPing`].
    pub fn handle_stream_ack(&mut self, now: Timestamp, ack: &Ack) {
        if let Some(probe) = self.finish_probe(now, ack.seq_no) {
            self.emit(Event::ReachedByStream { node: probe.target });
        }
    }

    /// Ends the probe under way, if it has this number, as the target lives.
    fn finish_probe(&mut self, now: Timestamp, sequence: u32) -> Option<Probe> {
        let probe = self.probe.take_if(|probe| probe.sequence == sequence)?;
        self.health_score = self.health_score.saturating_sub(1);
        self.start_overdue_probe(now);
        Some(probe)
    }

    pub(super) fn handle_nack(&mut self, now: Timestamp, sequence: u32) {
        if let Some(probe) = &mut self.probe
            && probe.sequence == sequence
        {
            probe.nacks_received = probe.nacks_expected.min(probe.nacks_received + 1);
            self.give_up_hopeless_probe(now);
        }
    }

    /// Takes the hint that the host at `to` refused a connection: nobody listens there at the moment.
    ///
    /// A direct probe of that address goes on to indirect checks without waiting for its timeout, and one made for
    /// another node is answered with a nack. If all who are asked report the same, the node is suspected without
    /// waiting for the end of the interval. That is all: a suspect has the usual time to object.
    pub fn handle_unreachable(&mut self, now: Timestamp, to: SocketAddr) {
        for relay in self.relays.values_mut().filter(|relay| relay.target == to) {
            relay.deadline = now;
        }
        self.expire_relays(now);
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.address == to) {
            probe.refused = true;
            probe.ask_others = probe.ask_others.map(|_| now);
            self.advance_probe(now);
            self.give_up_hopeless_probe(now);
            self.start_overdue_probe(now);
        }
    }

    fn give_up_hopeless_probe(&mut self, now: Timestamp) {
        if let Some(probe) = self.probe.take_if(|probe| probe.is_hopeless()) {
            self.fail_probe(now, &probe);
            self.start_overdue_probe(now);
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
            let target = Arc::clone(&probe.target);
            self.ask_others(&target);
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
            address: target.address.socket_addr(),
            started: now,
            ask_others: Some(now + self.config.probe_timeout),
            ends: now
                + self
                    .config
                    .probe_interval
                    .saturating_mul(self.health_score + 1),
            nacks_expected: 0,
            nacks_received: 0,
            silent: 0,
            refused: false,
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

    fn ask_others(&mut self, target: &str) {
        let Some(target) = self.nodes.get(target).cloned() else {
            return;
        };
        self.ask_helpers(&target);
        if self.config.stream_pings && target.versions.protocol_max >= STREAM_PINGS_SINCE {
            self.ask_by_stream(&target);
        }
    }

    fn ask_helpers(&mut self, target: &Node) {
        let helpers = self.random_nodes(
            self.config.indirect_checks,
            |node| node.name != target.name && node.state == NodeState::Alive,
            |node| (Peer::from(node), node.versions.protocol_max >= NACKS_SINCE),
        );
        for (helper, nack) in helpers {
            let Some(probe) = &mut self.probe else {
                return;
            };
            match nack {
                true => probe.nacks_expected += 1,
                false => probe.silent += 1,
            }
            let request = Message::IndirectPing(IndirectPing {
                seq_no: probe.sequence,
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

    fn ask_by_stream(&mut self, target: &Node) {
        let Some(probe) = &mut self.probe else {
            return;
        };
        probe.silent += 1;
        let (sequence, deadline) = (probe.sequence, probe.ends);
        let ping = self.ping(sequence, &target.name).encode();
        let request = self.wrap_stream(true, ping);
        self.outputs.push_back(Output::StreamPing {
            to: target.address.socket_addr(),
            node: Arc::clone(&target.name),
            request,
            deadline,
        });
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

    pub(super) fn ping(&self, sequence: u32, node: &str) -> Message {
        Message::Ping(Ping {
            seq_no: sequence,
            node: node.to_owned(),
            source_addr: self.config.advertise.ip.as_bytes().to_vec(),
            source_port: self.config.advertise.port,
            source_node: self.name.to_string(),
        })
    }

    fn send_ack(&mut self, to: Peer, sequence: u32, payload: Option<Vec<u8>>) {
        let ack = Ack {
            seq_no: sequence,
            payload,
        };
        self.send_with_news(to, &Message::Ack(ack));
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
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
