//! Limits of every tenant.

use serde::{Deserialize, Serialize};

use super::relabel::RelabelRule;
use crate::duration::Duration;

/// Limits of every tenant.
///
/// Rates, series, ages and query limits may be 0 for no limit; what bounds the memory that one
/// request can take must be there, unlike in Grafana Pyroscope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Profile data that all distributors together take in, in MB a second, uncompressed.
    pub ingestion_rate_mb: f64,
    /// Profile data that a distributor takes in at once, in MB, uncompressed.
    pub ingestion_burst_size_mb: f64,
    /// Largest request body, in MB, uncompressed.
    pub ingestion_body_limit_mb: f64,
    /// Longest label name in bytes.
    pub max_label_name_length: usize,
    /// Longest label value in bytes.
    pub max_label_value_length: usize,
    /// Most labels of one series.
    pub max_label_names_per_series: usize,
    /// Largest profile in bytes, uncompressed.
    pub max_profile_size_bytes: usize,
    /// Most samples of one profile.
    pub max_profile_stacktrace_samples: usize,
    /// Most labels of one sample.
    pub max_profile_stacktrace_sample_labels: usize,
    /// Most frames of one stack; deeper stacks are cut at the leaf.
    pub max_profile_stacktrace_depth: usize,
    /// Longest string of a profile in bytes; longer ones are cut at the front.
    pub max_profile_symbol_value_length: usize,
    /// Number of ingesters that a tenant writes to; 0 is all.
    pub ingestion_tenant_shard_size: usize,
    /// Most active series of a tenant in one ingester.
    pub max_local_series_per_tenant: usize,
    /// Most active series of a tenant in the whole cluster.
    pub max_global_series_per_tenant: usize,
    /// Number of values of `__session_id__` that a series is stored under; 0 drops the label.
    pub max_sessions_per_series: usize,
    /// Rules that change the labels of pushed series or drop them.
    pub ingestion_relabeling_rules: Vec<RelabelRule>,
    /// Whether the built-in rules come `first`, `last`, or not at all (`disabled`).
    pub ingestion_relabeling_default_rules_position: String,
    /// Rules that keep or drop single sample types by their series labels, `__type__` and
    /// `__unit__`.
    pub sample_type_relabeling_rules: Vec<RelabelRule>,
    /// Age from which profiles are refused.
    pub reject_older_than: Duration,
    /// Time ahead of now from which profiles are refused.
    pub reject_newer_than: Duration,
    /// How far back queries reach.
    pub max_query_lookback: Duration,
    /// Longest time range of one query.
    pub max_query_length: Duration,
    /// Nodes of a flame graph when the query does not say.
    pub max_flamegraph_nodes_default: i64,
    /// Most nodes of a flame graph that a query may ask for.
    pub max_flamegraph_nodes_max: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingestion_rate_mb: 4.0,
            ingestion_burst_size_mb: 2.0,
            ingestion_body_limit_mb: 256.0,
            max_label_name_length: 1024,
            max_label_value_length: 2048,
            max_label_names_per_series: 30,
            max_profile_size_bytes: 4 << 20,
            max_profile_stacktrace_samples: 16_000,
            max_profile_stacktrace_sample_labels: 100,
            max_profile_stacktrace_depth: 1000,
            max_profile_symbol_value_length: 65_535,
            ingestion_tenant_shard_size: 0,
            max_local_series_per_tenant: 0,
            max_global_series_per_tenant: 5000,
            max_sessions_per_series: 0,
            ingestion_relabeling_rules: Vec::new(),
            ingestion_relabeling_default_rules_position: "first".to_owned(),
            sample_type_relabeling_rules: Vec::new(),
            reject_older_than: Duration::from_secs(3600),
            reject_newer_than: Duration::from_secs(600),
            max_query_lookback: Duration::from_secs(7 * 24 * 3600),
            max_query_length: Duration::from_secs(24 * 3600),
            max_flamegraph_nodes_default: 8192,
            max_flamegraph_nodes_max: 1 << 20,
        }
    }
}
