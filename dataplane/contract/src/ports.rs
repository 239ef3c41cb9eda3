//! Ports on which every process of a cluster listens.

/// HTTP and gRPC (h2c), default of `-server.http-listen-port`.
pub const HTTP: u16 = 4040;

/// Memberlist gossip, default of `-memberlist.bind-port`.
pub const GOSSIP: u16 = 7946;
