//! Metrics of the head and the log.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::report::ReplayReport;

/// How much the head holds, over all tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadMetrics {
    pub(crate) tenants: Gauge,
    pub(crate) series: Gauge,
    pub(crate) profiles: Gauge,
    pub(crate) bytes: Gauge,
    /// Profiles pushed again that were stored already.
    pub(crate) duplicates: Counter,
    /// Profiles that were stored without reading them.
    pub(crate) digested: Counter,
}

impl HeadMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        let mut gauge = |name, help, metric: &Gauge| registry.register(name, help, metric.clone());
        gauge(
            "pyroscope_head_tenants",
            "Tenants with profiles in the head",
            &new.tenants,
        );
        gauge(
            "pyroscope_head_series",
            "Series in the head, one per sample type",
            &new.series,
        );
        gauge(
            "pyroscope_head_profiles",
            "Profiles in the head",
            &new.profiles,
        );
        gauge(
            "pyroscope_head_bytes",
            "Estimated size of the head",
            &new.bytes,
        );
        registry.register(
            "pyroscope_head_duplicate_profiles",
            "Profiles pushed again that were stored already",
            new.duplicates.clone(),
        );
        registry.register(
            "pyroscope_head_digested_profiles",
            "Profiles whose stacks were all known by their hashes",
            new.digested.clone(),
        );
        new
    }
}

/// What the log does.
#[derive(Clone, Debug, Default)]
pub(crate) struct WalMetrics {
    pub(crate) bytes: Gauge,
    pub(crate) segments: Gauge,
    pub(crate) fsyncs: Counter,
    pub(crate) append_failures: Counter,
    pub(crate) corruptions: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) torn_bytes: Counter,
    pub(crate) replay_seconds: Gauge<f64, AtomicU64>,
}

impl WalMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        registry.register("pyroscope_wal_bytes", "Size of the log", new.bytes.clone());
        registry.register(
            "pyroscope_wal_segments",
            "Segments of the log",
            new.segments.clone(),
        );
        let mut counter = |name, help, metric: &Counter| {
            registry.register(name, help, metric.clone());
        };
        counter(
            "pyroscope_wal_fsyncs",
            "Group commits that were synced",
            &new.fsyncs,
        );
        counter(
            "pyroscope_wal_append_failures",
            "Group commits that failed and were not acknowledged",
            &new.append_failures,
        );
        counter(
            "pyroscope_wal_corruptions",
            "Damaged parts of the log found by replay",
            &new.corruptions,
        );
        counter(
            "pyroscope_wal_quarantined_segments",
            "Damaged segments of the log that replay put aside",
            &new.quarantined,
        );
        counter(
            "pyroscope_wal_torn_bytes",
            "Bytes of interrupted, unacknowledged writes that replay cut from the log",
            &new.torn_bytes,
        );
        registry.register(
            "pyroscope_wal_replay_seconds",
            "Time that the last replay took",
            new.replay_seconds.clone(),
        );
        new
    }

    /// Counts what replay found.
    pub(crate) fn replayed(&self, report: &ReplayReport) {
        self.replay_seconds.set(report.seconds);
        self.corruptions.inc_by(report.corruptions.len() as u64);
        self.quarantined.inc_by(report.quarantined);
        self.torn_bytes.inc_by(report.torn_bytes);
    }
}
