//! Settings of the distributor and of its ring entry.

use serde::{Deserialize, Serialize};

use super::ingester::KvStore;
use crate::duration::Duration;

/// The distributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distributor {
    /// How long one write to one ingester may take.
    pub pushtimeout: Duration,
    /// What waits for ingesters that missed it.
    pub handoff: HandOff,
    /// Most bytes on their way to one ingester.
    pub ingester_max_inflight_bytes: u64,
    /// Pushes that are worked on at once.
    pub instance_limits: InstanceLimits,
    /// The ring by which distributors know how many they are.
    pub ring: DistributorRing,
}

/// What waits for an ingester that missed it, until it is back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandOff {
    /// Most bytes that wait for one ingester; 0 keeps nothing.
    pub max_bytes: u64,
    /// How long a profile waits before it is dropped.
    pub max_age: Duration,
}

/// Bounds of all pushes together that one distributor works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceLimits {
    /// Most pushes at once; 0 is no limit.
    pub max_inflight_push_requests: u32,
    /// Most bytes of pushes at once, as received and as decompressed; at least those of one of the
    /// largest pushes are taken.
    pub max_inflight_push_requests_bytes: u64,
}

/// How a distributor appears in the ring of distributors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributorRing {
    /// Where the ring is kept.
    pub kvstore: KvStore,
    /// Time between two heartbeats; 0 is never.
    pub heartbeat_period: Duration,
    /// Age of a heartbeat from which a distributor counts as unhealthy; after ten times as long it
    /// is forgotten. 0 is never.
    pub heartbeat_timeout: Duration,
    /// Name in the ring; empty is the host name.
    pub instance_id: String,
    /// Interfaces to take the advertised address from; empty is the address that gossip
    /// advertises.
    pub instance_interface_names: Vec<String>,
    /// Port to advertise; 0 is the listen port.
    pub instance_port: u16,
    /// Address to advertise; empty is the one that gossip advertises.
    pub instance_addr: String,
    /// Whether an IPv6 address of the interfaces may be taken, and goes before an IPv4 address.
    pub instance_enable_ipv6: bool,
}

impl Default for Distributor {
    fn default() -> Self {
        Self {
            pushtimeout: Duration::from_secs(5),
            handoff: HandOff::default(),
            ingester_max_inflight_bytes: 64 << 20,
            instance_limits: InstanceLimits::default(),
            ring: DistributorRing::default(),
        }
    }
}

impl Default for HandOff {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(600),
        }
    }
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            max_inflight_push_requests: 2000,
            max_inflight_push_requests_bytes: 256 << 20,
        }
    }
}

impl Default for DistributorRing {
    fn default() -> Self {
        Self {
            kvstore: KvStore::default(),
            heartbeat_period: Duration::from_secs(15),
            heartbeat_timeout: Duration::from_secs(60),
            instance_id: String::new(),
            instance_interface_names: Vec::new(),
            instance_port: 0,
            instance_addr: String::new(),
            instance_enable_ipv6: false,
        }
    }
}
