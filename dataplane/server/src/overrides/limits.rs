use anyhow::Result;
use profile::{LabelLimits, pprof};

use crate::{
    distributor::{Rate, Rules},
    querier,
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What one tenant may do.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Limits of the series labels.
    pub labels: LabelLimits,
    /// Limits of each profile.
    pub profile: pprof::Limits,
    /// How far back a profile's time may lie, in nanoseconds; 0: any time.
    pub reject_older_than: i64,
    /// How far ahead a profile's time may lie, in nanoseconds; 0: any time.
    pub reject_newer_than: i64,
    /// What the tenant may push to all distributors together.
    pub rate: Rate,
    /// Ingesters that the tenant writes to; 0 is all.
    pub shard_size: usize,
    /// How many series the tenant may have.
    pub series: SeriesLimits,
    /// Sessions that a series is stored under; 0 is none.
    pub max_sessions_per_series: u64,
    /// Rules for the labels of series, built-in ones included.
    pub relabeling: Rules,
    /// Rules for single sample types.
    pub sample_types: Rules,
    /// Limits of queries.
    pub query: querier::Limits,
}

/// How many series a tenant may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesLimits {
    /// In one ingester; zero: any number.
    pub local: usize,
    /// In the whole ring; zero: any number.
    pub global: usize,
}

impl Limits {
    /// Reads the limits as configured.
    ///
    /// # Errors
    ///
    /// Fails on a relabelling rule that is none.
    pub(crate) fn new(limits: &contract::config::Limits) -> Result<Self> {
        let position = &limits.ingestion_relabeling_default_rules_position;
        Ok(Self {
            labels: LabelLimits {
                name_bytes: limits.max_label_name_length,
                value_bytes: limits.max_label_value_length,
                count: limits.max_label_names_per_series,
            },
            profile: pprof::Limits {
                uncompressed_bytes: limits.max_profile_size_bytes,
                samples: limits.max_profile_stacktrace_samples,
                sample_labels: limits.max_profile_stacktrace_sample_labels,
                stack_depth: limits.max_profile_stacktrace_depth,
                symbol_bytes: limits.max_profile_symbol_value_length,
            },
            reject_older_than: nanos(limits.reject_older_than.get()),
            reject_newer_than: nanos(limits.reject_newer_than.get()),
            rate: Rate {
                bytes_per_second: limits.ingestion_rate_mb * MEBIBYTE,
                burst_bytes: limits.ingestion_burst_size_mb * MEBIBYTE,
            },
            shard_size: limits.ingestion_tenant_shard_size,
            series: SeriesLimits {
                local: limits.max_local_series_per_tenant,
                global: limits.max_global_series_per_tenant,
            },
            max_sessions_per_series: limits.max_sessions_per_series as u64,
            relabeling: Rules::with_built_in(&limits.ingestion_relabeling_rules, position)?,
            sample_types: Rules::compile(&limits.sample_type_relabeling_rules)?,
            query: querier::Limits {
                max_query_length: limits.max_query_length.get(),
                max_query_lookback: limits.max_query_lookback.get(),
                default_nodes: limits.max_flamegraph_nodes_default,
                max_nodes: limits.max_flamegraph_nodes_max,
            },
        })
    }
}

#[cfg(test)]
impl Default for Limits {
    fn default() -> Self {
        Self::new(&contract::config::Limits::default()).expect("there are no rules to be wrong")
    }
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
