//! Settings of the rings of ingesters and of distributors, and of an instance's entry in them.

use super::{Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "ring.store",
        "ingester.lifecycler.ring.kvstore.store",
        Kind::Choice {
            known: &["memberlist"],
            elsewhere: &["consul", "etcd", "inmemory", "multi"],
        },
        "Store that keeps the ring.",
    ),
    sets(
        "ring.prefix",
        "ingester.lifecycler.ring.kvstore.prefix",
        Kind::Text,
        "What the ring's key in the store starts with.",
    ),
    sets(
        "ring.heartbeat-timeout",
        "ingester.lifecycler.ring.heartbeat_timeout",
        Kind::Duration,
        "Age of a heartbeat from which an ingester is left out of reads and writes; 0 is never.",
    ),
    sets(
        "distributor.replication-factor",
        "ingester.lifecycler.ring.replication_factor",
        Kind::COUNT,
        "Number of ingesters that hold each series.",
    ),
    sets(
        "distributor.zone-awareness-enabled",
        "ingester.lifecycler.ring.zone_awareness_enabled",
        Kind::Bool,
        "Spreads the replicas of a series over availability zones.",
    ),
    sets(
        "distributor.excluded-zones",
        "ingester.lifecycler.ring.excluded_zones",
        Kind::Commas,
        "Availability zones whose ingesters are left out.",
    ),
    sets(
        "ingester.num-tokens",
        "ingester.lifecycler.num_tokens",
        Kind::COUNT,
        "Number of tokens that an ingester owns in the ring.",
    ),
    sets(
        "ingester.heartbeat-period",
        "ingester.lifecycler.heartbeat_period",
        Kind::Duration,
        "Time between two heartbeats of an ingester; 0 is never.",
    ),
    sets(
        "ingester.observe-period",
        "ingester.lifecycler.observe_period",
        Kind::Duration,
        "Time for which an ingester checks that its new tokens stay its own before it is active; 0 is no check.",
    ),
    sets(
        "ingester.join-after",
        "ingester.lifecycler.join_after",
        Kind::Duration,
        "Time that an ingester waits before it takes tokens.",
    ),
    sets(
        "ingester.min-ready-duration",
        "ingester.lifecycler.min_ready_duration",
        Kind::Duration,
        "Time for which an ingester must be ready before it says so.",
    ),
    sets(
        "ingester.final-sleep",
        "ingester.lifecycler.final_sleep",
        Kind::Duration,
        "Time to wait before the process ends, so that metrics can be read once more.",
    ),
    sets(
        "ingester.tokens-file-path",
        "ingester.lifecycler.tokens_file_path",
        Kind::Text,
        "File that keeps an ingester's tokens across restarts; empty keeps them nowhere.",
    ),
    sets(
        "ingester.availability-zone",
        "ingester.lifecycler.availability_zone",
        Kind::Text,
        "Availability zone of the ingester.",
    ),
    sets(
        "ingester.unregister-on-shutdown",
        "ingester.lifecycler.unregister_on_shutdown",
        Kind::Bool,
        "Takes the ingester out of the ring when it stops; otherwise it stays as leaving and comes back with its tokens.",
    ),
    sets(
        "ingester.readiness-check-ring-health",
        "ingester.lifecycler.readiness_check_ring_health",
        Kind::Bool,
        "Makes an ingester ready only when every ingester of the ring is active and healthy.",
    ),
    sets(
        "ingester.lifecycler.addr",
        "ingester.lifecycler.address",
        Kind::Text,
        "Address of the ingester in the ring; empty is the one that gossip advertises.",
    ),
    sets(
        "ingester.lifecycler.port",
        "ingester.lifecycler.port",
        Kind::PORT,
        "Port of the ingester in the ring; 0 is the port it listens on.",
    ),
    sets(
        "ingester.lifecycler.ID",
        "ingester.lifecycler.id",
        Kind::Text,
        "Name of the ingester in the ring; empty is the host name.",
    ),
    sets(
        "ingester.lifecycler.interface",
        "ingester.lifecycler.interface_names",
        Kind::List,
        "Interfaces whose first address the ingester has in the ring; empty is the one that gossip advertises.",
    ),
    sets(
        "ingester.enable-inet6",
        "ingester.lifecycler.enable_inet6",
        Kind::Bool,
        "Takes an IPv6 address of -ingester.lifecycler.interface before an IPv4 one.",
    ),
    sets(
        "ingester.auto-forget-unhealthy-periods",
        "ingester.auto_forget_unhealthy_periods",
        Kind::COUNT,
        "Heartbeat timeouts after which a dead ingester is taken out of the ring, unless more are unhealthy than a write quorum tolerates; 0 is never, as its disk may come back. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "distributor.ring.store",
        "distributor.ring.kvstore.store",
        Kind::Choice {
            known: &["memberlist"],
            elsewhere: &["consul", "etcd", "inmemory", "multi"],
        },
        "Store that keeps the ring of distributors.",
    ),
    sets(
        "distributor.ring.prefix",
        "distributor.ring.kvstore.prefix",
        Kind::Text,
        "What the key of the ring of distributors in the store starts with.",
    ),
    sets(
        "distributor.ring.heartbeat-period",
        "distributor.ring.heartbeat_period",
        Kind::Duration,
        "Time between two heartbeats of a distributor; 0 is never.",
    ),
    sets(
        "distributor.ring.heartbeat-timeout",
        "distributor.ring.heartbeat_timeout",
        Kind::Duration,
        "Age of a heartbeat from which a distributor counts as unhealthy; after ten times as long it is forgotten. 0 is never.",
    ),
    sets(
        "distributor.ring.instance-id",
        "distributor.ring.instance_id",
        Kind::Text,
        "Name of the distributor in its ring; empty is the host name.",
    ),
    sets(
        "distributor.ring.instance-interface-names",
        "distributor.ring.instance_interface_names",
        Kind::List,
        "Interfaces whose first address the distributor has in its ring; empty is the one that gossip advertises.",
    ),
    sets(
        "distributor.ring.instance-port",
        "distributor.ring.instance_port",
        Kind::PORT,
        "Port of the distributor in its ring; 0 is the port it listens on.",
    ),
    sets(
        "distributor.ring.instance-addr",
        "distributor.ring.instance_addr",
        Kind::Text,
        "Address of the distributor in its ring; empty is the one that gossip advertises.",
    ),
    sets(
        "distributor.ring.instance-enable-ipv6",
        "distributor.ring.instance_enable_ipv6",
        Kind::Bool,
        "Takes an IPv6 address of -distributor.ring.instance-interface-names before an IPv4 one.",
    ),
];
