//! Node addresses, which are part of a node's identity.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The bytes of an IP address in the form in which its node announced them.
///
/// Go peers compare the raw bytes, so the 4-byte and the 16-byte (mapped) form of one IPv4 address are
/// *different* addresses. The form is kept and gossiped on as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpBytes {
    /// The 4-byte form.
    V4([u8; 4]),
    /// The 16-byte form: IPv6, or IPv4 mapped into IPv6.
    V16([u8; 16]),
}

impl IpBytes {
    /// Returns the bytes as they go on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V16(bytes) => bytes,
        }
    }

    /// Returns the address these bytes mean; mapped IPv4 addresses become plain IPv4.
    pub fn ip(&self) -> IpAddr {
        match self {
            Self::V4(bytes) => IpAddr::V4(Ipv4Addr::from(*bytes)),
            Self::V16(bytes) => Ipv6Addr::from(*bytes).to_canonical(),
        }
    }
}

/// The address that a node advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The IP address in its announced form.
    pub ip: IpBytes,
    /// The gossip port.
    pub port: u16,
}

impl Address {
    /// Creates an address in the 4-byte form, as a node bound to one explicit IPv4 address announces it.
    pub const fn v4(ip: [u8; 4], port: u16) -> Self {
        Self {
            ip: IpBytes::V4(ip),
            port,
        }
    }

    /// Creates an address in the 16-byte form, as dskit announces a configured or detected address.
    pub fn v16(ip: IpAddr, port: u16) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: IpBytes::V16(ip.octets()),
            port,
        }
    }

    /// Creates an address from wire bytes; `None` unless there are 4 or 16 of them.
    pub fn from_bytes(ip: &[u8], port: u16) -> Option<Self> {
        let ip = match ip.len() {
            4 => IpBytes::V4(ip.try_into().ok()?),
            16 => IpBytes::V16(ip.try_into().ok()?),
            _ => return None,
        };
        Some(Self { ip, port })
    }

    /// Returns the address to connect to.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip.ip(), self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}
