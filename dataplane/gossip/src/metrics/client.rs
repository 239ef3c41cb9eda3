use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The membership and the store, as `memberlist_client_*`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientMetrics {
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) received_invalid: Counter,
    pub(crate) received_dropped: Counter,
    pub(crate) received_invalid_packets: Counter,
    pub(crate) heartbeats_missed: Counter,
    pub(crate) state_pushes: Counter,
    pub(crate) state_pushes_bytes: Counter,
    pub(crate) state_pulls: Counter,
    pub(crate) state_pulls_bytes: Counter,
    pub(crate) cas_attempts: Counter,
    pub(crate) cas_successes: Counter,
    pub(crate) cas_failures: Counter,
    pub(crate) members: Gauge,
    pub(crate) health_score: Gauge,
    pub(crate) propagation: PropagationMetrics,
    queued: Family<QueueLabel, Gauge>,
    keys: Gauge,
    pending_notifications: Gauge,
    dropped_notifications: Family<PrefixLabel, Gauge>,
    tombstones: Family<KeyLabel, Gauge>,
    tombstones_removed: Family<KeyLabel, Counter>,
}

/// The propagation-delay tracker.
#[derive(Clone, Debug)]
pub(crate) struct PropagationMetrics {
    pub(crate) delay: Histogram,
    pub(crate) published: Counter,
    pub(crate) received: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabel {
    key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PrefixLabel {
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

impl ClientMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.propagation.register(registry);
        let registry = registry.sub_registry_with_prefix("memberlist_client");
        metrics.register_counters(registry);
        metrics.register_bytes(registry);
        metrics.register_gauges(registry);
        metrics.register_families(registry);
        metrics
    }

    pub(crate) fn set_tombstones(&self, key: &str, kept: usize, removed: usize) {
        let label = KeyLabel {
            key: key.to_owned(),
        };
        self.tombstones.get_or_create(&label).set(number(kept));
        self.tombstones_removed
            .get_or_create(&label)
            .inc_by(removed as u64);
    }

    /// Drops the series of a key that is gone.
    pub(crate) fn forget_key(&self, key: &str) {
        let label = KeyLabel {
            key: key.to_owned(),
        };
        self.tombstones.remove(&label);
        self.tombstones_removed.remove(&label);
    }

    pub(crate) fn set_keys(&self, count: usize) {
        self.keys.set(number(count));
    }

    pub(crate) fn set_queued(&self, local: usize, forwarded: usize) {
        for (queue, length) in [("local", local), ("gossip", forwarded)] {
            self.queued
                .get_or_create(&QueueLabel { queue })
                .set(number(length));
        }
    }

    pub(crate) fn set_pending_notifications(&self, count: usize) {
        self.pending_notifications.set(number(count));
    }

    pub(crate) fn drop_notification(&self, prefix: String) {
        self.dropped_notifications
            .get_or_create(&PrefixLabel { prefix })
            .inc();
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
                "received_broadcasts_dropped",
                "User messages and pairs dropped because the store is full",
                &self.received_dropped,
            ),
            (
                "received_packets_invalid",
                "Packets that were not understood or are of another cluster",
                &self.received_invalid_packets,
            ),
            (
                "received_heartbeats_missed",
                "Heartbeats received for records that are not known",
                &self.heartbeats_missed,
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
                "Attempts at compare-and-set operations, repeated ones included",
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
    }

    fn register_bytes(&self, registry: &mut Registry) {
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
            ("kv_store_count", "Keys in the store", &self.keys),
            (
                "pending_key_notifications",
                "Changed keys that wait for the next batch of notifications",
                &self.pending_notifications,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_families(&self, registry: &mut Registry) {
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
        registry.register(
            "kv_store_value_tombstones_removed",
            "LEFT instances dropped from the store",
            self.tombstones_removed.clone(),
        );
        // A gauge, because the original's name of this count lacks `_total`.
        registry.register(
            "watch_prefix_dropped_notifications",
            "Changes that watchers of a prefix were too slow to be told",
            self.dropped_notifications.clone(),
        );
    }
}

impl PropagationMetrics {
    fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("memberlist_propagation_tracker");
        registry.register_with_unit(
            "delay",
            "Time from publishing a beacon to receiving it",
            Unit::Seconds,
            self.delay.clone(),
        );
        registry.register(
            "beacons_published",
            "Beacons that this node published",
            self.published.clone(),
        );
        registry.register(
            "beacons_received",
            "Beacons of others, each counted once",
            self.received.clone(),
        );
    }
}

impl Default for PropagationMetrics {
    fn default() -> Self {
        let buckets = [
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        Self {
            delay: Histogram::new(buckets),
            published: Counter::default(),
            received: Counter::default(),
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
