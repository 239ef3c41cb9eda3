//! Settings of the ingester and of its ring entry.

use serde::{Deserialize, Serialize};

use super::target::CommaList;
use crate::duration::Duration;
use crate::ring_key;

/// The ingester.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingester {
    /// How the instance appears in the ring.
    pub lifecycler: Lifecycler,
    /// Memory budget of the head in bytes; above it writes are refused.
    pub max_head_bytes: u64,
    /// Heartbeat timeouts after which a dead ingester is forgotten; 0 is never.
    pub auto_forget_unhealthy_periods: u32,
}

/// How an ingester appears in the ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifecycler {
    /// The ring, as writers and readers see it.
    pub ring: Ring,
    /// Number of tokens that the instance owns.
    pub num_tokens: usize,
    /// Time between two heartbeats; 0 is never.
    pub heartbeat_period: Duration,
    /// Time for which the instance checks that its new tokens stay its own; 0 is no check.
    pub observe_period: Duration,
    /// Time to wait before taking tokens.
    pub join_after: Duration,
    /// Time for which the instance must be ready before it says so.
    pub min_ready_duration: Duration,
    /// Time to wait between the last flush and the end of the process.
    pub final_sleep: Duration,
    /// File that keeps the tokens across restarts; empty keeps them nowhere.
    pub tokens_file_path: String,
    /// Zone of the instance; empty is none.
    pub availability_zone: String,
    /// Whether a clean stop takes the instance out of the ring.
    pub unregister_on_shutdown: bool,
    /// Whether readiness asks for every instance of the ring, not only for this one.
    pub readiness_check_ring_health: bool,
    /// Address to advertise; empty is the one that gossip advertises.
    pub address: String,
    /// Port to advertise; 0 is the listen port.
    pub port: u16,
    /// Name in the ring; empty is the host name.
    pub id: String,
    /// Interfaces to take the advertised address from; empty is the address that gossip
    /// advertises.
    pub interface_names: Vec<String>,
    /// Whether an IPv6 address of the interfaces may be taken, and goes before an IPv4 address.
    pub enable_inet6: bool,
}

/// The ingester ring, as writers and readers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ring {
    /// Where the ring is kept.
    pub kvstore: KvStore,
    /// Age of a heartbeat from which an instance counts as unhealthy; 0 is never.
    pub heartbeat_timeout: Duration,
    /// Number of ingesters that hold each series.
    pub replication_factor: usize,
    /// Whether replicas of a series are spread over zones.
    pub zone_awareness_enabled: bool,
    /// Zones whose instances are left out.
    pub excluded_zones: CommaList,
}

/// Where a ring is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KvStore {
    /// Kind of store; only `memberlist` is supported.
    pub store: String,
    /// What each key starts with.
    pub prefix: String,
}

impl KvStore {
    /// Returns the key of the ingester ring in the store.
    pub fn ingester_ring_key(&self) -> String {
        format!("{}{}", self.prefix, ring_key::INGESTER)
    }

    /// Returns the key of the distributor ring in the store.
    pub fn distributor_ring_key(&self) -> String {
        format!("{}{}", self.prefix, ring_key::DISTRIBUTOR)
    }
}

impl Default for Ingester {
    fn default() -> Self {
        Self {
            lifecycler: Lifecycler::default(),
            max_head_bytes: 2 << 30,
            auto_forget_unhealthy_periods: 0,
        }
    }
}

impl Default for Lifecycler {
    fn default() -> Self {
        Self {
            ring: Ring::default(),
            num_tokens: 128,
            heartbeat_period: Duration::from_secs(5),
            observe_period: Duration::ZERO,
            join_after: Duration::ZERO,
            min_ready_duration: Duration::from_secs(15),
            final_sleep: Duration::ZERO,
            tokens_file_path: String::new(),
            availability_zone: String::new(),
            unregister_on_shutdown: true,
            readiness_check_ring_health: true,
            address: String::new(),
            port: 0,
            id: String::new(),
            interface_names: Vec::new(),
            enable_inet6: false,
        }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            kvstore: KvStore::default(),
            heartbeat_timeout: Duration::from_secs(60),
            replication_factor: 1,
            zone_awareness_enabled: false,
            excluded_zones: CommaList::default(),
        }
    }
}

impl Default for KvStore {
    fn default() -> Self {
        Self {
            store: "memberlist".to_owned(),
            prefix: ring_key::PREFIX.to_owned(),
        }
    }
}
