//! Settings of gossip.

use super::{Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "memberlist.join",
        "memberlist.join_members",
        Kind::List,
        "Seeds to join: host, host:port, dns+host:port, dnssrv+name or dnssrvnoa+name; repeatable.",
    ),
    sets(
        "memberlist.cluster-label",
        "memberlist.cluster_label",
        Kind::Text,
        "Name of the cluster; messages with another name are dropped.",
    ),
    sets(
        "memberlist.cluster-label-verification-disabled",
        "memberlist.cluster_label_verification_disabled",
        Kind::Bool,
        "Takes messages with any cluster name, to introduce one without a stop.",
    ),
    sets(
        "memberlist.nodename",
        "memberlist.node_name",
        Kind::Text,
        "Name of this node; empty is the host name.",
    ),
    sets(
        "memberlist.randomize-node-name",
        "memberlist.randomize_node_name",
        Kind::Bool,
        "Adds random digits to the name, so that a restarted process is a new node.",
    ),
    sets(
        "memberlist.bind-addr",
        "memberlist.bind_addr",
        Kind::List,
        "Address to listen on for gossip; empty is every address; repeatable.",
    ),
    sets(
        "memberlist.bind-port",
        "memberlist.bind_port",
        Kind::PORT,
        "Port to listen on for gossip; 0 takes a free one.",
    ),
    sets(
        "memberlist.advertise-addr",
        "memberlist.advertise_addr",
        Kind::Text,
        "Address told to other nodes; empty is found from the interfaces.",
    ),
    sets(
        "memberlist.advertise-port",
        "memberlist.advertise_port",
        Kind::PORT,
        "Port told to other nodes, if an address is set too.",
    ),
    sets(
        "memberlist.min-join-backoff",
        "memberlist.min_join_backoff",
        Kind::Duration,
        "First pause between two attempts to join.",
    ),
    sets(
        "memberlist.max-join-backoff",
        "memberlist.max_join_backoff",
        Kind::Duration,
        "Longest pause between two attempts to join.",
    ),
    sets(
        "memberlist.max-join-retries",
        "memberlist.max_join_retries",
        Kind::COUNT,
        "Number of attempts to join.",
    ),
    sets(
        "memberlist.abort-if-join-fails",
        "memberlist.abort_if_cluster_join_fails",
        Kind::Bool,
        "Ends the process when no seed could be joined.",
    ),
    sets(
        "memberlist.rejoin-interval",
        "memberlist.rejoin_interval",
        Kind::Duration,
        "Time between two joins of the seeds while running; 0 is never.",
    ),
    sets(
        "memberlist.gossip-interval",
        "memberlist.gossip_interval",
        Kind::Duration,
        "Time between two rounds of gossip.",
    ),
    sets(
        "memberlist.gossip-nodes",
        "memberlist.gossip_nodes",
        Kind::COUNT,
        "Number of nodes that one round of gossip reaches.",
    ),
    sets(
        "memberlist.gossip-to-dead-nodes-time",
        "memberlist.gossip_to_dead_nodes_time",
        Kind::Duration,
        "How long dead nodes are still told news.",
    ),
    sets(
        "memberlist.dead-node-reclaim-time",
        "memberlist.dead_node_reclaim_time",
        Kind::Duration,
        "Age from which a dead node's name may be taken by another address; 0 is never.",
    ),
    sets(
        "memberlist.pullpush-interval",
        "memberlist.pull_push_interval",
        Kind::Duration,
        "Time between two exchanges of full state; 0 is never.",
    ),
    sets(
        "memberlist.retransmit-factor",
        "memberlist.retransmit_factor",
        Kind::COUNT,
        "Factor of how often each message is gossiped.",
    ),
    sets(
        "memberlist.compression-enabled",
        "memberlist.compression_enabled",
        Kind::Bool,
        "Compresses outgoing messages.",
    ),
    sets(
        "memberlist.left-ingesters-timeout",
        "memberlist.left_ingesters_timeout",
        Kind::Duration,
        "How long the ring remembers instances that left.",
    ),
    sets(
        "memberlist.obsolete-entries-timeout",
        "memberlist.obsolete_entries_timeout",
        Kind::Duration,
        "How long the store remembers deleted keys.",
    ),
    sets(
        "memberlist.leave-timeout",
        "memberlist.leave_timeout",
        Kind::Duration,
        "Longest time to tell others that this node leaves.",
    ),
    sets(
        "memberlist.broadcast-timeout-for-local-updates-on-shutdown",
        "memberlist.broadcast_timeout_for_local_updates_on_shutdown",
        Kind::Duration,
        "Longest time to spread the last local changes before leaving; 0 is no limit.",
    ),
    sets(
        "memberlist.stream-timeout",
        "memberlist.stream_timeout",
        Kind::Duration,
        "Longest time to connect and exchange full state with one node.",
    ),
    sets(
        "memberlist.packet-dial-timeout",
        "memberlist.packet_dial_timeout",
        Kind::Duration,
        "Longest time to connect for one packet.",
    ),
    sets(
        "memberlist.packet-write-timeout",
        "memberlist.packet_write_timeout",
        Kind::Duration,
        "Longest time to write one packet.",
    ),
    sets(
        "memberlist.max-concurrent-writes",
        "memberlist.max_concurrent_writes",
        Kind::COUNT,
        "Most packets written at once.",
    ),
    sets(
        "memberlist.acquire-writer-timeout",
        "memberlist.acquire_writer_timeout",
        Kind::Duration,
        "How long a packet waits for its turn before it is dropped.",
    ),
];
