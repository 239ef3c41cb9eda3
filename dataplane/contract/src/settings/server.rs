//! Settings of the listener and of logging.

use super::{Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "server.http-listen-address",
        "server.http_listen_address",
        Kind::Text,
        "Address on which HTTP and gRPC are served; empty is every address.",
    ),
    sets(
        "server.http-listen-port",
        "server.http_listen_port",
        Kind::PORT,
        "Port on which HTTP and gRPC (h2c) are served; 0 takes a free one.",
    ),
    sets(
        "server.http-conn-limit",
        "server.http_listen_conn_limit",
        Kind::COUNT,
        "Most connections at once; 0 is no limit.",
    ),
    sets(
        "server.graceful-shutdown-timeout",
        "server.graceful_shutdown_timeout",
        Kind::Duration,
        "How long requests in flight may take to end when the process stops.",
    ),
    sets(
        "server.http-read-timeout",
        "server.http_server_read_timeout",
        Kind::Duration,
        "Longest time to read a request.",
    ),
    sets(
        "server.http-idle-timeout",
        "server.http_server_idle_timeout",
        Kind::Duration,
        "How long a connection may have no request before it is closed; 0 is forever.",
    ),
    sets(
        "server.http-max-connection-age",
        "server.http_server_max_connection_age",
        Kind::Duration,
        "Age, give or take a tenth, from which a connection ends with its next answer, so that load balancers spread clients anew; no request is cut off. 0 is never. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "server.grpc.keepalive.max-connection-age",
        "server.grpc_server_max_connection_age",
        Kind::Duration,
        "As -server.http-max-connection-age, for HTTP/2 and so for gRPC alone; the shorter one holds.",
    ),
    sets(
        "server.grpc.keepalive.max-connection-age-grace",
        "server.grpc_server_max_connection_age_grace",
        Kind::Duration,
        "How long the requests of an HTTP/2 connection that is too old may take to end; then they are cut off.",
    ),
    sets(
        "server.grpc.keepalive.max-connection-idle",
        "server.grpc_server_max_connection_idle",
        Kind::Duration,
        "As -server.http-idle-timeout, for HTTP/2 and so for gRPC alone; the shorter one holds.",
    ),
    sets(
        "server.grpc-max-recv-msg-size-bytes",
        "server.grpc_server_max_recv_msg_size",
        Kind::SIZE,
        "Largest gRPC message that is read, in bytes.",
    ),
    sets(
        "log.format",
        "server.log_format",
        Kind::Choice {
            known: &["logfmt", "json"],
            elsewhere: &[],
        },
        "Form of log lines: logfmt or json.",
    ),
    sets(
        "log.level",
        "server.log_level",
        Kind::Choice {
            known: &["debug", "info", "warn", "error"],
            elsewhere: &[],
        },
        "Least severity that is logged: debug, info, warn or error.",
    ),
    sets(
        "server.phlare-metric-names",
        "server.phlare_metric_names",
        Kind::Bool,
        "Emits the metrics of rings and gossip as phlare_… as well, for dashboards of Pyroscope's predecessor. Not a flag of Grafana Pyroscope.",
    ),
];
