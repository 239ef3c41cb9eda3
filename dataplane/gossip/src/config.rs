//! Settings of one gossip node.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use crate::{GossipError, TlsConfig};

/// How a node gossips. The defaults are those of dskit's `-memberlist.*` flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which implementation's peers to speak with.
    pub dialect: Dialect,
    /// Base of the node's name; empty takes the hostname.
    pub node_name: String,
    /// Appends `-` and 8 hex digits to the name, so that a restarted process
    /// is a new member: peers refuse a dead name that moved to a new address.
    pub randomize_node_name: bool,
    /// IP address that peers dial; empty takes the bound address, or the
    /// host's first private address when bound to all of them.
    pub advertise_addr: String,
    /// Port that peers dial; 0 takes the listener's port.
    pub advertise_port: u16,
    /// Seeds: `host[:port]`, `ip[:port]`, `dns+host:port`, `dnssrv+name`,
    /// `dnssrvnoa+name`.
    pub join: Vec<String>,
    /// Seeds of the periodic rejoin; empty takes [`Self::join`].
    pub rejoin_seeds: Vec<String>,
    /// Period of rejoining; zero never rejoins.
    pub rejoin_interval: Duration,
    /// Port of seeds that name none.
    pub default_port: u16,
    /// First pause between rounds of the full join.
    pub min_join_backoff: Duration,
    /// Longest pause between rounds of the full join.
    pub max_join_backoff: Duration,
    /// Rounds of the full join.
    pub max_join_retries: u32,
    /// Fails the start when too few seeds answer the fast join.
    pub abort_if_fast_join_fails: bool,
    /// How many seeds must answer the fast join.
    pub abort_if_fast_join_fails_min_nodes: usize,
    /// Reports a failure when the full join gives up.
    pub abort_if_join_fails: bool,
    /// Label that keeps clusters sharing a network apart; at most 255 bytes.
    pub cluster_label: String,
    /// Accepts peers with any label, while a label is being rolled out.
    pub cluster_label_verification_disabled: bool,
    /// Compression of outgoing messages; all kinds are accepted.
    pub compression: Compression,
    /// TLS between nodes; `None` gossips in the clear.
    pub tls: Option<TlsConfig>,
    /// Keys of AES-GCM in base64, of 16, 24 or 32 bytes each: messages are
    /// encrypted with the first and decrypted with any. dskit has no such
    /// setting; empty does not encrypt.
    pub keyring: Vec<String>,
    /// Refuses what is not encrypted while there are keys. Off only while
    /// encryption is being rolled out.
    pub verify_incoming: bool,
    /// Encrypts while there are keys. Off only while encryption is being rolled
    /// out.
    pub verify_outgoing: bool,
    /// Data gossiped with the record of this node, at most 512 bytes. Not with
    /// zone-aware routing, which needs the place.
    pub meta: Bytes,
    /// Keeps most gossip within a zone.
    pub zone_aware_routing: Option<ZoneAwareRouting>,
    /// Logs every packet, at debug level.
    pub transport_debug: bool,
    /// Time to dial, to read and to write a stream, each.
    pub stream_timeout: Duration,
    /// Time to dial for a packet.
    pub packet_dial_timeout: Duration,
    /// Time to write a packet.
    pub packet_write_timeout: Duration,
    /// Longest silence of a peer at the start of a connection and inside a
    /// packet. dskit waits for ever.
    pub packet_idle_timeout: Duration,
    /// Longest time for a whole packet to arrive. dskit waits for ever.
    pub packet_read_timeout: Duration,
    /// How many packets are written at once; 0 counts as 1.
    pub max_concurrent_writes: usize,
    /// How long a packet waits for a writer before it is dropped.
    pub acquire_writer_timeout: Duration,
    /// What peers may make this node hold.
    pub incoming: IncomingLimits,
    /// Period of gossip.
    pub gossip_interval: Duration,
    /// How many nodes one round of gossip reaches.
    pub gossip_nodes: usize,
    /// How long dead nodes are still told, so that they can refute.
    pub gossip_to_dead_nodes_time: Duration,
    /// Period of full state exchanges with one random node; zero never does.
    pub push_pull_interval: Duration,
    /// A message is sent this many times ceil(log10(members + 1)).
    pub retransmit_factor: u32,
    /// When the name of a dead node may move to a new address; zero never.
    pub dead_node_reclaim_time: Duration,
    /// Period of probes.
    pub probe_interval: Duration,
    /// How long a probe waits before it asks others.
    pub probe_timeout: Duration,
    /// How many others are asked to probe.
    pub indirect_checks: usize,
    /// A suspect counts as dead after this many probe intervals, times the
    /// logarithm of the cluster's size.
    pub suspicion_factor: u32,
    /// Packets that may wait for processing; more are dropped.
    pub received_messages_queue_size: usize,
    /// How often watchers of keys are told of changes; zero tells them at once.
    pub notify_interval: Duration,
    /// Changed keys that one watcher of a prefix may leave unread; further ones
    /// are not reported to it.
    pub watch_prefix_buffer_size: usize,
    /// Bytes of messages to remember for people, for each direction; 0 keeps
    /// none.
    pub message_history_buffer_bytes: usize,
    /// How the time that news travels is measured.
    pub propagation_delay_tracker: PropagationDelayTracker,
    /// How long instances that left stay as tombstones.
    pub left_ingesters_timeout: Duration,
    /// How long deleted keys stay in memory.
    pub obsolete_entries_timeout: Duration,
    /// How long the farewell to the cluster may take.
    pub leave_timeout: Duration,
    /// How long a stopping node may still send its own updates; zero waits
    /// for ever.
    pub broadcast_timeout_on_shutdown: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dialect: Dialect::Dskit,
            node_name: String::new(),
            randomize_node_name: true,
            advertise_addr: String::new(),
            advertise_port: 0,
            join: Vec::new(),
            rejoin_seeds: Vec::new(),
            rejoin_interval: Duration::ZERO,
            default_port: 7946,
            min_join_backoff: Duration::from_secs(1),
            max_join_backoff: Duration::from_secs(60),
            max_join_retries: 10,
            abort_if_fast_join_fails: false,
            abort_if_fast_join_fails_min_nodes: 1,
            abort_if_join_fails: false,
            cluster_label: String::new(),
            cluster_label_verification_disabled: false,
            compression: Compression::Lzw,
            tls: None,
            keyring: Vec::new(),
            verify_incoming: true,
            verify_outgoing: true,
            meta: Bytes::new(),
            zone_aware_routing: None,
            transport_debug: false,
            stream_timeout: Duration::from_secs(2),
            packet_dial_timeout: Duration::from_secs(2),
            packet_write_timeout: Duration::from_secs(5),
            packet_idle_timeout: Duration::from_secs(10),
            packet_read_timeout: Duration::from_secs(30),
            max_concurrent_writes: 3,
            acquire_writer_timeout: Duration::from_millis(250),
            incoming: IncomingLimits::default(),
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_dead_nodes_time: Duration::from_secs(30),
            push_pull_interval: Duration::from_secs(30),
            retransmit_factor: 4,
            dead_node_reclaim_time: Duration::ZERO,
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            indirect_checks: 3,
            suspicion_factor: 4,
            received_messages_queue_size: 1024,
            notify_interval: Duration::ZERO,
            watch_prefix_buffer_size: 128,
            message_history_buffer_bytes: 0,
            propagation_delay_tracker: PropagationDelayTracker::default(),
            left_ingesters_timeout: Duration::from_secs(5 * 60),
            obsolete_entries_timeout: Duration::from_secs(30),
            leave_timeout: Duration::from_secs(20),
            broadcast_timeout_on_shutdown: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Returns the defaults of HashiCorp's memberlist in a local network.
    pub fn lan() -> Self {
        Self {
            dialect: Dialect::Classic,
            randomize_node_name: false,
            stream_timeout: Duration::from_secs(10),
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            ..Self::default()
        }
    }

    /// Returns the defaults of HashiCorp's memberlist across the world.
    pub fn wan() -> Self {
        Self {
            stream_timeout: Duration::from_secs(30),
            suspicion_factor: 6,
            push_pull_interval: Duration::from_secs(60),
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            gossip_nodes: 4,
            gossip_interval: Duration::from_millis(500),
            gossip_to_dead_nodes_time: Duration::from_secs(60),
            ..Self::lan()
        }
    }

    /// Returns the defaults of HashiCorp's memberlist on one host.
    pub fn local() -> Self {
        Self {
            stream_timeout: Duration::from_secs(1),
            indirect_checks: 1,
            retransmit_factor: 2,
            suspicion_factor: 3,
            push_pull_interval: Duration::from_secs(15),
            probe_timeout: Duration::from_millis(200),
            gossip_interval: Duration::from_millis(100),
            gossip_to_dead_nodes_time: Duration::from_secs(15),
            ..Self::lan()
        }
    }

    /// Checks the settings that have no meaning outside a range.
    ///
    /// # Errors
    ///
    /// Names the first bad setting.
    pub fn validate(&self) -> Result<(), GossipError> {
        let positive = [
            ("gossip-interval", self.gossip_interval),
            ("probe-interval", self.probe_interval),
            ("probe-timeout", self.probe_timeout),
            ("stream-timeout", self.stream_timeout),
            ("packet-dial-timeout", self.packet_dial_timeout),
            ("packet-write-timeout", self.packet_write_timeout),
            ("packet-idle-timeout", self.packet_idle_timeout),
            ("packet-read-timeout", self.packet_read_timeout),
        ];
        if let Some((setting, _)) = positive.iter().find(|(_, value)| value.is_zero()) {
            return Err(GossipError::invalid(setting, "must be greater than zero"));
        }
        if self.cluster_label.len() > 255 {
            return Err(GossipError::invalid(
                "cluster-label",
                "must not exceed 255 bytes",
            ));
        }
        let tracker = &self.propagation_delay_tracker;
        if tracker.enabled
            && (tracker.beacon_interval.is_zero() || tracker.beacon_lifetime.is_zero())
        {
            return Err(GossipError::invalid(
                "propagation-delay-tracker",
                "beacon-interval and beacon-lifetime must be greater than zero",
            ));
        }
        if self.received_messages_queue_size == 0 {
            return Err(GossipError::invalid(
                "received-messages-queue-size",
                "must be greater than zero",
            ));
        }
        if self.incoming.connections == 0 || self.incoming.connections_per_source == 0 {
            return Err(GossipError::invalid(
                "limit of connections",
                "must be greater than zero",
            ));
        }
        if let Some(routing) = &self.zone_aware_routing {
            routing.validate(&self.meta)?;
        }
        match &self.tls {
            Some(_) if self.dialect == Dialect::Classic => Err(GossipError::invalid(
                "tls-enabled",
                "is for the dskit dialect; encrypt classic gossip by keys",
            )),
            Some(tls) => tls.validate(),
            None => Ok(()),
        }
    }

    /// Returns the seeds of the periodic rejoin.
    pub(crate) fn rejoin_seeds(&self) -> &[String] {
        if self.rejoin_seeds.is_empty() {
            &self.join
        } else {
            &self.rejoin_seeds
        }
    }
}

/// Settings of the propagation-delay tracker, off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropagationDelayTracker {
    /// Publishes beacons and times those of others.
    pub enabled: bool,
    /// How often the cluster publishes a beacon.
    pub beacon_interval: Duration,
    /// How long a beacon stays.
    pub beacon_lifetime: Duration,
    /// Delay from which on an arrival is logged; zero logs none.
    pub log_beacons_latency_longer_than: Duration,
}

impl Default for PropagationDelayTracker {
    fn default() -> Self {
        Self {
            enabled: false,
            beacon_interval: Duration::from_secs(60),
            beacon_lifetime: Duration::from_secs(10 * 60),
            log_beacons_latency_longer_than: Duration::ZERO,
        }
    }
}

/// Whose transport and defaults a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those of Grafana's dskit: packets and streams over TCP.
    #[default]
    Dskit,
    /// Those of HashiCorp's memberlist: packets over UDP, streams over TCP.
    Classic,
}

/// Keeps most gossip within a zone: members speak with their zone, and bridges
/// with those of other zones. Without a living bridge in every zone, all speak
/// with all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneAwareRouting {
    /// The zone of this node, of 1 to 16 bytes.
    pub zone: String,
    /// Whether this node speaks with other zones.
    pub role: ZoneRole,
}

impl ZoneAwareRouting {
    fn validate(&self, meta: &Bytes) -> Result<(), GossipError> {
        if !(1..=16).contains(&self.zone.len()) {
            return Err(GossipError::invalid(
                "zone-aware-routing.instance-availability-zone",
                "must have 1 to 16 bytes",
            ));
        }
        if !meta.is_empty() {
            return Err(GossipError::invalid(
                "zone-aware-routing.enabled",
                "takes the place of other metadata",
            ));
        }
        Ok(())
    }
}

/// Whether a node speaks with other zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZoneRole {
    /// Only with its own.
    #[default]
    Member,
    /// With bridges of others too.
    Bridge,
}

impl FromStr for ZoneRole {
    type Err = GossipError;

    fn from_str(text: &str) -> Result<Self, GossipError> {
        match text {
            "member" => Ok(Self::Member),
            "bridge" => Ok(Self::Bridge),
            _ => Err(GossipError::invalid(
                "zone-aware-routing.role",
                "must be member or bridge",
            )),
        }
    }
}

/// What peers may make a node hold. Beyond it, who holds most gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingLimits {
    /// Connections that have not yet brought a whole message.
    pub connections: usize,
    /// Such connections of one IPv4 address or IPv6 network of 64 bits.
    pub connections_per_source: usize,
    /// Bytes of all messages that are being received or wait to be handled;
    /// the first 16 KiB of each message do not count.
    pub bytes: usize,
}

impl Default for IncomingLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_source: 128,
            bytes: 192 << 20,
        }
    }
}

/// Compression of outgoing messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Sends everything as it is.
    None,
    /// LZW, which every memberlist version reads.
    #[default]
    Lzw,
    /// Snappy, which only Grafana's fork of memberlist reads.
    Snappy,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lzw => "lzw",
            Self::Snappy => "snappy",
        })
    }
}

impl FromStr for Compression {
    type Err = GossipError;

    fn from_str(text: &str) -> Result<Self, GossipError> {
        match text {
            "none" => Ok(Self::None),
            "lzw" => Ok(Self::Lzw),
            "snappy" => Ok(Self::Snappy),
            _ => Err(GossipError::invalid(
                "compression-algorithm",
                "must be lzw, snappy or none",
            )),
        }
    }
}
