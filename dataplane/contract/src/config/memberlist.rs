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
    /// Whether the process ends when no seed could be joined.
    pub abort_if_cluster_join_fails: bool,
    /// Time between two joins of the seeds while running; 0 is never.
    pub rejoin_interval: Duration,
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
            advertise_addr: String::new(),
            advertise_port: ports::GOSSIP,
            cluster_label: String::new(),
            cluster_label_verification_disabled: false,
            join_members: Vec::new(),
            min_join_backoff: Duration::from_secs(1),
            max_join_backoff: Duration::from_secs(60),
            max_join_retries: 10,
            abort_if_cluster_join_fails: false,
            rejoin_interval: Duration::ZERO,
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
        }
    }
}
