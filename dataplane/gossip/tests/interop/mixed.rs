//! Nodes of both kinds, and what they must agree on.

use std::collections::BTreeMap;
use std::time::Duration;

use ::ring::State;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_gossip::{Config, Gossip};

use crate::peer::{GoInstance, Peer, Seen};
use crate::support::{instance, unix_now, until_ring};

/// Flags of every dskit peer. Its timestamps have no finer steps than the heartbeat's.
const FLAGS: [&str; 3] = [
    "-heartbeat-period=1s",
    "-gossip-interval=20ms",
    "-pullpush-interval=1s",
];

/// Flag of a peer that has to find failures.
pub(crate) const QUICK: &str = "-probe-interval=200ms";

/// Starts a dskit peer alone.
pub(crate) async fn first_go(id: &str, more: &[&str]) -> Peer {
    let id = format!("-id={id}");
    let flags: Vec<&str> = [id.as_str()].into_iter().chain(FLAGS).collect();
    Peer::start(&[&flags, more].concat()).await
}

/// Starts a dskit peer that joins `seed`.
pub(crate) async fn go(id: &str, seed: &str, more: &[&str]) -> Peer {
    let join = format!("-join={seed}");
    first_go(id, &[&[join.as_str()], more].concat()).await
}

/// Settings of a node that probes at leisure.
pub(crate) fn config(name: &str) -> Config {
    let unhurried = Config::default();
    Config {
        probe_interval: unhurried.probe_interval,
        probe_timeout: unhurried.probe_timeout,
        ..crate::support::config(name)
    }
}

/// Settings of a node that has to find failures.
pub(crate) fn quick(name: &str) -> Config {
    Config {
        probe_interval: Duration::from_millis(200),
        probe_timeout: Duration::from_millis(100),
        ..config(name)
    }
}

/// Lets a node join `seed`.
pub(crate) fn joining(config: Config, seed: String) -> Config {
    Config {
        join: vec![seed],
        ..config
    }
}

/// What both sides must agree on: everything but the form of the tokens.
pub(crate) type Record = (String, String, Vec<u32>, i64);

pub(crate) fn of_rust(ring: &Desc) -> BTreeMap<String, Record> {
    let record = |instance: &InstanceDesc| {
        (
            instance.addr.clone(),
            State::of(instance).to_string(),
            instance.tokens.clone(),
            instance.registered_timestamp,
        )
    };
    let ingesters = ring.ingesters.iter();
    ingesters
        .map(|(id, instance)| (id.clone(), record(instance)))
        .collect()
}

pub(crate) fn of_go(seen: &Seen) -> BTreeMap<String, Record> {
    let record = |instance: &GoInstance| {
        (
            instance.addr.clone(),
            instance.state.clone(),
            instance.tokens.clone().unwrap_or_default(),
            instance.registered,
        )
    };
    let ring = seen.ring.iter();
    ring.map(|(id, instance)| (id.clone(), record(instance)))
        .collect()
}

/// Waits until Go and Rust see the same ring with these instances, all ACTIVE.
pub(crate) async fn until_same(
    go: &Peer,
    rust: &Gossip,
    expected: &[&str],
) -> BTreeMap<String, Record> {
    let all_active = |ring: &BTreeMap<String, Record>| {
        ring.keys().eq(expected) && ring.values().all(|(_, state, ..)| state == "ACTIVE")
    };
    let what = format!("instances {expected:?} to be ACTIVE");
    let ring = until_ring(rust, &what, |ring| all_active(&of_rust(ring))).await;
    let seen = go.until(&what, |seen| all_active(&of_go(seen))).await;
    assert_eq!(of_rust(&ring), of_go(&seen));
    of_go(&seen)
}

pub(crate) fn active(id: &str, tokens: &[u32]) -> InstanceDesc {
    instance(id, InstanceState::Active, unix_now(), tokens)
}
