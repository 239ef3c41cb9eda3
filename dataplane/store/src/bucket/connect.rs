//! How connections come about: directly or by a proxy, then TLS, all of it in time.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::Environment;
use super::error::OpenError;
use super::settings::Http;
use super::tls;

type BoxError = Box<dyn StdError + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    inner: HttpsConnector<Route>,
    time: Option<Duration>,
}

/// Chooses the way to a host.
#[derive(Clone, Debug)]
struct Route {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Connector {
    pub(super) fn new(settings: &Http, environment: &Environment<'_>) -> Result<Self, OpenError> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        let proxies = Arc::new(proxies(environment));
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(settings)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Route { direct, proxies });
        Ok(Self {
            inner,
            time: settings.connect,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        let connecting = self.inner.call(host);
        let time = self.time;
        Box::pin(async move {
            match time {
                Some(time) => tokio::time::timeout(time, connecting)
                    .await
                    .map_err(|_| format!("it took longer than {time:?}"))?,
                None => connecting.await,
            }
        })
    }
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        let proxy = match is_loopback(host.host().unwrap_or_default()) {
            true => None,
            false => self.proxies.intercept(&host),
        };
        let Some(proxy) = proxy else {
            let connecting = self.direct.call(host);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let connecting = tunnel.call(with_port(host));
        Box::pin(async move { Ok(connecting.await?) })
    }
}

/// Returns an address with its port: a tunnel without one would lead to that of https.
fn with_port(host: Uri) -> Uri {
    match (host.scheme_str(), host.authority(), host.port()) {
        (Some("http"), Some(authority), None) => {
            let authority = format!("http://{authority}:80");
            authority.parse().unwrap_or(host)
        }
        _ => host,
    }
}

/// Reads the proxies of the environment.
fn proxies(environment: &Environment<'_>) -> Matcher {
    let said = |name: &str| {
        let found = environment(name).filter(|value| !value.is_empty());
        found
            .or_else(|| environment(&name.to_lowercase()))
            .unwrap_or_default()
    };
    Matcher::builder()
        .all(said("ALL_PROXY"))
        .http(said("HTTP_PROXY"))
        .https(said("HTTPS_PROXY"))
        .no(said("NO_PROXY"))
        .build()
}

/// Returns whether a host is this machine. It is never spoken to by a proxy, as with the original.
fn is_loopback(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "[2001::1]", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn tunnels_lead_to_the_port_of_the_scheme() {
        for (given, expected) in [
            ("http://a", "http://a:80/"),
            ("http://a:9000", "http://a:9000/"),
            ("https://a", "https://a/"),
        ] {
            assert_eq!(with_port(Uri::from_static(given)).to_string(), expected);
        }
    }

    #[test]
    fn proxies_are_those_of_the_environment() {
        let environment = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://user:pass@proxy:3128".to_owned()),
            "no_proxy" => Some(".internal,10.0.0.0/8".to_owned()),
            _ => None,
        };
        let proxies = proxies(&environment);
        let by = |url: &'static str| proxies.intercept(&Uri::from_static(url));
        let found = by("https://s3.amazonaws.com").unwrap();
        assert_eq!(found.uri().authority().unwrap().host(), "proxy");
        assert!(found.basic_auth().is_some());
        assert!(by("http://s3.amazonaws.com").is_none());
        assert!(by("https://minio.internal").is_none());
        assert!(by("https://10.1.2.3").is_none());
    }
}
