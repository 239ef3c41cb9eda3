//! The state machine.

mod envelope;
mod exchange;
mod gossip;
mod membership;
mod probe;
mod routing;
mod schedule;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::broadcast::BroadcastQueue;
use crate::config::{Config, MAX_ACK_PAYLOAD, MAX_META};
use crate::error::{ConfigError, WireError};
use crate::label::LabelPolicy;
use crate::message::{Accusation, Message};
use crate::node::{Node, NodeState, Versions};
use crate::nonces::Nonces;
use crate::output::{Event, Output};
use crate::packet;
use crate::policy::Policy;
use crate::rng::Rng;
use crate::suspicion::Suspicion;
use crate::time::Timestamp;

pub use exchange::Merged;
use probe::{Probe, Relay};
use schedule::{Schedule, tick};

/// Most pings in a packet that are answered: peers send one, and each answer may go anywhere.
const MAX_PINGS: usize = 4;

/// The membership of one node.
///
/// After each call that takes `&mut self`, drain [`Self::poll_output`] and set a timer to [`Self::next_timeout`].
#[derive(Debug)]
pub struct Machine {
    config: Config,
    label: LabelPolicy,
    name: Arc<str>,
    /// Every node known, this one included.
    nodes: BTreeMap<Arc<str>, Node>,
    /// The same nodes in the order in which they are probed.
    probe_order: Vec<Arc<str>>,
    probe_index: usize,
    probe: Option<Probe>,
    /// A probe was due while another one was under way.
    probe_overdue: bool,
    /// Probes made for others, by their own sequence number.
    relays: BTreeMap<u32, Relay>,
    suspicions: BTreeMap<Arc<str>, Suspicion>,
    /// How badly this node does itself; slows its probes down.
    health_score: u32,
    sequence: u32,
    /// News about nodes, keyed by node name.
    membership_broadcasts: BroadcastQueue,
    local_broadcasts: BroadcastQueue,
    forwarded_broadcasts: BroadcastQueue,
    outputs: VecDeque<Output>,
    rng: Rng,
    /// There if there is a key ring.
    nonces: Option<Nonces>,
    schedule: Schedule,
    /// How many nodes were known at the latest exchange of state.
    nodes_exchanged: usize,
    policy: Option<Box<dyn Policy>>,
    /// Sent with each answer to a ping.
    ack_payload: Vec<u8>,
    leaving: bool,
}

impl Machine {
    /// Creates a machine that knows only itself.
    ///
    /// # Errors
    /// If the configuration cannot work, or has a key ring: that takes an [encrypted](Self::encrypted) machine.
    pub fn new(config: Config, seed: u64, now: Timestamp) -> Result<Self, ConfigError> {
        if config.keyring.is_some() {
            return Err(ConfigError {
                field: "keyring",
                reason: "encryption needs nonces: use Machine::encrypted",
            });
        }
        Self::create(config, seed, None, now)
    }

    /// Creates a machine that encrypts with the [key ring](Config::keyring) of its configuration while that has keys,
    /// and knows only itself.
    ///
    /// # Errors
    /// If the configuration cannot work.
    pub fn encrypted(
        mut config: Config,
        seed: u64,
        nonces: Nonces,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        config.keyring.get_or_insert_default();
        Self::create(config, seed, Some(nonces), now)
    }

    fn create(
        config: Config,
        seed: u64,
        nonces: Option<Nonces>,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let name: Arc<str> = config.name.as_str().into();
        let meta = match &config.zone {
            Some(zone) => zone.to_meta(),
            None => config.meta.clone(),
        };
        let local = Node {
            name: Arc::clone(&name),
            address: config.advertise,
            meta: Bytes::from(meta),
            incarnation: 1,
            state: NodeState::Alive,
            state_change: now,
            versions: Versions::with_delegate(config.delegate_versions),
        };
        let mut rng = Rng::new(seed);
        let queue = || BroadcastQueue::new(config.max_queued_broadcasts);
        let mut machine = Self {
            label: LabelPolicy {
                label: config.label.clone(),
                verify: config.verify_label,
                dialect: config.dialect,
            },
            nodes: BTreeMap::from([(Arc::clone(&name), local)]),
            probe_order: vec![Arc::clone(&name)],
            probe_index: 0,
            probe: None,
            probe_overdue: false,
            relays: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            health_score: 0,
            sequence: 0,
            membership_broadcasts: queue(),
            local_broadcasts: queue(),
            forwarded_broadcasts: queue(),
            outputs: VecDeque::new(),
            schedule: Schedule::new(&config, &mut rng, now),
            rng,
            nonces,
            nodes_exchanged: 1,
            policy: None,
            ack_payload: Vec::new(),
            leaving: false,
            name,
            config,
        };
        machine.announce_self();
        Ok(machine)
    }

    /// Takes a packet that arrived from `from` ("ip:port"), without its transport frame.
    ///
    /// # Errors
    /// If something in it cannot be used: the first such thing. The rest of it was used; log and count.
    pub fn handle_packet(
        &mut self,
        now: Timestamp,
        from: &str,
        payload: &[u8],
    ) -> Result<(), WireError> {
        let (messages, mut error) = packet::decode(&self.unwrap_packet(payload)?);
        let mut pings = 0;
        for message in messages {
            pings += usize::from(matches!(
                message,
                Message::Ping(_) | Message::IndirectPing(_)
            ));
            if pings > MAX_PINGS {
                let (what, limit) = ("pings in a packet", MAX_PINGS);
                error.get_or_insert(WireError::Full { what, limit });
                break;
            }
            if let Err(refused) = self.handle_message(now, from, message) {
                error.get_or_insert(refused);
            }
        }
        error.map_or(Ok(()), Err)
    }

    fn handle_message(
        &mut self,
        now: Timestamp,
        from: &str,
        message: Message,
    ) -> Result<(), WireError> {
        match message {
            Message::Ping(ping) => self.handle_ping(from, &ping),
            Message::IndirectPing(ping) => self.handle_indirect_ping(now, from, &ping),
            Message::Ack(ack) => {
                self.handle_ack(now, ack);
                Ok(())
            }
            Message::Nack(seq_no) => {
                self.handle_nack(now, seq_no);
                Ok(())
            }
            Message::Alive(alive) => self.handle_alive(now, &alive),
            Message::Suspect(accusation) => {
                accusation.check()?;
                self.handle_suspect(now, &accusation);
                Ok(())
            }
            Message::Dead(accusation) => {
                accusation.check()?;
                self.handle_dead(now, &accusation);
                Ok(())
            }
            Message::User(payload) => {
                self.outputs.push_back(Output::UserMessage(payload));
                Ok(())
            }
            Message::Err(_) => Err(WireError::UnexpectedType {
                found: crate::message::kind::ERR,
                place: "packet",
            }),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.expire_relays(now);
        self.advance_probe(now);
        self.advance_suspicions(now);
        if tick(&mut self.schedule.probe, self.config.probe_interval, now) {
            self.probe_overdue = true;
        }
        self.start_overdue_probe(now);
        if self.gossip_due().is_some_and(|due| due <= now) {
            self.schedule.gossiped(&self.config, now);
            self.gossip(now);
        }
        self.exchange_after_growth(now);
        if self.schedule.push_pull.is_some_and(|due| due <= now) {
            self.start_push_pull();
            self.schedule.push_pull = Some(now + self.push_pull_interval());
        }
    }

    /// Returns when [`Self::handle_timeout`] must be called next; it may change with every call and lie in the past.
    pub fn next_timeout(&self) -> Timestamp {
        let relays = self.relays.values().map(|relay| relay.deadline);
        let suspicions = self.suspicions.values().map(Suspicion::next_step);
        relays
            .chain(suspicions)
            .chain(self.gossip_due())
            .chain(self.schedule.push_pull)
            .chain(self.schedule.growth_push_pull)
            .chain(self.probe.as_ref().map(Probe::deadline))
            .fold(self.schedule.probe, Timestamp::min)
    }

    /// Returns the next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Replaces this node's metadata and announces it, unless this node is leaving.
    ///
    /// # Errors
    /// If it is longer than [`MAX_META`] bytes, or zone-aware routing needs it; nothing changes then.
    pub fn update_meta(&mut self, meta: Vec<u8>) -> Result<(), ConfigError> {
        if self.config.zone.is_some() {
            return Err(ConfigError {
                field: "meta",
                reason: "is taken by zone-aware routing",
            });
        }
        if meta.len() > MAX_META {
            return Err(ConfigError {
                field: "meta",
                reason: "must have at most 512 bytes",
            });
        }
        let leaving = self.leaving;
        let local = self.local_mut();
        local.meta = Bytes::from(meta);
        // A newer incarnation would take the farewell back.
        if !leaving {
            local.incarnation = local.incarnation.saturating_add(1);
            self.announce_self();
            self.schedule.hurry();
        }
        Ok(())
    }

    /// Sends `payload` with each ack from now on; the node that asked gets it as [`Event::PingCompleted`].
    ///
    /// # Errors
    /// If it is longer than [`MAX_ACK_PAYLOAD`] bytes; nothing changes then.
    pub fn set_ack_payload(&mut self, payload: &[u8]) -> Result<(), ConfigError> {
        if payload.len() > MAX_ACK_PAYLOAD {
            return Err(ConfigError {
                field: "ack payload",
                reason: "must have at most 512 bytes",
            });
        }
        self.ack_payload = payload.to_vec();
        Ok(())
    }

    /// Lets `policy` decide from now on whom this node accepts.
    pub fn set_policy(&mut self, policy: Box<dyn Policy>) {
        self.policy = Some(policy);
    }

    /// Announces that this node leaves; keep driving it until [`Self::has_left`], then stop.
    pub fn leave(&mut self, now: Timestamp) {
        self.leaving = true;
        let goodbye = Accusation {
            incarnation: self.local().incarnation,
            node: self.name.to_string(),
            from: self.name.to_string(),
        };
        self.handle_dead(now, &goodbye);
        self.schedule.hurry();
    }

    /// Tells whether the others were told that this node leaves, as often as needed, or there are none.
    pub fn has_left(&self) -> bool {
        self.leaving
            && (self.alive_count() == 0 || !self.membership_broadcasts.contains(&self.name))
    }

    /// Returns every node known, in every state, this one included, ordered by name.
    pub fn members(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Returns what is known of a node.
    pub fn member(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Returns this node's own record.
    pub fn local(&self) -> &Node {
        &self.nodes[&self.name]
    }

    fn local_mut(&mut self) -> &mut Node {
        self.nodes
            .get_mut(&self.name)
            .expect("a machine never forgets itself")
    }

    /// Counts the nodes that are alive or merely suspected, this one included until it leaves.
    pub fn alive_count(&self) -> usize {
        self.members().filter(|node| node.state.is_member()).count()
    }

    /// Returns how badly this node itself seems to be doing: 0 is healthy.
    pub fn health_score(&self) -> u32 {
        self.health_score
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn worsen_health(&mut self, by: u32) {
        let worst = self.config.awareness_max_multiplier - 1;
        self.health_score = self.health_score.saturating_add(by).min(worst);
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn emit_packet(&mut self, to: SocketAddr, with_crc: bool, body: Vec<u8>) {
        let payload = self.wrap_packet(with_crc, body);
        self.outputs.push_back(Output::Packet { to, payload });
    }
}
