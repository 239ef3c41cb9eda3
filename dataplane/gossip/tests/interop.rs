//! This implementation and real Go nodes of dskit in one cluster.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "support/peer.rs"]
mod peer;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peer::{Peer, Seen};
use proto::ring::{Desc, InstanceState};
use pyroscope_gossip::{Compression, Config, Gossip, MemberState};
use ring::State;
use support::*;
use tokio::time::{Instant, timeout};

/// Seconds of one heartbeat: dskit's timestamps have no finer steps.
const HEARTBEAT: &str = "-heartbeat-period=1s";

async fn go(id: &str, seed: &str, more: &[&str]) -> Peer {
    let id = format!("-id={id}");
    let join = format!("-join={seed}");
    let mut flags = vec![id.as_str(), join.as_str(), HEARTBEAT];
    flags.extend(more);
    Peer::start(&flags).await
}

fn joining_go(name: &str, seed: &Peer) -> Config {
    joining(name, seed.address().parse().unwrap())
}

/// What both sides must agree on: everything but the tokens' form.
type Record = (String, String, Vec<u32>, i64);

fn of_rust(ring: &Desc) -> BTreeMap<String, Record> {
    let record = |instance: &proto::ring::InstanceDesc| {
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

fn of_go(seen: &Seen) -> BTreeMap<String, Record> {
    let record = |instance: &peer::GoInstance| {
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
async fn until_same(go: &Peer, rust: &Gossip, expected: &[&str]) -> BTreeMap<String, Record> {
    let all_active = |ring: &BTreeMap<String, Record>| {
        ring.keys().eq(expected) && ring.values().all(|(_, state, ..)| state == "ACTIVE")
    };
    let what = format!("instances {expected:?} to be ACTIVE");
    let ring = until_ring(rust, &what, |ring| all_active(&of_rust(ring))).await;
    let seen = go.until(&what, |seen| all_active(&of_go(seen))).await;
    assert_eq!(of_rust(&ring), of_go(&seen));
    of_go(&seen)
}

fn active(id: &str, tokens: &[u32]) -> proto::ring::InstanceDesc {
    instance(id, InstanceState::Active, unix_now(), tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn go_joins_rust_and_leaves() {
    let rust = start(config("rust")).await;
    register(&rust, active("rust-0", &[1, 2, 3]));
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    let ring = until_same(&go, &rust, &["go-0", "rust-0"]).await;
    assert_eq!(ring["go-0"].2.len(), 128);
    assert_eq!(ring["rust-0"].2, [1, 2, 3]);
    until_alive(&rust, 2).await;
    go.until("two members", |seen| seen.members == 2).await;

    go.leave().await;
    until_ids(&rust, &["rust-0"]).await;
    let tombstone = rust.kv().get_with_tombstones(RING).unwrap().ingesters["go-0"].clone();
    assert_eq!(State::of(&tombstone), State::Left);
    assert!(tombstone.tokens.is_empty());
    until_members(&rust, "Go to have left", |members| {
        members
            .iter()
            .all(|member| member.name == rust.local_name() || member.state == MemberState::Left)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_joins_go_and_leaves() {
    let go = Peer::start(&["-id=go-0", HEARTBEAT]).await;
    let rust = start(joining_go("rust", &go)).await;
    assert!(rust.joined());
    register(&rust, active("rust-0", &[1, 2, 3]));
    until_same(&go, &rust, &["go-0", "rust-0"]).await;
    go.until("two members", |seen| seen.members == 2).await;

    unregister(&rust, "rust-0");
    timeout(PATIENCE, rust.shutdown()).await.unwrap();
    go.until_ids(&["go-0"]).await;
    go.until("one member", |seen| seen.members == 1).await;
}

async fn every_node_understands(compression: Compression) {
    let settings = |name: &str| Config {
        compression,
        cluster_label: "ns.cluster".to_owned(),
        ..config(name)
    };
    let flag = format!("-compression={compression}");
    let flags = [flag.as_str(), "-cluster-label=ns.cluster"];
    let first = start(settings("rust-first")).await;
    register(&first, active("rust-0", &[10, 20]));
    let go_0 = go("go-0", &first.advertised().to_string(), &flags).await;
    let go_1 = go("go-1", &go_0.address(), &flags).await;
    let second = start(Config {
        join: vec![go_1.address()],
        ..settings("rust-second")
    })
    .await;
    // Compressible, so that compression is used where it is on.
    let many: Vec<u32> = (0..4096).collect();
    register(&second, active("rust-1", &many));
    let everyone = ["go-0", "go-1", "rust-0", "rust-1"];
    for (go, rust) in [(&go_0, &first), (&go_1, &second), (&go_0, &second)] {
        until_same(go, rust, &everyone).await;
    }
    for rust in [&first, &second] {
        until_alive(rust, 4).await;
    }
    go_1.leave().await;
    for rust in [&first, &second] {
        until_ids(rust, &["go-0", "rust-0", "rust-1"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uncompressed_messages_are_understood() {
    every_node_understands(Compression::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lzw_is_understood() {
    every_node_understands(Compression::Lzw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snappy_is_understood() {
    every_node_understands(Compression::Snappy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_labels_keep_rings_apart() {
    let labelled = |name: &str| Config {
        cluster_label: "ns.ours".to_owned(),
        ..config(name)
    };
    let ours = start(labelled("ours")).await;
    register(&ours, active("ours", &[1]));
    // The peer has tried to join by the time it prints its address.
    let theirs = go(
        "theirs",
        &ours.advertised().to_string(),
        &["-cluster-label=ns.theirs"],
    )
    .await;
    theirs
        .until("its own instance", |seen| !seen.ring.is_empty())
        .await;
    let seed: SocketAddr = theirs.address().parse().unwrap();
    let stranger = start(Config {
        join: vec![seed.to_string()],
        max_join_retries: 1,
        abort_if_join_fails: true,
        ..labelled("stranger")
    })
    .await;
    timeout(PATIENCE, stranger.failed()).await.unwrap();
    assert_eq!(ids(&ours.kv().get(RING).unwrap()), ["ours"].into());
    assert!(stranger.kv().get(RING).is_none());
    assert_eq!((alive(&ours.members()), alive(&stranger.members())), (1, 1));
    let seen = theirs.until("itself only", |seen| seen.members == 1).await;
    assert!(seen.ring.keys().eq(["theirs"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_arrive_on_both_sides() {
    let rust = start(config("rust")).await;
    register(&rust, active("rust-0", &[1]));
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0", "rust-0"]).await;
    let before = rust.kv().get(RING).unwrap().ingesters["go-0"].timestamp;
    until_ring(&rust, "a later heartbeat of Go", |ring| {
        ring.ingesters["go-0"].timestamp > before
    })
    .await;
    let later = unix_now() + 1;
    register(
        &rust,
        instance("rust-0", InstanceState::Leaving, later, &[1]),
    );
    let seen = go
        .until("Rust leaving", |seen| {
            seen.ring["rust-0"].state == "LEAVING"
        })
        .await;
    assert_eq!(seen.ring["rust-0"].timestamp, later);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_conflicts_are_settled_alike() {
    let rust = start(config("rust")).await;
    let flags = ["-num-tokens=4"];
    let go = go("m-go", &rust.advertised().to_string(), &flags).await;
    let ring = until_same(&go, &rust, &["m-go"]).await;
    let tokens = ring["m-go"].2.clone();
    assert_eq!(tokens.len(), 4);
    // The smaller id wins its token, the larger one loses.
    register(&rust, active("a-rust", &tokens[..1]));
    register(&rust, active("z-rust", &[&tokens[3..], &[7]].concat()));
    let settled = |ring: &BTreeMap<String, Record>| {
        ring.len() == 3
            && ring["a-rust"].2 == tokens[..1]
            && ring["m-go"].2 == tokens[1..]
            && ring["z-rust"].2 == [7]
    };
    until_ring(&rust, "the conflict to be settled", |ring| {
        settled(&of_rust(ring))
    })
    .await;
    go.until("the conflict to be settled", |seen| settled(&of_go(seen)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_go_node_is_found_dead() {
    let rust = start(config("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    go.kill().await;
    until_members(&rust, "Go to be dead", |members| {
        members.len() == 1
            || members
                .iter()
                .any(|member| member.state == MemberState::Dead)
    })
    .await;
    assert_eq!(ids(&rust.kv().get(RING).unwrap()), ["go-0"].into());
}

/// Go compares the raw bytes of addresses: one that was configured has 16,
/// one that was bound has 4. Whoever passes a record on must keep its form.
#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_addresses_are_passed_on() {
    let rust = start(Config {
        advertise_addr: "127.0.0.1".to_owned(),
        ..config("rust")
    })
    .await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("-bind-port={}", free.local_addr().unwrap().port());
    drop(free);
    let seed = rust.advertised().to_string();
    let long = go("go-long", &seed, &[&port, "-advertise-addr=127.0.0.1"]).await;
    let short = go("go-short", &seed, &[]).await;
    let everyone = ["go-long", "go-short"];
    // Each hears of the other through Rust, then from the other itself.
    for peer in [&long, &short] {
        until_same(peer, &rust, &everyone).await;
        peer.until("three members", |seen| seen.members == 3).await;
    }
    until_alive(&rust, 3).await;
    short.leave().await;
    long.until("two members", |seen| seen.members == 2).await;
    until_ids(&rust, &["go-long"]).await;
}

/// Go probes every 5 s and would suspect a node whose acks it does not
/// understand; that node would then have to refute.
#[tokio::test(flavor = "multi_thread")]
async fn go_is_content_with_our_acks() {
    let rust = start(config("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    let end = Instant::now() + Duration::from_secs(14);
    while Instant::now() < end {
        let members = rust.members();
        let own = members
            .iter()
            .find(|member| member.name == rust.local_name());
        assert_eq!(own.unwrap().incarnation, 1, "{members:?}");
        assert_eq!(alive(&members), 2, "{members:?}");
        assert_eq!(go.seen().members, 2);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
