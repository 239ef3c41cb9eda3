//! From the configuration to what each component takes; pure, but for the
//! host's name and addresses.

mod gossip;

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use contract::Config;
use profile::{LabelLimits, pprof};
use ring::{AutoForgetConfig, BasicLifecyclerConfig, LifecyclerConfig, Op, Ring, RingConfig};

use crate::{
    distributor, http, ingester::SeriesLimits, lifecycle::Registration, querier,
    ring_view::unix_seconds,
};

pub(crate) use gossip::gossip;

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
        read_header_timeout: config.server.http_server_read_timeout.get(),
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

/// Returns how many bytes the bodies of all open requests may take: two of the
/// largest, one of them compressed, or many of the usual ones.
pub(crate) fn max_open_bytes(config: &Config) -> usize {
    max_body_bytes(config).saturating_mul(2).max(MIN_OPEN_BYTES)
}

/// Returns how the ring is read.
pub(crate) fn ring(config: &Config) -> RingConfig {
    let ring = &config.ingester.lifecycler.ring;
    RingConfig {
        replication_factor: ring.replication_factor,
        heartbeat_timeout: ring.heartbeat_timeout.get(),
        zone_awareness: ring.zone_awareness_enabled,
        excluded_zones: ring.excluded_zones.0.clone(),
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

/// Returns how the ring of distributors is read.
pub(crate) fn distributor_ring(config: &Config) -> RingConfig {
    RingConfig {
        heartbeat_timeout: config.distributor.ring.heartbeat_timeout.get(),
        ..RingConfig::default()
    }
}

/// Returns the settings of this process's entry in the ring of ingesters.
/// Unless told otherwise, the process is reached at the `advertised` address of
/// its gossip and the `http_port` where it listens.
///
/// # Errors
///
/// Fails when the host's name or the address of an interface cannot be found.
pub(crate) fn lifecycler(
    config: &Config,
    advertised: IpAddr,
    http_port: u16,
) -> Result<LifecyclerConfig> {
    let lifecycler = &config.ingester.lifecycler;
    let entry = Entry {
        id: &lifecycler.id,
        addr: &lifecycler.address,
        port: lifecycler.port,
        interfaces: &lifecycler.interface_names,
        inet6: lifecycler.enable_inet6,
    };
    Ok(LifecyclerConfig {
        zone: lifecycler.availability_zone.clone(),
        num_tokens: lifecycler.num_tokens,
        heartbeat_period: lifecycler.heartbeat_period.get(),
        heartbeat_timeout: lifecycler.ring.heartbeat_timeout.get(),
        observe_period: lifecycler.observe_period.get(),
        join_after: lifecycler.join_after.get(),
        min_ready_duration: lifecycler.min_ready_duration.get(),
        final_sleep: lifecycler.final_sleep.get(),
        unregister_on_shutdown: lifecycler.unregister_on_shutdown,
        readiness_check_ring_health: lifecycler.readiness_check_ring_health,
        ..LifecyclerConfig::new(entry.id()?, entry.addr(advertised, http_port)?)
    })
}

/// Returns the settings of this process's entry in the ring of distributors,
/// as [`lifecycler`] does.
///
/// # Errors
///
/// Fails when the host's name or the address of an interface cannot be found.
pub(crate) fn distributor_entry(
    config: &Config,
    advertised: IpAddr,
    http_port: u16,
) -> Result<BasicLifecyclerConfig> {
    let ring = &config.distributor.ring;
    let entry = Entry {
        id: &ring.instance_id,
        addr: &ring.instance_addr,
        port: ring.instance_port,
        interfaces: &ring.instance_interface_names,
        inet6: ring.instance_enable_ipv6,
    };
    Ok(BasicLifecyclerConfig {
        heartbeat_period: ring.heartbeat_period.get(),
        ..BasicLifecyclerConfig::new(entry.id()?, entry.addr(advertised, http_port)?)
    })
}

/// How an instance is called and reached, as configured.
struct Entry<'a> {
    id: &'a str,
    addr: &'a str,
    port: u16,
    interfaces: &'a [String],
    inet6: bool,
}

impl Entry<'_> {
    fn id(&self) -> Result<String> {
        if !self.id.is_empty() {
            return Ok(self.id.to_owned());
        }
        nix::unistd::gethostname()
            .context("cannot read the host name")?
            .into_string()
            .ok()
            .context("the host name is not UTF-8; set the ID of the instance in the ring")
    }

    fn addr(&self, advertised: IpAddr, http_port: u16) -> Result<String> {
        let host = if !self.addr.is_empty() {
            self.addr.to_owned()
        } else if self.interfaces.is_empty() {
            advertised.to_string()
        } else {
            self.interface_addr()?.to_string()
        };
        let port = if self.port == 0 { http_port } else { self.port };
        Ok(address(&host, port))
    }

    /// Returns the first address of the interfaces, link-local ones last.
    fn interface_addr(&self) -> Result<IpAddr> {
        let all = if_addrs::get_if_addrs().context("cannot list the interfaces")?;
        let addrs = all
            .iter()
            .filter(|found| self.interfaces.contains(&found.name))
            .filter(|found| self.inet6 || found.ip().is_ipv4());
        let rank = |found: &&if_addrs::Interface| {
            let wanted = self.interfaces.iter().position(|name| *name == found.name);
            (
                found.is_link_local(),
                wanted,
                found.ip().is_ipv4() && self.inet6,
            )
        };
        addrs
            .min_by_key(rank)
            .map(if_addrs::Interface::ip)
            .with_context(|| {
                format!(
                    "none of the interfaces {:?} has an address",
                    self.interfaces
                )
            })
    }
}

/// Returns where this process registers as an ingester.
pub(crate) fn ingester_registration(config: &Config) -> Registration {
    let lifecycler = &config.ingester.lifecycler;
    let timeout = lifecycler.ring.heartbeat_timeout.get();
    let replicas = lifecycler.ring.replication_factor;
    Registration {
        ring: "ingester",
        ring_key: lifecycler.ring.kvstore.ingester_ring_key(),
        tokens_file: (!lifecycler.tokens_file_path.is_empty())
            .then(|| lifecycler.tokens_file_path.clone().into()),
        unregisters: lifecycler.unregister_on_shutdown,
        auto_forget: AutoForgetConfig {
            period: timeout.saturating_mul(config.ingester.auto_forget_unhealthy_periods),
            heartbeat_timeout: timeout,
            most_unhealthy: Some(replicas - contract::quorum(replicas).min(replicas)),
        },
    }
}

/// Heartbeat timeouts after which a dead distributor is forgotten.
const DISTRIBUTOR_FORGET_PERIODS: u32 = 10;

/// Returns where this process registers as a distributor.
pub(crate) fn distributor_registration(config: &Config) -> Registration {
    let ring = &config.distributor.ring;
    let timeout = ring.heartbeat_timeout.get();
    Registration {
        ring: "distributor",
        ring_key: ring.kvstore.distributor_ring_key(),
        tokens_file: None,
        unregisters: true,
        auto_forget: AutoForgetConfig {
            period: timeout.saturating_mul(DISTRIBUTOR_FORGET_PERIODS),
            heartbeat_timeout: timeout,
            most_unhealthy: None,
        },
    }
}

/// Returns the settings of the database.
pub(crate) fn store(config: &Config) -> store::Options {
    store::Options {
        max_head_bytes: config.ingester.max_head_bytes,
        ..store::Options::default()
    }
}

/// Returns how many series a tenant may have.
pub(crate) fn series_limits(config: &Config) -> SeriesLimits {
    SeriesLimits {
        local: config.limits.max_local_series_per_tenant,
        global: config.limits.max_global_series_per_tenant,
    }
}

/// Returns what pushes are accepted.
pub(crate) fn push_limits(config: &Config) -> distributor::Limits {
    let limits = &config.limits;
    distributor::Limits {
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
    }
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns how fast a tenant may push.
pub(crate) fn rate(config: &Config) -> distributor::Rate {
    distributor::Rate {
        bytes_per_second: config.limits.ingestion_rate_mb * MEBIBYTE,
        burst_bytes: config.limits.ingestion_burst_size_mb * MEBIBYTE,
    }
}

/// Returns what queries are accepted.
pub(crate) fn query_limits(config: &Config) -> querier::Limits {
    let limits = &config.limits;
    querier::Limits {
        max_query_length: limits.max_query_length.get(),
        max_query_lookback: limits.max_query_lookback.get(),
        default_nodes: limits.max_flamegraph_nodes_default,
        max_nodes: limits.max_flamegraph_nodes_max,
    }
}
