//! Settings of gossip.

use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::ports;

/// Gossip between all processes of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memberlist {
    /// Name of the node; empty is the host name.
    pub node_name: String,
    /// Whether random digits are added to the name, so that a restart is a new node.
    pub randomize_node_name: bool,
    /// Longest time to connect and exchange on a stream (join, push/pull, fallback ping).
    pub stream_timeout: Duration,
    /// Factor of how often a message is gossiped, times ⌈log10(nodes+1)⌉.
    pub retransmit_factor: u32,
    /// Time between two exchanges of full state; 0 is never.
    pub pull_push_interval: Duration,
    /// Time between two rounds of gossip.
    pub gossip_interval: Duration,
    /// Number of nodes that one round of gossip reaches.
    pub gossip_nodes: u32,
    /// How long dead nodes are still told news, so that they can object.
    pub gossip_to_dead_nodes_time: Duration,
    /// Age from which a dead node's name may be taken by another address; 0 is never.
    pub dead_node_reclaim_time: Duration,
    /// Whether messages are compressed.
    pub compression_enabled: bool,
    /// How messages are compressed: `lzw` or `snappy`.
    pub compression_algorithm: String,
    /// Address told to other nodes; empty is found from the interfaces.
    pub advertise_addr: String,
    /// Port told to other nodes; used only with [`Self::advertise_addr`].
    pub advertise_port: u16,
    /// Name of the cluster; messages with another are dropped.
    pub cluster_label: String,
    /// Whether messages with another cluster label are taken after all.
    pub cluster_label_verification_disabled: bool,
    /// Seeds: `host`, `host:port`, `dns+host:port`, `dnssrv+name`, `dnssrvnoa+name`.
    pub join_members: Vec<String>,
    /// First pause between two attempts to join.
    pub min_join_backoff: Duration,
    /// Longest pause between two attempts to join.
    pub max_join_backoff: Duration,
    /// Number of attempts to join.
    pub max_join_retries: u32,
    /// Whether the process does not start unless enough seeds could be joined first.
    pub abort_if_cluster_fast_join_fails: bool,
    /// How many seeds are enough for that.
    pub abort_if_cluster_fast_join_fails_min_nodes: u32,
    /// Whether the process ends when no seed could be joined.
    pub abort_if_cluster_join_fails: bool,
    /// Time between two joins of the seeds while running; 0 is never.
    pub rejoin_interval: Duration,
    /// Seeds to join while running; empty is [`Self::join_members`].
    pub rejoin_seed_nodes: Vec<String>,
    /// How long the ring remembers instances that left.
    pub left_ingesters_timeout: Duration,
    /// How long the store remembers deleted keys.
    pub obsolete_entries_timeout: Duration,
    /// Longest time to tell others that this node leaves.
    pub leave_timeout: Duration,
    /// Longest time to spread the last local changes before leaving; 0 is no limit.
    pub broadcast_timeout_for_local_updates_on_shutdown: Duration,
    /// Addresses to listen on; empty is every address.
    pub bind_addr: Vec<String>,
    /// Port to listen on.
    pub bind_port: u16,
    /// Longest time to connect for one packet.
    pub packet_dial_timeout: Duration,
    /// Longest time to write one packet.
    pub packet_write_timeout: Duration,
    /// Most packets written at once.
    pub max_concurrent_writes: usize,
    /// How long a packet waits for its turn before it is dropped.
    pub acquire_writer_timeout: Duration,
    /// Packets that may wait to be handled; more are dropped.
    pub received_messages_queue_size: usize,
    /// Time between two notices of changes to components; 0 is at once.
    pub notify_interval: Duration,
    /// Bytes of messages kept for the page, for each direction; 0 keeps none.
    pub message_history_buffer_bytes: usize,
    /// Changed keys that may wait for one who watches a prefix; more are dropped.
    pub watch_prefix_buffer_size: usize,
    /// Whether every packet is logged, at level debug.
    pub transport_debug: bool,
    /// Whether nodes gossip over TLS.
    pub tls_enabled: bool,
    /// Certificate of this node, PEM.
    pub tls_cert_path: String,
    /// Key of the certificate, PEM.
    pub tls_key_path: String,
    /// Authorities of peers, PEM; empty is those of the host, for dialled peers only.
    pub tls_ca_path: String,
    /// Name in the certificates of peers; empty is the address that is dialled.
    pub tls_server_name: String,
    /// Whether any certificate of a peer that is dialled is taken.
    pub tls_insecure_skip_verify: bool,
    /// Suites of TLS 1.2, by their names in Go and with commas; empty is all that are safe.
    pub tls_cipher_suites: String,
    /// Oldest version of TLS, by its name in Go; empty is 1.2.
    pub tls_min_version: String,
    /// How gossip crosses zones.
    pub zone_aware_routing: ZoneAwareRouting,
    /// How the time that changes take to arrive is measured.
    pub propagation_delay_tracker: PropagationDelayTracker,
}

impl Default for Memberlist {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            randomize_node_name: true,
            stream_timeout: Duration::from_secs(2),
            retransmit_factor: 4,
            pull_push_interval: Duration::from_secs(30),
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_dead_nodes_time: Duration::from_secs(30),
            dead_node_reclaim_time: Duration::ZERO,
            compression_enabled: true,
            compression_algorithm: "lzw".to_owned(),
            advertise_addr: String::new(),
            advertise_port: ports::GOSSIP,
            cluster_label: String::new(),
            cluster_label_verification_disabled: false,
            join_members: Vec::new(),
            min_join_backoff: Duration::from_secs(1),
            max_join_backoff: Duration::from_secs(60),
            max_join_retries: 10,
            abort_if_cluster_fast_join_fails: false,
            abort_if_cluster_fast_join_fails_min_nodes: 1,
            abort_if_cluster_join_fails: false,
            rejoin_interval: Duration::ZERO,
            rejoin_seed_nodes: Vec::new(),
            left_ingesters_timeout: Duration::from_secs(300),
            obsolete_entries_timeout: Duration::from_secs(30),
            leave_timeout: Duration::from_secs(20),
            broadcast_timeout_for_local_updates_on_shutdown: Duration::from_secs(10),
            bind_addr: Vec::new(),
            bind_port: ports::GOSSIP,
            packet_dial_timeout: Duration::from_secs(2),
            packet_write_timeout: Duration::from_secs(5),
            max_concurrent_writes: 3,
            acquire_writer_timeout: Duration::from_millis(250),
            received_messages_queue_size: 1024,
            notify_interval: Duration::ZERO,
            message_history_buffer_bytes: 0,
            watch_prefix_buffer_size: 128,
            transport_debug: false,
            tls_enabled: false,
            tls_cert_path: String::new(),
            tls_key_path: String::new(),
            tls_ca_path: String::new(),
            tls_server_name: String::new(),
            tls_insecure_skip_verify: false,
            tls_cipher_suites: String::new(),
            tls_min_version: String::new(),
            zone_aware_routing: ZoneAwareRouting::default(),
            propagation_delay_tracker: PropagationDelayTracker::default(),
        }
    }
}

/// How gossip crosses zones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZoneAwareRouting {
    /// Whether most gossip stays within a zone.
    pub enabled: bool,
    /// Zone of this node, at most 16 bytes.
    pub instance_availability_zone: String,
    /// Whether this node gossips with its zone only, `member`, or with others too, `bridge`.
    pub role: String,
}

impl Default for ZoneAwareRouting {
    fn default() -> Self {
        Self {
            enabled: false,
            instance_availability_zone: String::new(),
            role: "member".to_owned(),
        }
    }
}

/// How the time that changes take to arrive is measured: some nodes make changes for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PropagationDelayTracker {
    /// Whether it is measured.
    pub enabled: bool,
    /// Time between two changes that are measured.
    pub beacon_interval: Duration,
    /// How long such a change is remembered.
    pub beacon_lifetime: Duration,
    /// Delay that is worth a line in the log; 0 logs none.
    pub log_beacons_latency_longer_than: Duration,
}

impl Default for PropagationDelayTracker {
    fn default() -> Self {
        Self {
            enabled: false,
            beacon_interval: Duration::from_secs(60),
            beacon_lifetime: Duration::from_secs(600),
            log_beacons_latency_longer_than: Duration::ZERO,
        }
    }
}
