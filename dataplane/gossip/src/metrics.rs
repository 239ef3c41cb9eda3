//! Counters of the transport and of the store, named as dskit names them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What crosses the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransportMetrics {
    pub(crate) incoming_streams: Counter,
    pub(crate) outgoing_streams: Counter,
    pub(crate) outgoing_stream_errors: Counter,
    pub(crate) packets_received: Counter,
    pub(crate) packets_received_bytes: Counter,
    pub(crate) packets_received_errors: Counter,
    pub(crate) packets_dropped: Counter,
    pub(crate) packets_sent: Counter,
    pub(crate) packets_sent_bytes: Counter,
    pub(crate) packets_sent_errors: Counter,
    pub(crate) unknown_connections: Counter,
}

impl TransportMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("pyroscope_memberlist_tcp_transport");
        for (name, help, counter) in [
            (
                "incoming_streams",
                "Streams opened by peers",
                &metrics.incoming_streams,
            ),
            (
                "outgoing_streams",
                "Streams opened to peers",
                &metrics.outgoing_streams,
            ),
            (
                "outgoing_stream_errors",
                "Streams to peers that could not be opened",
                &metrics.outgoing_stream_errors,
            ),
            (
                "packets_received",
                "Packets received",
                &metrics.packets_received,
            ),
            (
                "packets_received_errors",
                "Packets that were cut off or damaged",
                &metrics.packets_received_errors,
            ),
            (
                "packets_dropped",
                "Packets dropped because a queue was full",
                &metrics.packets_dropped,
            ),
            ("packets_sent", "Packets sent", &metrics.packets_sent),
            (
                "packets_sent_errors",
                "Packets that could not be sent",
                &metrics.packets_sent_errors,
            ),
            (
                "unknown_connections",
                "Connections that are neither packet nor stream",
                &metrics.unknown_connections,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, counter) in [
            (
                "packets_received",
                "Bytes of received packets",
                &metrics.packets_received_bytes,
            ),
            (
                "packets_sent",
                "Bytes of sent packets",
                &metrics.packets_sent_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        metrics
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabel {
    key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

/// The store and the membership.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientMetrics {
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) received_invalid: Counter,
    pub(crate) received_invalid_packets: Counter,
    pub(crate) state_pushes: Counter,
    pub(crate) state_pushes_bytes: Counter,
    pub(crate) state_pulls: Counter,
    pub(crate) state_pulls_bytes: Counter,
    pub(crate) cas_attempts: Counter,
    pub(crate) cas_successes: Counter,
    pub(crate) cas_failures: Counter,
    pub(crate) members: Gauge,
    pub(crate) health_score: Gauge,
    queued: Family<QueueLabel, Gauge>,
    tombstones: Family<KeyLabel, Gauge>,
    tombstones_removed: Family<KeyLabel, Counter>,
}

impl ClientMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("memberlist_client");
        metrics.register_counters(registry);
        metrics.register_gauges(registry);
        metrics
    }

    pub(crate) fn set_tombstones(&self, key: &str, kept: usize, removed: usize) {
        let label = KeyLabel {
            key: key.to_owned(),
        };
        self.tombstones
            .get_or_create(&label)
            .set(i64::try_from(kept).unwrap_or(i64::MAX));
        self.tombstones_removed
            .get_or_create(&label)
            .inc_by(removed as u64);
    }

    pub(crate) fn set_queued(&self, local: usize, forwarded: usize) {
        for (queue, length) in [("local", local), ("gossip", forwarded)] {
            self.queued
                .get_or_create(&QueueLabel { queue })
                .set(i64::try_from(length).unwrap_or(i64::MAX));
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            (
                "received_broadcasts",
                "User messages received",
                &self.received,
            ),
            (
                "received_broadcasts_invalid",
                "User messages and pairs that were not understood",
                &self.received_invalid,
            ),
            (
                "received_packets_invalid",
                "Packets that were not understood or are of another cluster",
                &self.received_invalid_packets,
            ),
            (
                "state_pushes",
                "Full states received from peers",
                &self.state_pushes,
            ),
            (
                "state_pulls",
                "Full states sent to peers",
                &self.state_pulls,
            ),
            (
                "cas_attempt",
                "Compare-and-set operations",
                &self.cas_attempts,
            ),
            (
                "cas_success",
                "Compare-and-set operations that changed a value",
                &self.cas_successes,
            ),
            (
                "cas_failure",
                "Compare-and-set operations that failed",
                &self.cas_failures,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, counter) in [
            (
                "received_broadcasts",
                "Bytes of received user messages",
                &self.received_bytes,
            ),
            (
                "state_pushes",
                "Bytes of full states received",
                &self.state_pushes_bytes,
            ),
            (
                "state_pulls",
                "Bytes of full states sent",
                &self.state_pulls_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        registry.register(
            "kv_store_value_tombstones_removed",
            "LEFT instances dropped from the store",
            self.tombstones_removed.clone(),
        );
    }

    fn register_gauges(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "cluster_members_count",
                "Members of the cluster, this node included",
                &self.members,
            ),
            (
                "cluster_node_health_score",
                "Health of this node's probing, 0 is best",
                &self.health_score,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "messages_in_broadcast_queue",
            "User messages that are still being sent: of this node (local) or of peers (gossip)",
            self.queued.clone(),
        );
        registry.register(
            "kv_store_value_tombstones",
            "LEFT instances kept in the store",
            self.tombstones.clone(),
        );
    }
}
