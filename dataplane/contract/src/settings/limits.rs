//! Limits of every tenant.

use super::{Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "distributor.ingestion-rate-limit-mb",
        "limits.ingestion_rate_mb",
        Kind::Float,
        "Profile data that all distributors together take from a tenant, in MB a second, uncompressed; 0 is no limit.",
    ),
    sets(
        "distributor.ingestion-burst-size-mb",
        "limits.ingestion_burst_size_mb",
        Kind::Float,
        "Profile data that a distributor takes from a tenant at once, in MB, uncompressed.",
    ),
    sets(
        "distributor.ingestion-body-limit-mb",
        "limits.ingestion_body_limit_mb",
        Kind::Float,
        "Largest request body, in MB, uncompressed.",
    ),
    sets(
        "validation.max-length-label-name",
        "limits.max_label_name_length",
        Kind::SIZE,
        "Longest label name in bytes.",
    ),
    sets(
        "validation.max-length-label-value",
        "limits.max_label_value_length",
        Kind::SIZE,
        "Longest label value in bytes.",
    ),
    sets(
        "validation.max-label-names-per-series",
        "limits.max_label_names_per_series",
        Kind::SIZE,
        "Most labels of one series.",
    ),
    sets(
        "validation.max-profile-size-bytes",
        "limits.max_profile_size_bytes",
        Kind::SIZE,
        "Largest profile in bytes, uncompressed.",
    ),
    sets(
        "validation.max-profile-stacktrace-samples",
        "limits.max_profile_stacktrace_samples",
        Kind::SIZE,
        "Most samples of one profile.",
    ),
    sets(
        "validation.max-profile-stacktrace-sample-labels",
        "limits.max_profile_stacktrace_sample_labels",
        Kind::SIZE,
        "Most labels of one sample.",
    ),
    sets(
        "validation.max-profile-stacktrace-depth",
        "limits.max_profile_stacktrace_depth",
        Kind::SIZE,
        "Most frames of one stack, deeper ones are cut at the leaf.",
    ),
    sets(
        "validation.max-profile-symbol-value-length",
        "limits.max_profile_symbol_value_length",
        Kind::SIZE,
        "Longest text in a profile in bytes, longer ones lose their beginning.",
    ),
    sets(
        "distributor.ingestion-tenant-shard-size",
        "limits.ingestion_tenant_shard_size",
        Kind::COUNT,
        "Number of ingesters that a tenant writes to (shuffle sharding); 0 is all.",
    ),
    sets(
        "ingester.max-local-series-per-tenant",
        "limits.max_local_series_per_tenant",
        Kind::SIZE,
        "Most active series of a tenant in one ingester; 0 is no limit.",
    ),
    sets(
        "ingester.max-global-series-per-tenant",
        "limits.max_global_series_per_tenant",
        Kind::SIZE,
        "Most active series of a tenant in the whole cluster; 0 is no limit.",
    ),
    sets(
        "validation.max-sessions-per-series",
        "limits.max_sessions_per_series",
        Kind::COUNT,
        "Number of values of __session_id__ that a series is stored under; 0 drops the label.",
    ),
    sets(
        "distributor.ingestion-relabeling-rules",
        "limits.ingestion_relabeling_rules",
        Kind::Rules,
        "Relabelling rules of Prometheus for the labels of pushed series, as a YAML or JSON list.",
    ),
    sets(
        "distributor.ingestion-relabeling-default-rules-position",
        "limits.ingestion_relabeling_default_rules_position",
        Kind::Choice {
            known: &["first", "last", "disabled"],
            elsewhere: &[],
        },
        "Whether the built-in relabelling rules, for godeltaprof and wall profiles, come first, last or not at all (disabled).",
    ),
    sets(
        "distributor.sample-type-relabeling-rules",
        "limits.sample_type_relabeling_rules",
        Kind::Rules,
        "Rules with the actions keep and drop for single sample types by their series labels, __type__ and __unit__.",
    ),
    sets(
        "validation.reject-older-than",
        "limits.reject_older_than",
        Kind::Duration,
        "Age from which profiles are refused; 0 is never.",
    ),
    sets(
        "validation.reject-newer-than",
        "limits.reject_newer_than",
        Kind::Duration,
        "Time ahead of now from which profiles are refused; 0 is never.",
    ),
    sets(
        "querier.max-query-lookback",
        "limits.max_query_lookback",
        Kind::Duration,
        "How far back queries reach; 0 is no limit.",
    ),
    sets(
        "querier.max-query-length",
        "limits.max_query_length",
        Kind::Duration,
        "Longest time range of one query; 0 is no limit.",
    ),
    sets(
        "querier.max-flamegraph-nodes-default",
        "limits.max_flamegraph_nodes_default",
        Kind::SIZE,
        "Nodes of a flame graph when the query does not say.",
    ),
    sets(
        "querier.max-flamegraph-nodes-max",
        "limits.max_flamegraph_nodes_max",
        Kind::SIZE,
        "Most nodes of a flame graph that a query may ask for; 0 is no limit.",
    ),
];
