//! What a machine makes of news about nodes: alive, suspect, dead.

use std::sync::Arc;

use bytes::Bytes;

use super::Machine;
use super::gossip::Peer;
use crate::address::Address;
use crate::broadcast::Broadcast;
use crate::config::{MAX_META, MAX_NAME};
use crate::error::WireError;
use crate::message::{Accusation, Alive, Message};
use crate::node::{Node, NodeState, Versions};
use crate::output::Event;
use crate::suspicion::Suspicion;
use crate::time::Timestamp;

impl Machine {
    /// Takes the claim that a node is alive with a certain record.
    pub(super) fn handle_alive(&mut self, now: Timestamp, alive: &Alive) -> Result<(), WireError> {
        let about_self = alive.node == *self.name;
        if about_self && self.leaving {
            return Ok(());
        }
        let address = self.announced_address(&alive.addr, alive.port)?;
        if let Some(known) = self.nodes.get(alive.node.as_str())
            && known.address != address
            && !self.may_move(known, now)
        {
            let conflict = Event::Conflict {
                name: Arc::clone(&known.name),
                known: known.address,
                offered: address,
            };
            self.emit(conflict);
            return Ok(());
        }
        if about_self {
            self.handle_alive_self(alive);
            return Ok(());
        }
        self.handle_alive_other(now, alive, address)
    }

    /// Somebody tells this node its own record; objects if it is not the present one.
    fn handle_alive_self(&mut self, alive: &Alive) {
        let local = self.local();
        let same_record = alive.meta.as_deref().unwrap_or_default() == local.meta
            && alive.vsn.as_deref() == Some(&local.versions.to_bytes());
        let older = alive.incarnation < local.incarnation;
        let same = alive.incarnation == local.incarnation && same_record;
        if !older && !same {
            self.refute(alive.incarnation);
        }
    }

    fn handle_alive_other(
        &mut self,
        now: Timestamp,
        alive: &Alive,
        address: Address,
    ) -> Result<(), WireError> {
        let versions = checked_versions(alive, self.local().versions)?;
        let known = match self.nodes.get(alive.node.as_str()) {
            None if self.nodes.len() >= self.config.max_members => {
                let (what, limit) = ("nodes", self.config.max_members);
                return Err(WireError::Full { what, limit });
            }
            Some(known) if known.address == address && alive.incarnation <= known.incarnation => {
                return Ok(());
            }
            known => known.cloned(),
        };
        let node = Node {
            name: match &known {
                Some(known) => Arc::clone(&known.name),
                None => alive.node.as_str().into(),
            },
            address,
            meta: Bytes::from(alive.meta.clone().unwrap_or_default()),
            incarnation: alive.incarnation,
            state: NodeState::Alive,
            state_change: match &known {
                Some(known) if known.state == NodeState::Alive => known.state_change,
                _ => now,
            },
            versions,
        };
        if let Some(policy) = &self.policy
            && let Err(reason) = policy.admit(&node)
        {
            let node = alive.node.clone();
            return Err(WireError::NotAdmitted { node, reason });
        }
        self.suspicions.remove(&node.name);
        self.queue_alive(&node);
        if known.is_none() {
            self.insert_into_probe_order(&node.name);
        }
        if let Some(event) = change(known.as_ref(), &node) {
            self.emit(event);
        }
        self.nodes.insert(Arc::clone(&node.name), node);
        self.note_growth(now);
        Ok(())
    }

    /// Takes the claim that a node does not answer.
    pub(super) fn handle_suspect(&mut self, now: Timestamp, suspect: &Accusation) {
        let Some(node) = self.accused(suspect) else {
            self.remind(&suspect.node);
            return;
        };
        let (name, state) = (Arc::clone(&node.name), node.state);
        // It has objected since the running suspicion began; only this node did not hear of it.
        let anew = state == NodeState::Suspect && suspect.incarnation > node.incarnation;
        if !anew && let Some(suspicion) = self.suspicions.get_mut(&name) {
            if suspicion.confirm(&suspect.from) {
                self.queue_membership(&name, &Message::Suspect(suspect.clone()));
            }
            return;
        }
        if state == NodeState::Left {
            self.remind(&suspect.node);
            return;
        }
        if state != NodeState::Alive && !anew {
            return;
        }
        if name == self.name {
            self.refute(suspect.incarnation);
            return;
        }
        self.queue_membership(&name, &Message::Suspect(suspect.clone()));
        let suspicion = Suspicion::new(&self.config, self.nodes.len(), &suspect.from, now);
        let suspected = self.change_state(&name, NodeState::Suspect, suspect.incarnation, now);
        if !anew && let Some(node) = suspected {
            self.emit(Event::Suspected(node));
        }
        self.suspicions.insert(name, suspicion);
    }

    /// Takes the claim that a node is dead, or has left if it says so itself.
    pub(super) fn handle_dead(&mut self, now: Timestamp, dead: &Accusation) {
        let Some(node) = self.accused(dead) else {
            self.remind(&dead.node);
            return;
        };
        let (name, state) = (Arc::clone(&node.name), node.state);
        self.suspicions.remove(&name);
        if !state.is_member() {
            return;
        }
        let about_self = name == self.name;
        if about_self && !self.leaving {
            self.refute(dead.incarnation);
            return;
        }
        self.queue_membership(&name, &Message::Dead(dead.clone()));
        let new_state = match dead.from == dead.node {
            true => NodeState::Left,
            false => NodeState::Dead,
        };
        match self.change_state(&name, new_state, dead.incarnation, now) {
            Some(node) if !about_self && new_state == NodeState::Left => {
                self.emit(Event::Left(node))
            }
            Some(node) if !about_self => self.emit(Event::Dead(node)),
            _ => {}
        }
    }

    /// Warns suspects that have not objected yet, and declares those dead that were suspected for too long.
    pub(super) fn advance_suspicions(&mut self, now: Timestamp) {
        let warned: Vec<Arc<str>> = self
            .suspicions
            .iter_mut()
            .filter_map(|(name, suspicion)| suspicion.warn(now).then(|| Arc::clone(name)))
            .collect();
        for name in warned {
            self.warn(&name);
        }
        let expired: Vec<Arc<str>> = self
            .suspicions
            .iter()
            .filter(|(_, suspicion)| suspicion.deadline() <= now)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in expired {
            if let Some(accusation) = self.accuse(&name) {
                self.handle_dead(now, &accusation);
            }
        }
    }

    /// Tells a suspect what is thought of it. The ping comes second, so that its answer carries the objection.
    fn warn(&mut self, name: &str) {
        let Some(peer) = self.nodes.get(name).map(Peer::from) else {
            return;
        };
        let Some(accusation) = self.accuse(name) else {
            return;
        };
        let sequence = self.next_sequence();
        let parts = [Message::Suspect(accusation), self.ping(sequence, name)];
        let parts = parts.map(|message| Bytes::from(message.encode()));
        self.send_all(peer, &parts);
    }

    /// Answers an accusation that the accuser would not make if it had heard all: this node's own objection is
    /// repeated, and so is the goodbye of a node that has left.
    fn remind(&mut self, accused: &str) {
        let Some(node) = self.nodes.get(accused) else {
            return;
        };
        let name = Arc::clone(&node.name);
        if self.membership_broadcasts.contains(&name) {
            return;
        }
        if node.state == NodeState::Left {
            let goodbye = Accusation {
                incarnation: node.incarnation,
                node: name.to_string(),
                from: name.to_string(),
            };
            self.queue_membership(&name, &Message::Dead(goodbye));
        } else if name == self.name && !self.leaving {
            self.announce_self();
        }
    }

    /// Returns this node's own accusation of `name` as it is known.
    pub(super) fn accuse(&self, name: &str) -> Option<Accusation> {
        self.nodes.get(name).map(|node| Accusation {
            incarnation: node.incarnation,
            node: name.to_owned(),
            from: self.name.to_string(),
        })
    }

    /// Queues this node's own record.
    pub(super) fn announce_self(&mut self) {
        let local = self.local().clone();
        self.queue_alive(&local);
    }

    /// Forgets nodes that have been gone for long enough. Those that have left are remembered until whoever missed
    /// their goodbye has probed them, within two laps over all nodes, so that somebody can still repeat it.
    pub(super) fn reap(&mut self, now: Timestamp) {
        let keep_dead = self.config.gossip_to_the_dead_time;
        let nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let lap = self.config.probe_interval.saturating_mul(nodes);
        let keep_left = keep_dead.saturating_add(lap.saturating_mul(2));
        let own_name = Arc::clone(&self.name);
        self.nodes.retain(|name, node| {
            let keep_for = match node.state {
                NodeState::Left => keep_left,
                _ => keep_dead,
            };
            node.state.is_member()
                || *name == own_name
                || now.saturating_since(node.state_change) <= keep_for
        });
        let nodes = &self.nodes;
        self.probe_order.retain(|name| nodes.contains_key(name));
    }

    /// Overrides an accusation of this node.
    fn refute(&mut self, accused: u32) {
        let local = self.local_mut();
        local.incarnation = local.incarnation.max(accused).saturating_add(1);
        let incarnation = local.incarnation;
        self.worsen_health(1);
        self.announce_self();
        self.schedule.hurry();
        self.emit(Event::Refuted { incarnation });
    }

    /// Returns the node that an accusation is about, unless it is unknown or has proven to be alive since.
    fn accused(&self, accusation: &Accusation) -> Option<&Node> {
        self.nodes
            .get(accusation.node.as_str())
            .filter(|node| accusation.incarnation >= node.incarnation)
    }

    fn change_state(
        &mut self,
        name: &str,
        state: NodeState,
        incarnation: u32,
        now: Timestamp,
    ) -> Option<Node> {
        let node = self.nodes.get_mut(name)?;
        node.state = state;
        node.incarnation = incarnation;
        node.state_change = now;
        Some(node.clone())
    }

    /// Tells whether a known name may come back with another address.
    fn may_move(&self, known: &Node, now: Timestamp) -> bool {
        let reclaim = self.config.dead_node_reclaim_time;
        match known.state {
            NodeState::Left => known.name != self.name,
            NodeState::Dead => {
                !reclaim.is_zero() && now.saturating_since(known.state_change) > reclaim
            }
            NodeState::Alive | NodeState::Suspect => false,
        }
    }

    /// Reads an announced address; port 0 means that all nodes use the same port.
    pub(super) fn announced_address(&self, ip: &[u8], port: u16) -> Result<Address, WireError> {
        let port = match port {
            0 => self.config.advertise.port,
            port => port,
        };
        Address::from_bytes(ip, port).ok_or(WireError::Malformed {
            what: "node address",
            reason: "neither 4 nor 16 bytes",
        })
    }

    /// Puts a new node at a random place, so that nodes that join together are not probed together.
    fn insert_into_probe_order(&mut self, name: &Arc<str>) {
        let last = self.probe_order.len();
        self.probe_order.push(Arc::clone(name));
        let place = self.rng.below(last + 1);
        self.probe_order.swap(place, last);
    }

    fn queue_alive(&mut self, node: &Node) {
        let alive = Alive {
            incarnation: node.incarnation,
            node: node.name.to_string(),
            addr: node.address.ip.as_bytes().to_vec(),
            port: node.address.port,
            meta: (!node.meta.is_empty()).then(|| node.meta.to_vec()),
            vsn: Some(node.versions.to_bytes().to_vec()),
        };
        self.queue_membership(&node.name, &Message::Alive(alive));
    }

    /// Queues news about a node in place of older news about it.
    fn queue_membership(&mut self, name: &Arc<str>, message: &Message) {
        let about: [Arc<str>; 0] = [];
        let news = Broadcast::new(Arc::clone(name), about, 0, message.encode());
        self.membership_broadcasts.push(news);
    }
}

/// Returns what an alive node's record changes for those who watch the cluster.
fn change(before: Option<&Node>, node: &Node) -> Option<Event> {
    match before {
        Some(before) if before.state.is_member() => {
            (before.meta != node.meta).then(|| Event::Updated(node.clone()))
        }
        _ => Some(Event::Joined(node.clone())),
    }
}

/// Checks what must not be gossiped on: a record whose versions do not fit makes every push/pull fail, and one
/// without them kills Go peers.
fn checked_versions(alive: &Alive, ours: Versions) -> Result<Versions, WireError> {
    let malformed = |reason| WireError::Malformed {
        what: "alive message",
        reason,
    };
    if !(1..=MAX_NAME).contains(&alive.node.len()) {
        return Err(malformed("node name is empty or longer than 255 bytes"));
    }
    if alive
        .meta
        .as_ref()
        .is_some_and(|meta| meta.len() > MAX_META)
    {
        return Err(malformed("metadata is longer than 512 bytes"));
    }
    let versions = Versions::from_bytes(alive.vsn.as_deref().unwrap_or_default())
        .ok_or_else(|| malformed("fewer than six versions"))?;
    match versions.is_compatible(&ours) {
        true => Ok(versions),
        false => Err(malformed("protocol versions do not overlap with ours")),
    }
}
