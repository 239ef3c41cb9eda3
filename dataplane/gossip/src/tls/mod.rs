//! TLS between nodes: one certificate for both directions, read again when it
//! changes on disk.

mod config;
mod credentials;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub use config::{CipherSuites, TlsConfig, TlsVersion};
pub use credentials::TlsError;
use credentials::{Credentials, Files};

/// Makes connections to peers secret and certain.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    /// The name that dialled peers must have, if it is not their address.
    server_name: Option<ServerName<'static>>,
    current: ArcSwap<Credentials>,
    metrics: TlsMetrics,
}

impl Tls {
    /// Reads the files. They are read again by [`Self::follow_files`].
    ///
    /// # Errors
    ///
    /// Says which file cannot be used, and why.
    pub(crate) async fn load(
        config: TlsConfig,
        metrics: TlsMetrics,
    ) -> Result<(Arc<Self>, Follower), TlsError> {
        let server_name = match config.server_name.as_str() {
            "" => None,
            name => Some(
                ServerName::try_from(name.to_owned())
                    .map_err(|_| TlsError::ServerName(name.to_owned()))?,
            ),
        };
        let files = Files::read(&config).await?;
        let credentials = Credentials::new(&config, &files)?;
        metrics.set_expiry(credentials.expiry);
        let tls = Arc::new(Self {
            config,
            server_name,
            current: ArcSwap::from_pointee(credentials),
            metrics,
        });
        let follower = Follower {
            tls: Arc::clone(&tls),
            used: files,
        };
        Ok((tls, follower))
    }

    /// Answers a handshake.
    pub(crate) async fn accept(&self, connection: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let server = Arc::clone(&self.current.load().server);
        let stream = TlsAcceptor::from(server).accept(connection).await?;
        Ok(stream.into())
    }

    /// Begins a handshake.
    pub(crate) async fn connect(
        &self,
        connection: TcpStream,
        to: SocketAddr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let client = Arc::clone(&self.current.load().client);
        let name = self
            .server_name
            .clone()
            .unwrap_or_else(|| ServerName::IpAddress(to.ip().into()));
        let stream = TlsConnector::from(client).connect(name, connection).await?;
        Ok(stream.into())
    }
}

/// Looks after the files.
pub(crate) struct Follower {
    tls: Arc<Tls>,
    /// What is in use.
    used: Files,
}

impl Follower {
    /// Takes new certificates into use, for ever. What cannot be used, such as
    /// a certificate whose key is still to be written, is tried again and
    /// leaves the old ones in use.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(self.tls.config.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match self.reload().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("took new TLS certificates into use"),
                Err(error) => {
                    self.tls.metrics.reload_failures.inc();
                    tracing::warn!(%error, "cannot take the TLS certificates on disk into use");
                }
            }
        }
    }

    /// Returns whether something new is in use.
    async fn reload(&mut self) -> Result<bool, TlsError> {
        let files = Files::read(&self.tls.config).await?;
        if files == self.used {
            return Ok(false);
        }
        let credentials = Credentials::new(&self.tls.config, &files)?;
        self.tls.metrics.set_expiry(credentials.expiry);
        self.tls.current.store(Arc::new(credentials));
        self.used = files;
        Ok(true)
    }
}

/// How the certificate stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsMetrics {
    reload_failures: Counter,
    certificate_expiry: Gauge,
}

impl TlsMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("pyroscope_memberlist_tls");
        registry.register(
            "reload_failures",
            "Attempts to take changed certificate files into use that failed",
            metrics.reload_failures.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the first certificate of this node's chain expires, in Unix time",
            Unit::Seconds,
            metrics.certificate_expiry.clone(),
        );
        metrics
    }

    fn set_expiry(&self, expiry: Option<SystemTime>) {
        let seconds = expiry
            .and_then(|expiry| expiry.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok());
        self.certificate_expiry.set(seconds.unwrap_or(0));
    }
}
