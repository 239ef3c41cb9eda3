//! From the configuration to what each component takes.

mod gossip;
mod replication;
mod ring;

use std::net::{IpAddr, SocketAddr};

use ::ring::{Op, Ring};
use anyhow::{Context as _, Result};
use contract::Config;

use crate::{admission::Bounds, http, ring_view::unix_seconds};

pub(crate) use gossip::gossip;
pub(crate) use replication::{push_bounds, replication};
pub(crate) use ring::{
    distributor_entry, distributor_registration, distributor_ring, ingester_registration,
    lifecycler, ring,
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Connections served at once when the configuration sets no limit.
const MAX_CONNECTIONS: usize = 10_000;

/// Least room for the bodies of open requests, in bytes.
const MIN_OPEN_BYTES: usize = 64 << 20;

/// Returns the address of the HTTP listener.
pub(crate) fn http_address(config: &Config) -> String {
    address(
        &config.server.http_listen_address,
        config.server.http_listen_port,
    )
}

/// Returns the addresses of the gossip listeners.
///
/// # Errors
///
/// Fails when one is no IP address.
pub(crate) fn gossip_addresses(config: &Config) -> Result<Vec<SocketAddr>> {
    let port = config.memberlist.bind_port;
    let hosts = config.memberlist.bind_addr.iter().map(String::as_str);
    let any = config.memberlist.bind_addr.is_empty().then_some("0.0.0.0");
    any.into_iter()
        .chain(hosts)
        .map(|host| {
            let ip: IpAddr = host
                .parse()
                .with_context(|| format!("-memberlist.bind-addr {host:?} is not an IP address"))?;
            Ok(SocketAddr::new(ip, port))
        })
        .collect()
}

fn address(host: &str, port: u16) -> String {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the limits of the HTTP server.
pub(crate) fn http_limits(config: &Config) -> http::Limits {
    let connections = config.server.http_listen_conn_limit as usize;
    http::Limits {
        max_connections: if connections == 0 {
            MAX_CONNECTIONS
        } else {
            connections
        },
        first_byte_timeout: config.server.http_server_read_timeout.get(),
        lifetimes: http::Lifetimes {
            head: config.server.http_server_read_timeout.get(),
            idle: config.server.http_server_idle_timeout.get(),
            age: config.server.http_server_max_connection_age.get(),
            http2_idle: config.server.grpc_server_max_connection_idle.get(),
            http2_age: config.server.grpc_server_max_connection_age.get(),
            http2_grace: config.server.grpc_server_max_connection_age_grace.get(),
        },
        graceful_shutdown_timeout: config.server.graceful_shutdown_timeout.get(),
    }
}

/// Returns the largest message between components, in bytes.
pub(crate) fn max_message_bytes(config: &Config) -> usize {
    usize::try_from(config.server.grpc_server_max_recv_msg_size).unwrap_or(usize::MAX)
}

/// Returns the largest request body, in bytes.
pub(crate) fn max_body_bytes(config: &Config) -> usize {
    (config.limits.ingestion_body_limit_mb * MEBIBYTE) as usize
}

/// Returns how much ingesters and queriers each work on at once: two of the
/// largest bodies, one of them compressed, or many of the usual ones.
pub(crate) fn inner_bounds(config: &Config) -> Bounds {
    Bounds {
        requests: 0,
        bytes: max_body_bytes(config).saturating_mul(2).max(MIN_OPEN_BYTES),
    }
}

/// Says why writes would fail, if they would.
///
/// # Errors
///
/// The reason, for people.
pub(crate) fn check_quorum(ring: &Ring) -> Result<(), String> {
    let healthy = ring.healthy(Op::WriteNoExtend, unix_seconds()).count();
    let needed = contract::quorum(ring.config().replication_factor);
    if healthy >= needed {
        return Ok(());
    }
    Err(format!(
        "the ring has {healthy} active ingesters and a quorum needs {needed}"
    ))
}

/// Returns the settings of the database.
pub(crate) fn store(config: &Config) -> store::Options {
    store::Options {
        max_head_bytes: config.ingester.max_head_bytes,
        ..store::Options::default()
    }
}
