//! Settings without a meaning here, in sections of the YAML file that exist here.

use super::{Effect, Kind, Setting};

/// Returns the settings.
pub(super) fn settings() -> impl Iterator<Item = Setting> {
    TABLE.iter().map(|&(flag, path, kind)| Setting {
        flag,
        path,
        kind,
        effect: Effect::Ignored,
        help: in_its_place(flag),
    })
}

fn in_its_place(flag: &str) -> &'static str {
    let known = IN_THEIR_PLACE.iter().find(|(of, _)| *of == flag);
    known.map_or("", |(_, text)| text)
}

/// What is done in the place of settings that ask for more than a detail.
const IN_THEIR_PLACE: &[(&str, &str)] = &[
    (
        "distributor.health-check-ingesters",
        "ingesters are always watched: one that fails or falls silent gets no pushes and is probed until it is back",
    ),
    (
        "distributor.health-check-timeout",
        "an ingester is down after a second of silence with a call open, and a probe waits a second for its answer",
    ),
    (
        "querier.health-check-ingesters",
        "there is no check beside the queries: they go on without ingesters that do not answer, as far as the replication factor allows",
    ),
    (
        "querier.health-check-timeout",
        "a query waits a second for ingesters that it can do without",
    ),
    (
        "storage.gcs.expect-continue-timeout",
        "bodies are sent at once",
    ),
    (
        "storage.gcs.max-idle-connections",
        "all connections go to one host, so -storage.gcs.max-idle-connections-per-host counts",
    ),
    (
        "storage.s3.expect-continue-timeout",
        "bodies are sent at once",
    ),
    (
        "storage.s3.max-idle-connections",
        "all connections go to one host, so -storage.s3.max-idle-connections-per-host counts",
    ),
];

/// Flag, place in the YAML file and kind, by flag.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Kind)] = &[
    ("compactor.blocks-retention-period", "limits.compactor_blocks_retention_period", Kind::Duration),
    ("compactor.compactor-downsampler-enabled", "limits.compactor_downsampler_enabled", Kind::Bool),
    ("compactor.compactor-tenant-shard-size", "limits.compactor_tenant_shard_size", Kind::Int),
    ("compactor.partial-block-deletion-delay", "limits.compactor_partial_block_deletion_delay", Kind::Duration),
    ("compactor.split-and-merge-shards", "limits.compactor_split_and_merge_shards", Kind::Int),
    ("compactor.split-and-merge-stage-size", "limits.compactor_split_and_merge_stage_size", Kind::Int),
    ("compactor.split-groups", "limits.compactor_split_groups", Kind::Int),
    ("config.show_banner", "show_banner", Kind::Bool),
    ("distributor.aggregation-period", "limits.distributor_aggregation_period", Kind::Duration),
    ("distributor.aggregation-window", "limits.distributor_aggregation_window", Kind::Duration),
    ("distributor.client-cleanup-period", "distributor.pool_config.client_cleanup_period", Kind::Duration),
    ("distributor.health-check-ingesters", "distributor.pool_config.health_check_ingesters", Kind::Bool),
    ("distributor.health-check-timeout", "distributor.pool_config.remote_timeout", Kind::Duration),
    ("distributor.ingestion-artificial-delay", "limits.ingestion_artificial_delay", Kind::Duration),
    ("distributor.push.max-concurrency", "limits.push_max_concurrency", Kind::Int),
    ("distributor.sampling.keep-stripped-profiles", "limits.keep_stripped_profiles", Kind::Bool),
    ("ingester.heartbeat-timeout", "ingester.lifecycler.heartbeat_timeout", Kind::Duration),
    ("memberlist.processed-messages-queue-size", "memberlist.processed_messages_queue_size", Kind::Int),
    ("pyroscopedb.max-block-duration", "pyroscopedb.max_block_duration", Kind::Duration),
    ("pyroscopedb.retention-policy-disable", "pyroscopedb.disable_enforcement", Kind::Bool),
    ("pyroscopedb.retention-policy-enforcement-interval", "pyroscopedb.enforcement_interval", Kind::Duration),
    ("pyroscopedb.retention-policy-min-disk-available-percentage", "pyroscopedb.min_disk_available_percentage", Kind::Float),
    ("pyroscopedb.retention-policy-min-free-disk-gb", "pyroscopedb.min_free_disk_gb", Kind::Int),
    ("pyroscopedb.row-group-target-size", "pyroscopedb.row_group_target_size", Kind::Int),
    ("pyroscopedb.symbols-partition-label", "pyroscopedb.symbols_partition_label", Kind::Text),
    ("querier.client-cleanup-period", "querier.pool_config.client_cleanup_period", Kind::Duration),
    ("querier.health-check-ingesters", "querier.pool_config.health_check_ingesters", Kind::Bool),
    ("querier.health-check-timeout", "querier.pool_config.remote_timeout", Kind::Duration),
    ("querier.max-flamegraph-nodes-on-select-merge-profile", "limits.max_flamegraph_nodes_on_select_merge_profile", Kind::Bool),
    ("querier.max-query-parallelism", "limits.max_query_parallelism", Kind::Int),
    ("querier.query-analysis-enabled", "limits.query_analysis_enabled", Kind::Bool),
    ("querier.query-analysis-series-enabled", "limits.query_analysis_series_enabled", Kind::Bool),
    ("querier.query-store-after", "querier.query_store_after", Kind::Duration),
    ("querier.query-tree-enabled", "limits.query_tree_enabled", Kind::Bool),
    ("querier.sanitize-on-merge", "limits.query_sanitize_on_merge", Kind::Bool),
    ("querier.split-queries-by-interval", "limits.split_queries_by_interval", Kind::Duration),
    ("self-profiling.block-profile-rate", "self_profiling.block_profile_rate", Kind::Int),
    ("self-profiling.disable-push", "self_profiling.disable_push", Kind::Bool),
    ("self-profiling.mutex-profile-fraction", "self_profiling.mutex_profile_fraction", Kind::Int),
    ("self-profiling.tenant-id", "self_profiling.tenant_id", Kind::Text),
    ("self-profiling.use-k6-middleware", "self_profiling.use_k6_middleware", Kind::Bool),
    ("server.create-new-traces", "server.create_new_traces", Kind::Bool),
    ("server.grpc-collect-max-streams-by-conn", "server.grpc_collect_max_streams_by_conn", Kind::Bool),
    ("server.grpc-conn-limit", "server.grpc_listen_conn_limit", Kind::Int),
    ("server.grpc-listen-address", "server.grpc_listen_address", Kind::Text),
    ("server.grpc-listen-network", "server.grpc_listen_network", Kind::Text),
    ("server.grpc-listen-port", "server.grpc_listen_port", Kind::Int),
    ("server.grpc-max-concurrent-streams", "server.grpc_server_max_concurrent_streams", Kind::Int),
    ("server.grpc-max-send-msg-size-bytes", "server.grpc_server_max_send_msg_size", Kind::Int),
    ("server.grpc.keepalive.min-time-between-pings", "server.grpc_server_min_time_between_pings", Kind::Duration),
    ("server.grpc.keepalive.ping-without-stream-allowed", "server.grpc_server_ping_without_stream_allowed", Kind::Bool),
    ("server.grpc.keepalive.time", "server.grpc_server_keepalive_time", Kind::Duration),
    ("server.grpc.keepalive.timeout", "server.grpc_server_keepalive_timeout", Kind::Duration),
    ("server.grpc.num-workers", "server.grpc_server_num_workers", Kind::Int),
    ("server.grpc.read-buffer-size-bytes", "server.grpc_server_read_buffer_size", Kind::Int),
    ("server.grpc.recv-buffer-pools-enabled", "server.grpc_server_recv_buffer_pools_enabled", Kind::Bool),
    ("server.grpc.stats-tracking-enabled", "server.grpc_server_stats_tracking_enabled", Kind::Bool),
    ("server.grpc.write-buffer-size-bytes", "server.grpc_server_write_buffer_size", Kind::Int),
    ("server.http-log-closed-connections-without-response-enabled", "server.http_log_closed_connections_without_response_enabled", Kind::Bool),
    ("server.http-read-header-timeout", "server.http_server_read_header_timeout", Kind::Duration),
    ("server.http-write-timeout", "server.http_server_write_timeout", Kind::Duration),
    ("server.log-request-at-info-level-enabled", "server.log_request_at_info_level_enabled", Kind::Bool),
    ("server.log-request-headers", "server.log_request_headers", Kind::Bool),
    ("server.log-request-headers-exclude-list", "server.log_request_exclude_headers_list", Kind::Text),
    ("server.log-source-ips-enabled", "server.log_source_ips_enabled", Kind::Bool),
    ("server.log-source-ips-full", "server.log_source_ips_full", Kind::Bool),
    ("server.log-source-ips-header", "server.log_source_ips_header", Kind::Text),
    ("server.log-source-ips-regex", "server.log_source_ips_regex", Kind::Text),
    ("server.register-instrumentation", "server.register_instrumentation", Kind::Bool),
    ("server.report-grpc-codes-in-instrumentation-label-enabled", "server.report_grpc_codes_in_instrumentation_label_enabled", Kind::Bool),
    ("server.throughput.latency-cutoff", "server.throughput.throughput_latency_cutoff", Kind::Duration),
    ("server.throughput.unit", "server.throughput.throughput_unit", Kind::Text),
    ("server.tls-cipher-suites", "server.tls_cipher_suites", Kind::Text),
    ("server.tls-min-version", "server.tls_min_version", Kind::Text),
    ("server.trace-request-headers", "server.trace_request_headers", Kind::Bool),
    ("server.trace-request-headers-exclude-list", "server.trace_request_exclude_headers_list", Kind::Text),
    ("storage.gcs.expect-continue-timeout", "storage.gcs.http.expect_continue_timeout", Kind::Duration),
    ("storage.gcs.max-idle-connections", "storage.gcs.http.max_idle_connections", Kind::Int),
    ("storage.s3.expect-continue-timeout", "storage.s3.http.expect_continue_timeout", Kind::Duration),
    ("storage.s3.max-idle-connections", "storage.s3.http.max_idle_connections", Kind::Int),
    ("store-gateway.tenant-shard-size", "limits.store_gateway_tenant_shard_size", Kind::Int),
    ("tracing.enabled", "tracing.enabled", Kind::Bool),
    ("tracing.profiling-enabled", "tracing.profiling_enabled", Kind::Bool),
    ("validation.disable-label-sanitization", "limits.disable_label_sanitization", Kind::Bool),
    ("validation.enforce-labels-order", "limits.enforce_labels_order", Kind::Bool),
];
