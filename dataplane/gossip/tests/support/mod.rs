//! Nodes on loopback with short periods, and ways to wait for what they see.

#![allow(dead_code)] // Each test program uses its part.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_gossip::{Config, Gossip, Member, MemberState};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) const RING: &str = "collectors/ring";

/// Longest wait for anything. Far longer than it takes, for slow machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings with periods short enough for tests.
pub(crate) fn config(name: &str) -> Config {
    Config {
        node_name: name.to_owned(),
        gossip_interval: Duration::from_millis(20),
        probe_interval: Duration::from_millis(200),
        probe_timeout: Duration::from_millis(100),
        push_pull_interval: Duration::from_secs(1),
        min_join_backoff: Duration::from_millis(50),
        max_join_backoff: Duration::from_millis(200),
        ..Config::default()
    }
}

/// Settings of a node that joins `seed`.
pub(crate) fn joining(name: &str, seed: SocketAddr) -> Config {
    Config {
        join: vec![seed.to_string()],
        ..config(name)
    }
}

/// Returns where a node may listen again after it has stopped, or listen later.
pub(crate) fn own_address() -> SocketAddr {
    (fresh_address(), 7946).into()
}

/// Returns a loopback address that no other node of this machine has. On
/// `127.0.0.1` a port that a node gives up, or has yet to take, may be that of
/// anybody's connection meanwhile.
pub(crate) fn fresh_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 1 + high % 250, low, number)
}

pub(crate) async fn start(config: Config) -> Gossip {
    start_on(config, "127.0.0.1:0".parse().unwrap()).await
}

pub(crate) async fn start_on(config: Config, address: SocketAddr) -> Gossip {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let listener = TcpListener::bind(address).await.unwrap();
    Gossip::start(config, listener, &mut Registry::default(), seed)
        .await
        .unwrap()
}

pub(crate) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

pub(crate) fn instance(
    id: &str,
    state: InstanceState,
    timestamp: i64,
    tokens: &[u32],
) -> InstanceDesc {
    InstanceDesc {
        id: id.to_owned(),
        addr: format!("{id}:4040"),
        state: state.into(),
        timestamp,
        registered_timestamp: timestamp,
        tokens: tokens.to_vec(),
        ..InstanceDesc::default()
    }
}

/// Writes an instance as its lifecycler would.
pub(crate) fn register(gossip: &Gossip, instance: InstanceDesc) {
    let edit = |ring: Option<&Desc>| {
        let mut ring = ring.cloned().unwrap_or_default();
        ring.ingesters.insert(instance.id.clone(), instance.clone());
        Some(ring)
    };
    assert!(gossip.kv().cas(RING, edit).unwrap());
}

/// Removes an instance from the ring, which leaves a tombstone.
pub(crate) fn unregister(gossip: &Gossip, id: &str) {
    let edit = |ring: Option<&Desc>| {
        let mut ring = ring.cloned().unwrap_or_default();
        ring.ingesters.remove(id).map(|_| ring)
    };
    assert!(gossip.kv().cas(RING, edit).unwrap());
}

/// Waits until a node's ring satisfies `condition` and returns it.
pub(crate) async fn until_ring(
    gossip: &Gossip,
    what: &str,
    condition: impl FnMut(&Arc<Desc>) -> bool,
) -> Arc<Desc> {
    let mut ring = gossip.kv().watch(RING);
    match timeout(PATIENCE, ring.wait_for(condition)).await {
        Ok(value) => value.unwrap(),
        Err(_) => panic!("waited in vain for {what}; last seen: {:#?}", ring.borrow()),
    }
}

/// Waits until a node's ring has exactly these instances.
pub(crate) async fn until_ids(gossip: &Gossip, expected: &[&str]) -> Arc<Desc> {
    let name = gossip.local_name();
    let what = format!("{name} to see instances {expected:?}");
    until_ring(gossip, &what, |ring| {
        ids(ring) == expected.iter().copied().collect()
    })
    .await
}

/// Waits until a node's members satisfy `condition`.
pub(crate) async fn until_members(
    gossip: &Gossip,
    what: &str,
    mut condition: impl FnMut(&[Member]) -> bool,
) {
    until(gossip.watch_members(), what, |members| condition(members)).await;
}

/// Waits until a node has this many members that are alive.
pub(crate) async fn until_alive(gossip: &Gossip, count: usize) {
    let what = format!("{} to see {count} members alive", gossip.local_name());
    until_members(gossip, &what, |members| alive(members) == count).await;
}

pub(crate) fn alive(members: &[Member]) -> usize {
    members
        .iter()
        .filter(|member| member.state == MemberState::Alive)
        .count()
}

/// Returns what a node believes of another.
pub(crate) fn state_of(members: &[Member], name: &str) -> Option<MemberState> {
    members
        .iter()
        .find(|member| member.name == name)
        .map(|member| member.state)
}

pub(crate) fn ids(ring: &Desc) -> BTreeSet<&str> {
    ring.ingesters.keys().map(String::as_str).collect()
}

/// Returns state and tokens by id: what must be the same everywhere.
pub(crate) fn ownership(ring: &Desc) -> BTreeMap<String, (i32, Vec<u32>)> {
    ring.ingesters
        .iter()
        .map(|(id, instance)| (id.clone(), (instance.state, instance.tokens.clone())))
        .collect()
}

async fn until<T: Clone + std::fmt::Debug>(
    mut receiver: watch::Receiver<T>,
    what: &str,
    mut condition: impl FnMut(&T) -> bool,
) -> T {
    let waiting = receiver.wait_for(|value| condition(value));
    let outcome = timeout(PATIENCE, waiting)
        .await
        .map(|value| value.unwrap().clone());
    match outcome {
        Ok(value) => value,
        Err(_) => panic!(
            "waited in vain for {what}; last seen: {:#?}",
            *receiver.borrow()
        ),
    }
}
