//! Compression, and acknowledgements.

use std::time::Duration;

use pyroscope_gossip::{Compression, Config};

use crate::mixed::{active, config, go, joining, until_same};
use crate::support::*;

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
    let second = start(joining(settings("rust-second"), go_1.address())).await;
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

/// Every node sends with its own kind, and reads all.
#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_compression_mix() {
    let rust = start(Config {
        compression: Compression::Snappy,
        ..config("rust")
    })
    .await;
    let seed = rust.advertised().to_string();
    let (plain, lzw) = tokio::join!(
        go("go-none", &seed, &["-compression=none"]),
        go("go-lzw", &seed, &["-compression=lzw"]),
    );
    let many: Vec<u32> = (0..4096).collect();
    register(&rust, active("rust", &many));
    for go in [&plain, &lzw] {
        until_same(go, &rust, &["go-lzw", "go-none", "rust"]).await;
        go.until_members(3).await;
    }
}

/// A node whose acks are not understood would be suspected, and would have to
/// refute: its incarnation tells.
#[tokio::test(flavor = "multi_thread")]
async fn both_are_content_with_the_acks_of_the_other() {
    let rust = start(Config {
        probe_interval: Duration::from_millis(500),
        probe_timeout: Duration::from_millis(250),
        ..config("rust")
    })
    .await;
    let flags = ["-probe-interval=500ms"];
    let go = go("go-0", &rust.advertised().to_string(), &flags).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let beat = |ring: &proto::ring::Desc| ring.ingesters["go-0"].timestamp;
    // Go probes several times between two of its heartbeats.
    let first = beat(&rust.kv().get(RING).unwrap());
    until_ring(&rust, "three heartbeats", |ring| beat(ring) >= first + 3).await;
    for member in rust.members().iter() {
        // One accusation may be due to a machine that stood still; acks that
        // nobody understands cause one per probe.
        assert!(member.incarnation <= 3, "{member:?}");
    }
    until_alive(&rust, 2).await;
    go.until_members(2).await;
}
