//! What rings and this process's entries in them take from the configuration;
//! pure, but for the host's name and addresses.

use std::{net::IpAddr, path::Path};

use ::ring::{AutoForgetConfig, BasicLifecyclerConfig, LifecyclerConfig, RingConfig};
use anyhow::{Context as _, Result};
use contract::Config;

use super::address;
use crate::lifecycle::Registration;

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
        ring_file: Some(Path::new(&config.pyroscopedb.data_path).join("ring")),
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
        ring_file: None,
        unregisters: true,
        auto_forget: AutoForgetConfig {
            period: timeout.saturating_mul(DISTRIBUTOR_FORGET_PERIODS),
            heartbeat_timeout: timeout,
            most_unhealthy: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVERTISED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn an_entry_has_the_address_of_gossip_unless_told_otherwise() {
        let mut config = Config::default();
        let addr = |config: &Config| distributor_entry(config, ADVERTISED, 4040).map(|e| e.addr);
        assert_eq!(addr(&config).unwrap(), "10.0.0.1:4040");
        config.distributor.ring.instance_interface_names = vec!["lo".to_owned()];
        config.distributor.ring.instance_port = 80;
        assert_eq!(addr(&config).unwrap(), "127.0.0.1:80");
        config.distributor.ring.instance_interface_names = vec!["no-such".to_owned()];
        assert!(addr(&config).unwrap_err().to_string().contains("no-such"));
        config.distributor.ring.instance_addr = "::1".to_owned();
        config.distributor.ring.instance_id = "d-1".to_owned();
        let entry = distributor_entry(&config, ADVERTISED, 4040).unwrap();
        assert_eq!(
            (entry.addr.as_str(), entry.id.as_str()),
            ("[::1]:80", "d-1")
        );
        assert_eq!(entry.num_tokens, 1);
    }

    #[test]
    fn forgetting_waits_for_as_many_as_a_write_tolerates() {
        let mut config = Config::default();
        config.ingester.lifecycler.ring.replication_factor = 3;
        assert!(ingester_registration(&config).auto_forget.period.is_zero());
        config.ingester.auto_forget_unhealthy_periods = 5;
        let rule = ingester_registration(&config).auto_forget;
        assert_eq!((rule.period.as_secs(), rule.most_unhealthy), (300, Some(1)));
        let rule = distributor_registration(&config).auto_forget;
        assert_eq!((rule.period.as_secs(), rule.most_unhealthy), (600, None));
    }
}
