//! Settings of a machine.

use std::time::Duration;

use crate::address::Address;
use crate::encryption::Keyring;
use crate::error::ConfigError;
use crate::push_pull::MAX_NODES;
use crate::zone::{MAX_ZONE, Zone};

/// Longest node name accepted, in bytes.
pub const MAX_NAME: usize = 255;
/// Longest cluster label, in bytes; its length is one byte on the wire.
pub const MAX_LABEL: usize = 255;
/// Longest node metadata, in bytes.
pub const MAX_META: usize = 512;

/// Longest data sent with an ack, in bytes.
pub const MAX_ACK_PAYLOAD: usize = 512;

/// Smallest packet budget: the longest record, encrypted and with the longest label, needs nearly that much.
const MIN_BUDGET: usize = 1200;
/// Largest packet budget where packets are datagrams.
const MAX_DATAGRAM: usize = 65_000;
/// Largest packet budget; receivers take a little more.
const MAX_BUDGET: usize = 20 * 1024 * 1024;

/// Whose peer a node is. All other differences are settings and transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// That of grafana/dskit: TCP for packets, too. Streams are compressed if that makes them smaller.
    #[default]
    Dskit,
    /// That of hashicorp/memberlist: UDP for packets. Streams are always compressed. With
    /// [`verify_label`](Config::verify_label) off, input must not have a label at all.
    Classic,
}

/// How outgoing messages are compressed; both forms are always understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// LZW, least significant bit first, literals of 8 bits.
    Lzw,
    /// Snappy block format; only peers of the dskit dialect understand it.
    Snappy,
}

/// Settings of a [`crate::Machine`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of this node, unique in the cluster.
    pub name: String,
    /// Where other nodes reach this one.
    pub advertise: Address,
    /// Whose peer this node is.
    pub dialect: Dialect,
    /// Opaque data gossiped with the node record, at most [`MAX_META`] bytes.
    pub meta: Vec<u8>,
    /// Turns zone-aware routing on. It needs the metadata, so `meta` must be empty then.
    pub zone: Option<Zone>,
    /// The cluster label, at most [`MAX_LABEL`] bytes; empty means none.
    pub label: String,
    /// Refuses input with another label. Off only while a label is being rolled out.
    pub verify_label: bool,
    /// Turns encryption on, once it has a key. See [`crate::Machine::encrypted`].
    pub keyring: Option<Keyring>,
    /// Refuses input that is not encrypted while encryption is on. Off only while it is being rolled out.
    pub verify_incoming: bool,
    /// Encrypts output while encryption is on. Off only while it is being rolled out.
    pub verify_outgoing: bool,
    /// How to compress what becomes smaller by it; `None` sends everything plain.
    pub compression: Option<Compression>,
    /// Most bytes in one packet, before compression.
    pub packet_budget: usize,
    /// The lowest, the highest and the present version of user data that this node speaks. One that understands the
    /// [compact](crate::Broadcast::compact) form of updates announces a highest version of at least 1.
    pub delegate_versions: [u8; 3],
    /// Time between probes of one node each.
    pub probe_interval: Duration,
    /// Wait for a direct answer before others are asked to probe.
    pub probe_timeout: Duration,
    /// How many others are asked to probe.
    pub indirect_checks: usize,
    /// Asks a node by stream as well when it does not answer packets.
    pub stream_pings: bool,
    /// Time between rounds of gossip.
    pub gossip_interval: Duration,
    /// Time between rounds of gossip that carry nothing but [lazy](crate::Broadcast::lazy) updates.
    pub lazy_gossip_interval: Duration,
    /// How many nodes one round of gossip goes to.
    pub gossip_nodes: usize,
    /// How long dead nodes still receive gossip, and are remembered; those that left are for two laps of probes longer.
    pub gossip_to_the_dead_time: Duration,
    /// When a dead node's name may come back with another address; zero means never.
    pub dead_node_reclaim_time: Duration,
    /// Time between full state exchanges in a cluster of up to 32 nodes; zero turns them off.
    pub push_pull_interval: Duration,
    /// Each update is sent this often, times the logarithm of the cluster size.
    pub retransmit_mult: u32,
    /// Shortest suspicion, in probe intervals, times the logarithm of the cluster size.
    pub suspicion_mult: u32,
    /// Longest suspicion, in shortest suspicions.
    pub suspicion_max_timeout_mult: u32,
    /// Upper bound of the health score plus one.
    pub awareness_max_multiplier: u32,
    /// Most node records kept; further nodes are refused.
    pub max_members: usize,
    /// Most updates waiting in each queue; beyond it those sent most often are dropped.
    pub max_queued_broadcasts: usize,
}

impl Config {
    /// Creates the configuration of a node with the defaults of dskit.
    pub fn new(name: impl Into<String>, advertise: Address) -> Self {
        Self {
            name: name.into(),
            advertise,
            dialect: Dialect::Dskit,
            meta: Vec::new(),
            zone: None,
            label: String::new(),
            verify_label: true,
            keyring: None,
            verify_incoming: true,
            verify_outgoing: true,
            compression: Some(Compression::Lzw),
            packet_budget: 10 * 1024 * 1024,
            delegate_versions: [0, 0, 0],
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            indirect_checks: 3,
            stream_pings: false,
            gossip_interval: Duration::from_millis(200),
            lazy_gossip_interval: Duration::from_secs(1),
            gossip_nodes: 3,
            gossip_to_the_dead_time: Duration::from_secs(30),
            dead_node_reclaim_time: Duration::ZERO,
            push_pull_interval: Duration::from_secs(30),
            retransmit_mult: 4,
            suspicion_mult: 4,
            suspicion_max_timeout_mult: 6,
            awareness_max_multiplier: 8,
            max_members: 16_384,
            max_queued_broadcasts: 16_384,
        }
    }

    /// Creates the configuration of a node of the classic dialect with its defaults for a local area network.
    pub fn lan(name: impl Into<String>, advertise: Address) -> Self {
        Self {
            dialect: Dialect::Classic,
            packet_budget: 1400,
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            stream_pings: true,
            ..Self::new(name, advertise)
        }
    }

    /// Creates the configuration of a node of the classic dialect with its defaults for a wide area network.
    pub fn wan(name: impl Into<String>, advertise: Address) -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            gossip_interval: Duration::from_millis(500),
            gossip_nodes: 4,
            gossip_to_the_dead_time: Duration::from_secs(60),
            push_pull_interval: Duration::from_secs(60),
            suspicion_mult: 6,
            ..Self::lan(name, advertise)
        }
    }

    /// Creates the configuration of a node of the classic dialect with its defaults for the loopback interface.
    pub fn local(name: impl Into<String>, advertise: Address) -> Self {
        Self {
            probe_timeout: Duration::from_millis(200),
            indirect_checks: 1,
            gossip_interval: Duration::from_millis(100),
            gossip_to_the_dead_time: Duration::from_secs(15),
            push_pull_interval: Duration::from_secs(15),
            retransmit_mult: 2,
            suspicion_mult: 3,
            ..Self::lan(name, advertise)
        }
    }

    /// Checks what the type system cannot.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let [min, max, current] = self.delegate_versions;
        let checks = [
            (
                (1..=MAX_NAME).contains(&self.name.len()),
                "name",
                "must have 1 to 255 bytes",
            ),
            (
                self.meta.len() <= MAX_META,
                "meta",
                "must have at most 512 bytes",
            ),
            (
                self.label.len() <= MAX_LABEL,
                "label",
                "must have at most 255 bytes",
            ),
            (self.advertise.port != 0, "advertise", "port must not be 0"),
            (
                self.zone.is_none() || self.meta.is_empty(),
                "meta",
                "must be empty with zone-aware routing, which needs it",
            ),
            (
                self.zone
                    .as_ref()
                    .is_none_or(|zone| (1..=MAX_ZONE).contains(&zone.name.len())),
                "zone",
                "must have a name of 1 to 16 bytes",
            ),
            (
                self.dialect == Dialect::Dskit || self.compression != Some(Compression::Snappy),
                "compression",
                "peers of the classic dialect do not understand snappy: use lzw or none",
            ),
            (
                (MIN_BUDGET..=MAX_BUDGET).contains(&self.packet_budget),
                "packet_budget",
                "must be 1200 bytes to 20 MiB",
            ),
            (
                self.dialect == Dialect::Dskit || self.packet_budget <= MAX_DATAGRAM,
                "packet_budget",
                "must be at most 65000 bytes, as packets are datagrams",
            ),
            (
                !self.probe_interval.is_zero() && !self.probe_timeout.is_zero(),
                "probe_interval",
                "interval and timeout must be positive",
            ),
            (
                !self.gossip_interval.is_zero(),
                "gossip_interval",
                "must be positive",
            ),
            (
                (min..=max).contains(&current),
                "delegate_versions",
                "the present version must lie between the lowest and the highest",
            ),
            (
                self.retransmit_mult > 0,
                "retransmit_mult",
                "must be at least 1",
            ),
            (
                self.suspicion_mult > 0 && self.suspicion_max_timeout_mult > 0,
                "suspicion_mult",
                "multipliers must be at least 1",
            ),
            (
                self.awareness_max_multiplier > 0,
                "awareness_max_multiplier",
                "must be at least 1",
            ),
            (
                (1..=MAX_NODES).contains(&self.max_members),
                "max_members",
                "must be 1 to 131072, as many as a state exchange can hold",
            ),
            (
                self.max_queued_broadcasts > 0,
                "max_queued_broadcasts",
                "must be at least 1",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, reason)) => Err(ConfigError { field, reason }),
            None => Ok(()),
        }
    }
}
