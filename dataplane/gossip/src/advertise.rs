//! Under which name and address peers know this node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use memberlist::Address;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::{Config, GossipError};

/// Chooses the address that peers dial.
///
/// As in dskit, an address that was set or found is announced in 16 bytes and
/// an explicitly bound IPv4 address in 4; peers take the two forms for
/// different addresses.
pub(crate) fn address(
    config: &Config,
    bound: SocketAddr,
    host_addresses: &[IpAddr],
) -> Result<Address, GossipError> {
    let port = match config.advertise_port {
        0 => bound.port(),
        port => port,
    };
    if !config.advertise_addr.is_empty() {
        return config
            .advertise_addr
            .parse()
            .map(|ip| Address::v16(ip, port))
            .map_err(|_| {
                GossipError::invalid(
                    "advertise-addr",
                    format!("{:?} is not an IP address", config.advertise_addr),
                )
            });
    }
    match bound.ip() {
        ip if ip.is_unspecified() => host_addresses
            .iter()
            .copied()
            .filter(|ip| !is_link_local(*ip))
            .min_by_key(|ip| rank(*ip, bound.is_ipv6()))
            .map(|ip| Address::v16(ip, port))
            .ok_or(GossipError::NoAdvertiseAddress),
        IpAddr::V4(ip) => Ok(Address::v4(ip.octets(), port)),
        ip @ IpAddr::V6(_) => Ok(Address::v16(ip, port)),
    }
}

/// Lists the addresses of the host's interfaces that are up.
pub(crate) fn host_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces
            .into_iter()
            .filter(if_addrs::Interface::is_oper_up)
            .map(|interface| interface.ip())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list network interfaces");
            Vec::new()
        }
    }
}

/// Chooses the node's name.
pub(crate) fn node_name(config: &Config, random: &mut StdRng) -> Result<String, GossipError> {
    let base = if config.node_name.is_empty() {
        hostname()?
    } else {
        config.node_name.clone()
    };
    Ok(if config.randomize_node_name {
        format!("{base}-{:08x}", random.random::<u32>())
    } else {
        base
    })
}

fn hostname() -> Result<String, GossipError> {
    let name = nix::unistd::gethostname().map_err(|error| GossipError::Hostname(error.into()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Orders candidates: the wanted family first, private before public, and
/// loopback only when there is nothing else.
fn rank(ip: IpAddr, prefer_v6: bool) -> (bool, bool, bool) {
    (ip.is_loopback(), ip.is_ipv6() != prefer_v6, !is_private(ip))
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// Carrier-grade NAT, RFC 6598; some clouds give it to pods.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && (64..128).contains(&second)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn chosen(config: &Config, bound: &str, host: &[&str]) -> Result<String, GossipError> {
        let host: Vec<IpAddr> = host.iter().map(|ip| ip.parse().unwrap()).collect();
        address(config, bound.parse().unwrap(), &host).map(|address| address.to_string())
    }

    #[test]
    fn an_explicit_address_wins_and_keeps_the_listeners_port() {
        let config = Config {
            advertise_addr: "192.0.2.7".into(),
            ..Config::default()
        };
        let address = chosen(&config, "0.0.0.0:7946", &["10.0.0.1"]).unwrap();
        assert_eq!(address, "192.0.2.7:7946");
    }

    #[test]
    fn a_bound_address_is_announced_in_4_bytes_and_a_found_one_in_16() {
        let config = Config::default();
        let bound = address(&config, "127.0.0.1:1".parse().unwrap(), &[]).unwrap();
        assert_eq!(bound, Address::v4([127, 0, 0, 1], 1));
        let host = ["10.0.0.1".parse().unwrap()];
        let found = address(&config, "0.0.0.0:1".parse().unwrap(), &host).unwrap();
        assert_eq!(found, Address::v16(host[0], 1));
    }

    #[test]
    fn private_addresses_come_first_and_loopback_last() {
        let config = Config::default();
        let all = ["127.0.0.1", "169.254.1.1", "8.8.8.8", "fd00::1", "10.1.2.3"];
        assert_eq!(
            chosen(&config, "0.0.0.0:1", &all).unwrap(),
            "10.1.2.3:1",
            "private IPv4"
        );
        assert_eq!(
            chosen(&config, "0.0.0.0:1", &all[..3]).unwrap(),
            "8.8.8.8:1"
        );
        assert_eq!(
            chosen(&config, "0.0.0.0:1", &all[..1]).unwrap(),
            "127.0.0.1:1"
        );
        assert_eq!(chosen(&config, "[::]:1", &all).unwrap(), "[fd00::1]:1");
        assert!(chosen(&config, "0.0.0.0:1", &[]).is_err());
    }

    #[test]
    fn a_hostname_is_no_address() {
        let config = Config {
            advertise_addr: "localhost".into(),
            ..Config::default()
        };
        let error = chosen(&config, "0.0.0.0:1", &[]).unwrap_err().to_string();
        assert!(error.contains("advertise-addr"), "{error}");
    }

    #[test]
    fn names_are_randomized_on_demand() {
        let mut random = StdRng::seed_from_u64(1);
        let mut config = Config {
            node_name: "pod-0".into(),
            ..Config::default()
        };
        let name = node_name(&config, &mut random).unwrap();
        assert_eq!(name.len(), "pod-0-".len() + 8);
        assert_ne!(name, node_name(&config, &mut random).unwrap());
        config.randomize_node_name = false;
        assert_eq!(node_name(&config, &mut random).unwrap(), "pod-0");
    }
}
