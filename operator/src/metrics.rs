use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What the operator counts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    reconciles: Family<ResultLabel, Counter>,
    pub(crate) reconcile_seconds: Histogram,
    writes: Family<WriteLabels, Counter>,
    ring_polls: Family<ResultLabel, Counter>,
    pub(crate) leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    verb: &'static str,
}

impl Metrics {
    /// Registers every metric in `registry`, whose prefix they get.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            writes: Family::default(),
            ring_polls: Family::default(),
            leader: Gauge::default(),
        };
        registry.register(
            "reconciles",
            "Reconciliations of clusters by result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Time that reconciliations took",
            metrics.reconcile_seconds.clone(),
        );
        registry.register(
            "writes",
            "Writes to the API server for clusters, by kind of object and verb; a steady state makes none",
            metrics.writes.clone(),
        );
        registry.register(
            "ring_polls",
            "Requests for a pod's view of the ring by result",
            metrics.ring_polls.clone(),
        );
        registry.register(
            "leader",
            "Whether this process holds the lease, or needs none",
            metrics.leader.clone(),
        );
        metrics
    }

    /// Counts a reconciliation.
    pub(crate) fn reconciled(&self, ok: bool) {
        self.reconciles.get_or_create(&result(ok)).inc();
    }

    /// Counts a write to the API server, before its outcome is known.
    pub(crate) fn wrote(&self, kind: &'static str, verb: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    /// Counts a request for a pod's view of the ring.
    pub(crate) fn polled(&self, ok: bool) {
        self.ring_polls.get_or_create(&result(ok)).inc();
    }
}

fn result(ok: bool) -> ResultLabel {
    ResultLabel {
        result: if ok { "ok" } else { "error" },
    }
}
