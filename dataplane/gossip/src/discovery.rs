//! Seeds: what `-memberlist.join` may say, and the addresses behind it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{IntoName, Name, RData};
use hickory_resolver::{Resolver, TokioResolver, system_conf};
use thiserror::Error;

use crate::GossipError;

/// How long one DNS lookup may take, retries included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to find members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// An address.
    Address(SocketAddr),
    /// `host[:port]` and `dns+host:port`: all A and AAAA records.
    Host { host: String, port: u16 },
    /// `dnssrv+name` and `dnssrvnoa+name`: the addresses of all targets, with
    /// the port of the SRV record unless the seed names one. (dskit resolves
    /// the targets of the second form only when it dials them; since every
    /// attempt resolves anew here, the two are the same.)
    Service { name: String, port: Option<u16> },
}

impl Seed {
    /// Parses a seed as users write it.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, GossipError> {
        let (kind, place) = text.split_once('+').unwrap_or(("", text));
        let (host, port) = split_port(place)
            .ok_or_else(|| GossipError::invalid("join", format!("{text:?} has a bad port")))?;
        if host.is_empty() || (host.parse::<IpAddr>().is_err() && host.into_name().is_err()) {
            let reason = format!("{text:?} names no valid host");
            return Err(GossipError::invalid("join", reason));
        }
        let host_port = port.unwrap_or(default_port);
        match (kind, host.parse::<IpAddr>()) {
            ("" | "dns", Ok(ip)) => Ok(Self::Address(SocketAddr::new(ip, host_port))),
            ("" | "dns", Err(_)) => Ok(Self::Host {
                host: host.to_owned(),
                port: host_port,
            }),
            ("dnssrv" | "dnssrvnoa", _) => Ok(Self::Service {
                name: host.to_owned(),
                port,
            }),
            _ => Err(GossipError::invalid(
                "join",
                format!("{text:?} has unknown kind {kind:?}, use dns, dnssrv or dnssrvnoa"),
            )),
        }
    }
}

/// Why a seed has no address now. It may have one later: the service or the
/// pods behind a name can be younger than this process.
#[derive(Debug, Error)]
pub(crate) enum DiscoveryError {
    #[error("lookup failed: {0}")]
    Lookup(#[from] NetError),
    #[error("lookup timed out")]
    Timeout,
}

/// Looks seeds up with `/etc/hosts` and the name servers and search domains of
/// `/etc/resolv.conf`.
///
/// The C library is not involved, because its resolver does not work in a
/// static binary. Nothing is cached: both files and all records are read anew
/// for each attempt.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    name_service: NameService,
}

#[derive(Clone, Debug)]
enum NameService {
    System,
    #[cfg(test)]
    Fixed(ResolverConfig),
}

impl Discovery {
    pub(crate) fn new() -> Self {
        Self {
            name_service: NameService::System,
        }
    }

    /// Returns the addresses of all seeds that have any now; says in the log
    /// which have none.
    pub(crate) async fn resolve(&self, seeds: &[Seed]) -> BTreeSet<SocketAddr> {
        let mut found = BTreeSet::new();
        for seed in seeds {
            match self.resolve_one(seed).await {
                Ok(addresses) => found.extend(addresses),
                Err(error) => tracing::info!(?seed, %error, "seed has no address yet"),
            }
        }
        found
    }

    async fn resolve_one(&self, seed: &Seed) -> Result<Vec<SocketAddr>, DiscoveryError> {
        match seed {
            Seed::Address(address) => Ok(vec![*address]),
            Seed::Host { host, port } => {
                let name = host.as_str().into_name().map_err(NetError::from)?;
                let ips = lookup_ip(&self.resolver()?, name).await?;
                Ok(with_port(ips, *port).collect())
            }
            Seed::Service { name, port } => self.resolve_service(name, *port).await,
        }
    }

    async fn resolve_service(
        &self,
        name: &str,
        port: Option<u16>,
    ) -> Result<Vec<SocketAddr>, DiscoveryError> {
        let resolver = self.resolver()?;
        let answer = within_timeout(resolver.srv_lookup(name)).await?;
        let mut addresses = Vec::new();
        for record in answer.answers() {
            let RData::SRV(service) = &record.data else {
                continue;
            };
            match lookup_ip(&resolver, service.target.clone()).await {
                Ok(ips) => addresses.extend(with_port(ips, port.unwrap_or(service.port))),
                // The others may do: a pod can be gone before its record is.
                Err(error) => {
                    tracing::debug!(target = %service.target, %error, "service target has no address");
                }
            }
        }
        Ok(addresses)
    }

    fn resolver(&self) -> Result<TokioResolver, DiscoveryError> {
        let (config, mut options) = match &self.name_service {
            // Without name servers there still is /etc/hosts.
            NameService::System => system_conf::read_system_conf()
                .unwrap_or_else(|_| (ResolverConfig::default(), ResolverOpts::default())),
            #[cfg(test)]
            NameService::Fixed(config) => (config.clone(), ResolverOpts::default()),
        };
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options)
                .build()?,
        )
    }
}

async fn lookup_ip(resolver: &TokioResolver, host: Name) -> Result<Vec<IpAddr>, DiscoveryError> {
    let answer = within_timeout(resolver.lookup_ip(host)).await?;
    Ok(answer.iter().collect())
}

async fn within_timeout<T>(
    lookup: impl Future<Output = Result<T, NetError>>,
) -> Result<T, DiscoveryError> {
    tokio::time::timeout(LOOKUP_TIMEOUT, lookup)
        .await
        .map_err(|_| DiscoveryError::Timeout)?
        .map_err(DiscoveryError::from)
}

fn with_port(ips: Vec<IpAddr>, port: u16) -> impl Iterator<Item = SocketAddr> {
    ips.into_iter().map(move |ip| SocketAddr::new(ip, port))
}

/// Splits `host:port`, `host`, `[v6]:port`, `[v6]` or `v6`; `None` when what
/// follows the host is no port.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    if place.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((place, None));
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, (!rest.is_empty()).then(|| rest.strip_prefix(':')))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(Some(port))),
            None => (place, None),
        },
    };
    match port {
        None => Some((host, None)),
        Some(port) => Some((host, Some(port?.parse().ok().filter(|port| *port > 0)?))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::op::{Message, MessageType, Metadata, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    fn parse(text: &str) -> Result<Seed, String> {
        Seed::parse(text, 7946).map_err(|error| error.to_string())
    }

    fn host(host: &str, port: u16) -> Result<Seed, String> {
        Ok(Seed::Host {
            host: host.into(),
            port,
        })
    }

    fn service(name: &str, port: Option<u16>) -> Result<Seed, String> {
        Ok(Seed::Service {
            name: name.into(),
            port,
        })
    }

    #[test]
    fn seeds_parse_as_users_write_them() {
        assert_eq!(
            parse("10.0.0.1"),
            Ok(Seed::Address("10.0.0.1:7946".parse().unwrap()))
        );
        assert_eq!(
            parse("[::1]:80"),
            Ok(Seed::Address("[::1]:80".parse().unwrap()))
        );
        assert_eq!(
            parse("::1"),
            Ok(Seed::Address("[::1]:7946".parse().unwrap()))
        );
        assert_eq!(parse("seed"), host("seed", 7946));
        assert_eq!(parse("seed.ns.svc:7"), host("seed.ns.svc", 7));
        assert_eq!(parse("dns+seed:7"), host("seed", 7));
        assert_eq!(
            parse("dnssrv+_gossip._tcp.ring.ns.svc"),
            service("_gossip._tcp.ring.ns.svc", None)
        );
        assert_eq!(parse("dnssrvnoa+ring:9"), service("ring", Some(9)));
    }

    #[test]
    fn bad_seeds_are_named() {
        for bad in [
            "",
            "dns+",
            ":7946",
            "seed:port",
            "seed:0",
            "seed:70000",
            "[::1",
            "[::1]x",
            "srv+seed",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[tokio::test]
    async fn hosts_of_the_system_resolve_without_name_servers() {
        let discovery = Discovery {
            name_service: NameService::Fixed(ResolverConfig::default()),
        };
        let seeds = [Seed::parse("localhost:7", 7946).unwrap()];
        let found = discovery.resolve(&seeds).await;
        assert!(found.contains(&"127.0.0.1:7".parse().unwrap()), "{found:?}");
    }

    /// Answers `_gossip._tcp.ring.test.` with two targets, of which the first
    /// has two addresses and the second none, and `alone.test.` with one.
    async fn name_server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let answer = answer(&query).to_vec().unwrap();
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        (address, task)
    }

    fn answer(query: &Message) -> Message {
        let question = query.queries[0].clone();
        let name = question.name().clone();
        let a = |last| RData::A(A(Ipv4Addr::new(10, 0, 0, last)));
        let srv = |target: &str| RData::SRV(SRV::new(0, 0, 7946, target.parse().unwrap()));
        let records = match (name.to_string().as_str(), question.query_type()) {
            ("_gossip._tcp.ring.test.", RecordType::SRV) => {
                vec![srv("pod-0.ring.test."), srv("gone.ring.test.")]
            }
            ("pod-0.ring.test.", RecordType::A) => vec![a(1), a(2)],
            ("alone.test.", RecordType::A) => vec![a(3)],
            _ => Vec::new(),
        };
        let mut metadata = Metadata::response_from_request(&query.metadata);
        metadata.message_type = MessageType::Response;
        metadata.response_code = if records.is_empty() {
            ResponseCode::NXDomain
        } else {
            ResponseCode::NoError
        };
        let mut message = Message::query();
        message.metadata = metadata;
        message.add_query(question);
        for data in records {
            message.add_answer(Record::from_rdata(name.clone(), 1, data));
        }
        message
    }

    async fn found(seed: &str) -> Vec<String> {
        let (address, task) = name_server().await;
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let search = vec!["test.".parse().unwrap()];
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        let discovery = Discovery {
            name_service: NameService::Fixed(config),
        };
        let seeds = [Seed::parse(seed, 7946).unwrap()];
        let found = discovery.resolve(&seeds).await;
        task.abort();
        found.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn services_resolve_to_the_addresses_of_their_targets() {
        let two = ["10.0.0.1:7946", "10.0.0.2:7946"];
        assert_eq!(found("dnssrv+_gossip._tcp.ring.test").await, two);
        assert_eq!(found("dnssrvnoa+_gossip._tcp.ring.test.").await, two);
        assert_eq!(
            found("dnssrv+_gossip._tcp.ring.test:5").await,
            ["10.0.0.1:5", "10.0.0.2:5"],
            "the seed's port wins"
        );
    }

    #[tokio::test]
    async fn search_domains_complete_short_names() {
        assert_eq!(found("alone").await, ["10.0.0.3:7946"]);
        assert_eq!(found("dns+alone:8").await, ["10.0.0.3:8"]);
    }

    #[tokio::test]
    async fn a_name_without_records_is_not_an_error() {
        assert!(found("dnssrv+_gossip._tcp.missing.test").await.is_empty());
        assert!(found("missing.test").await.is_empty());
    }
}
