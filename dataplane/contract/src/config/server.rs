//! Settings of the listener and of logging.

use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::ports;

/// What Grafana Pyroscope calls forever: the longest duration of Go.
const FOREVER: Duration = Duration::LONGEST;

/// The listener for HTTP and gRPC, and logging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address to listen on; empty is every address.
    pub http_listen_address: String,
    /// Port of HTTP and gRPC (h2c).
    pub http_listen_port: u16,
    /// Most connections at once; 0 is no limit.
    pub http_listen_conn_limit: u32,
    /// How long requests in flight may take to end when the process stops.
    pub graceful_shutdown_timeout: Duration,
    /// Longest time to read a request.
    pub http_server_read_timeout: Duration,
    /// How long an HTTP/1 connection may have no request, and one of HTTP/2 none open, before it is
    /// closed; 0 is forever.
    pub http_server_idle_timeout: Duration,
    /// Age from which connections are closed between requests; 0 is never.
    pub http_server_max_connection_age: Duration,
    /// As `http_server_max_connection_age`, for HTTP/2 alone.
    pub grpc_server_max_connection_age: Duration,
    /// How long requests of an HTTP/2 connection that is too old may take to end.
    pub grpc_server_max_connection_age_grace: Duration,
    /// As `http_server_idle_timeout`, for HTTP/2 alone.
    pub grpc_server_max_connection_idle: Duration,
    /// Largest gRPC message that is read, in bytes.
    pub grpc_server_max_recv_msg_size: u64,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Least severity that is logged.
    pub log_level: LogLevel,
    /// Whether metrics of rings and gossip have the names of Phlare as well.
    pub phlare_metric_names: bool,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Severity of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What an engineer needs to follow single requests.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may need a look.
    Warn,
    /// What failed.
    Error,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            http_listen_address: String::new(),
            http_listen_port: ports::HTTP,
            http_listen_conn_limit: 0,
            graceful_shutdown_timeout: Duration::from_secs(30),
            http_server_read_timeout: Duration::from_secs(30),
            http_server_idle_timeout: Duration::from_secs(120),
            http_server_max_connection_age: Duration::from_secs(300),
            grpc_server_max_connection_age: FOREVER,
            grpc_server_max_connection_age_grace: FOREVER,
            grpc_server_max_connection_idle: FOREVER,
            grpc_server_max_recv_msg_size: 100 << 20,
            log_format: LogFormat::Logfmt,
            log_level: LogLevel::Info,
            phlare_metric_names: false,
        }
    }
}
