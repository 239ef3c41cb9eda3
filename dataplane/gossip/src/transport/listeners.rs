//! The sockets that peers reach a node on.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, UdpSocket};

use crate::Dialect;

/// Attempts to find a port that is free for both protocols.
const ATTEMPTS: usize = 16;

/// The sockets that peers reach a node on.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) streams: Vec<TcpListener>,
    /// Sockets of packets, in the classic dialect.
    pub(crate) datagrams: Vec<UdpSocket>,
}

impl Listeners {
    /// Binds to every address; in the classic dialect to both TCP and UDP. Port
    /// 0 takes a free one, the same for all.
    ///
    /// # Errors
    ///
    /// Fails when an address is in use or none of this host.
    pub async fn bind(addresses: &[SocketAddr], dialect: Dialect) -> io::Result<Self> {
        let any_port = addresses.iter().any(|address| address.port() == 0);
        let attempts = if any_port { ATTEMPTS } else { 1 };
        let mut result = Self::try_bind(addresses, dialect).await;
        for _ in 1..attempts {
            match &result {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    result = Self::try_bind(addresses, dialect).await;
                }
                _ => break,
            }
        }
        result
    }

    async fn try_bind(addresses: &[SocketAddr], dialect: Dialect) -> io::Result<Self> {
        let mut listeners = Self {
            streams: Vec::new(),
            datagrams: Vec::new(),
        };
        let mut port = 0;
        for address in addresses {
            let mut address = *address;
            if address.port() == 0 {
                address.set_port(port);
            }
            let listener = TcpListener::bind(address).await?;
            let bound = listener.local_addr()?;
            port = bound.port();
            if dialect == Dialect::Classic {
                listeners.datagrams.push(UdpSocket::bind(bound).await?);
            }
            listeners.streams.push(listener);
        }
        Ok(listeners)
    }

    /// Returns the first address, which is the one that peers are told.
    ///
    /// # Errors
    ///
    /// Fails when there is none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.streams
            .first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?
            .local_addr()
    }
}

impl From<TcpListener> for Listeners {
    /// Listens for peers of the dskit dialect.
    fn from(listener: TcpListener) -> Self {
        Self {
            streams: vec![listener],
            datagrams: Vec::new(),
        }
    }
}
