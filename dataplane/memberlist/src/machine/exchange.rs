//! Full state exchanges over streams.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Machine;
use crate::error::{PushPullRejected, WireError};
use crate::message::{Accusation, Alive};
use crate::node::{Node, NodeState, Versions};
use crate::output::Output;
use crate::push_pull::{self, PushPull, PushPullNode};
use crate::time::Timestamp;

/// Up to this many nodes exchange state at the configured interval; more do it more rarely.
const UNSCALED_NODES: usize = 32;
/// Shortest pause before an exchange because the cluster has grown; the longest is three times that.
const GROWTH_PAUSE: Duration = Duration::from_millis(500);
/// Shortest time between exchanges that are asked for.
const EARLY_PUSH_PULL_INTERVAL: Duration = Duration::from_secs(10);

/// What became of the records of a push/pull.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// How many were refused, one by one.
    pub skipped: usize,
    /// Why the first of them was.
    pub first_error: Option<WireError>,
}

impl Machine {
    /// Encodes what the opener of a push/pull sends, after the transport's stream prefix.
    pub fn push_pull_request(&mut self, join: bool, user_state: &[u8]) -> Vec<u8> {
        let state = self.encode_state(join, user_state);
        self.wrap_stream(true, state)
    }

    /// Encodes the answer to a push/pull; `join` repeats that of the request. Answers have no label.
    pub fn push_pull_response(&mut self, join: bool, user_state: &[u8]) -> Vec<u8> {
        let state = self.encode_state(join, user_state);
        self.wrap_stream(false, state)
    }

    fn encode_state(&self, join: bool, user_state: &[u8]) -> Vec<u8> {
        push_pull::encode(join, self.nodes.values(), user_state)
    }

    /// Merges the other side's state, after this side's was sent.
    ///
    /// A record that cannot be used is skipped, as it would be in gossip.
    ///
    /// # Errors
    /// If some node could not speak to all others, or the [policy](Self::set_policy) does not want the clusters to
    /// become one. Nothing was merged, and the user state must not be either.
    pub fn handle_push_pull(
        &mut self,
        now: Timestamp,
        remote: &PushPull,
    ) -> Result<Merged, PushPullRejected> {
        self.check_versions(remote)?;
        self.check_policy(now, remote)?;
        let mut merged = Merged::default();
        for node in &remote.nodes {
            if let Err(error) = self.merge(now, node) {
                merged.skipped += 1;
                merged.first_error.get_or_insert(error);
            }
        }
        self.nodes_exchanged = self.nodes.len();
        self.schedule.growth_push_pull = None;
        Ok(merged)
    }

    /// Asks the user whether to join clusters.
    fn check_policy(&self, now: Timestamp, remote: &PushPull) -> Result<(), PushPullRejected> {
        let Some(policy) = self.policy.as_ref().filter(|_| remote.join) else {
            return Ok(());
        };
        let nodes = remote
            .nodes
            .iter()
            .filter_map(|node| self.as_node(now, node));
        let nodes: Vec<Node> = nodes.collect();
        policy
            .merge(&nodes)
            .map_err(|reason| PushPullRejected::Vetoed { reason })
    }

    fn as_node(&self, now: Timestamp, remote: &PushPullNode) -> Option<Node> {
        Some(Node {
            name: remote.name.as_str().into(),
            address: self.announced_address(&remote.addr, remote.port).ok()?,
            meta: Bytes::from(remote.meta.clone().unwrap_or_default()),
            incarnation: remote.incarnation,
            state: NodeState::from_wire(remote.state)?,
            state_change: now,
            versions: Versions::from_bytes(remote.vsn.as_deref().unwrap_or_default())?,
        })
    }

    /// Tells whether a record says that another node lives, as is known.
    fn is_known(&self, remote: &PushPullNode) -> bool {
        remote.state == NodeState::Alive.to_wire()
            && remote.name != *self.name
            && self.nodes.get(remote.name.as_str()).is_some_and(|known| {
                remote.incarnation <= known.incarnation
                    && remote.addr == known.address.ip.as_bytes()
                    && remote.port == known.address.port
            })
    }

    fn merge(&mut self, now: Timestamp, remote: &PushPullNode) -> Result<(), WireError> {
        if self.is_known(remote) {
            return Ok(());
        }
        let accusation = |from: &str| Accusation {
            incarnation: remote.incarnation,
            node: remote.name.clone(),
            from: from.to_owned(),
        };
        match NodeState::from_wire(remote.state) {
            Some(NodeState::Alive) => {
                let alive = Alive {
                    incarnation: remote.incarnation,
                    node: remote.name.clone(),
                    addr: remote.addr.clone(),
                    port: remote.port,
                    meta: remote.meta.clone(),
                    vsn: remote.vsn.clone(),
                };
                self.handle_alive(now, &alive)?;
            }
            // A death that somebody else saw is only a reason to look: the node may object.
            Some(NodeState::Suspect | NodeState::Dead) => {
                let accusation = accusation(&self.name);
                self.handle_suspect(now, &accusation);
            }
            Some(NodeState::Left) => self.handle_dead(now, &accusation(&remote.name)),
            None => {
                return Err(WireError::Malformed {
                    what: "node state",
                    reason: "unknown number",
                });
            }
        }
        Ok(())
    }

    /// Checks that every node, known here or there, speaks versions that all living nodes understand.
    fn check_versions(&self, remote: &PushPull) -> Result<(), PushPullRejected> {
        let remote = remote.nodes.iter().map(|node| {
            let bytes = node.vsn.as_deref().unwrap_or_default();
            (
                node.name.as_str(),
                node.state == NodeState::Alive.to_wire(),
                padded(bytes),
            )
        });
        let local = self
            .nodes
            .values()
            .map(|node| (&*node.name, node.state == NodeState::Alive, node.versions));
        let mut protocol = Span::default();
        let mut delegate = Span::default();
        for (_, _, versions) in remote
            .clone()
            .chain(local.clone())
            .filter(|(_, alive, _)| *alive)
        {
            protocol.narrow(versions.protocol_min, versions.protocol_max);
            delegate.narrow(versions.delegate_min, versions.delegate_max);
        }
        for (name, _, versions) in remote.chain(local) {
            protocol.check(name, "protocol", versions.protocol_current)?;
            delegate.check(name, "delegate", versions.delegate_current)?;
        }
        Ok(())
    }

    /// Exchanges state with some living node ahead of schedule, as when gossip shows that something was missed.
    ///
    /// Returns false, and does nothing, if that was asked for less than 10 seconds ago, there is no such node, or
    /// exchanges are turned off.
    pub fn request_push_pull(&mut self, now: Timestamp) -> bool {
        if self.schedule.push_pull.is_none() || now < self.schedule.early_push_pull {
            return false;
        }
        let started = self.start_push_pull();
        if started {
            self.schedule.early_push_pull = now + EARLY_PUSH_PULL_INTERVAL;
        }
        started
    }

    /// Plans an exchange soon if this node knows twice as many nodes as when it made one.
    ///
    /// Whoever joins while a cluster starts announces itself to the few that it knows, a few times; all others would
    /// learn of it by the next periodic exchange. This way it takes as many exchanges as the cluster has doublings.
    pub(super) fn note_growth(&mut self, now: Timestamp) {
        let grown = self.nodes.len() >= self.nodes_exchanged.saturating_mul(2);
        if grown && self.schedule.push_pull.is_some() {
            let pause = GROWTH_PAUSE + self.rng.duration_below(GROWTH_PAUSE * 2);
            self.schedule.growth_push_pull.get_or_insert(now + pause);
        }
    }

    /// Makes the exchange that is due because the cluster has grown.
    pub(super) fn exchange_after_growth(&mut self, now: Timestamp) {
        let due = self.schedule.growth_push_pull.take_if(|due| *due <= now);
        if due.is_some() && self.start_push_pull() {
            self.nodes_exchanged = self.nodes.len();
        }
    }

    /// Asks the driver for an exchange; returns whether there is anybody.
    pub(super) fn start_push_pull(&mut self) -> bool {
        let partners = self.partners(
            self.push_pull_nodes(),
            |node| node.state == NodeState::Alive,
            |node| Output::PushPull {
                to: node.address.socket_addr(),
                node: Arc::clone(&node.name),
            },
        );
        let started = !partners.is_empty();
        self.outputs.extend(partners);
        started
    }

    /// Returns the interval, which grows with the logarithm of the cluster.
    pub(super) fn push_pull_interval(&self) -> Duration {
        let nodes = self.nodes.len();
        if nodes <= UNSCALED_NODES {
            return self.config.push_pull_interval;
        }
        let doublings = (nodes as f64).log2() - (UNSCALED_NODES as f64).log2();
        self.config
            .push_pull_interval
            .saturating_mul(doublings.ceil() as u32 + 1)
    }
}

/// Versions as Go reads them here: missing ones are 0, which no node understands.
fn padded(bytes: &[u8]) -> Versions {
    Versions::from_bytes(bytes).unwrap_or(Versions {
        protocol_min: 0,
        protocol_max: 0,
        protocol_current: 0,
        delegate_min: 0,
        delegate_max: 0,
        delegate_current: 0,
    })
}

/// The versions that all nodes seen so far understand.
struct Span {
    min: u8,
    max: u8,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            min: 0,
            max: u8::MAX,
        }
    }
}

impl Span {
    fn narrow(&mut self, min: u8, max: u8) {
        self.min = self.min.max(min);
        self.max = self.max.min(max);
    }

    fn check(&self, name: &str, what: &'static str, current: u8) -> Result<(), PushPullRejected> {
        if (self.min..=self.max).contains(&current) {
            return Ok(());
        }
        Err(PushPullRejected::Versions {
            name: name.to_owned(),
            what,
            current,
            min: self.min,
            max: self.max,
        })
    }
}
