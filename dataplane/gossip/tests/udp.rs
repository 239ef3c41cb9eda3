//! The classic dialect: datagrams and encryption.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "support/recorder.rs"]
mod recorder;
mod support;

use std::net::SocketAddr;

use pyroscope_gossip::{Broadcast, Config};
use recorder::*;
use tokio::net::UdpSocket;

/// Keys of 16, 24 and 32 bytes, and the same in base64.
const KEYS: [(&[u8], &str); 3] = [
    (&[1; 16], "AQEBAQEBAQEBAQEBAQEBAQ=="),
    (&[2; 24], "AgICAgICAgICAgICAgICAgICAgICAgIC"),
    (&[3; 32], "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="),
];

fn with_keys(config: Config, keys: &[&str]) -> Config {
    Config {
        keyring: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_converge_and_hear_each_other() {
    // Often enough to reach everybody for certain.
    let often = |index| Config {
        retransmit_factor: 16,
        ..classic(&format!("node-{index}"))
    };
    let seed = create(often(0)).await;
    let mut nodes = vec![];
    for index in 1..5 {
        let node = create(often(index)).await;
        node.join(&seed).await;
        nodes.push(node);
    }
    for node in &nodes {
        node.until_present(5).await;
    }
    let broadcast = Broadcast::new("key", ["id"], 1, &b"news"[..]);
    nodes[3].node.broadcast(broadcast).await.unwrap();
    for node in nodes.iter().take(3).chain([&seed]) {
        node.until_present(5).await;
        node.application.until_message(b"news").await;
    }
    for node in &nodes {
        node.node.leave().await;
    }
    seed.until_present(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_while_nodes_run() {
    for (old, new) in [(0, 1), (1, 2), (2, 0)] {
        let (old, new) = (KEYS[old], KEYS[new]);
        let one = create(with_keys(classic("one"), &[old.1])).await;
        let other = create(with_keys(classic("other"), &[old.1])).await;
        other.join(&one).await;
        one.until_present(2).await;
        for node in [&one, &other] {
            node.node.install_key(new.0.into()).await.unwrap();
        }
        for node in [&one, &other] {
            node.node.use_key(new.0.into()).await.unwrap();
            node.node.remove_key(old.0.into()).await.unwrap();
        }
        let to = other.node.advertised();
        one.node
            .send_best_effort(to, b"packet"[..].into())
            .await
            .unwrap();
        other.application.until_message(b"packet").await;
        one.node
            .send_reliable(to, b"stream"[..].into())
            .await
            .unwrap();
        other.application.until_message(b"stream").await;
        let third = create(with_keys(classic("third"), &[new.1])).await;
        third.join(&one).await;
        other.until_present(3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_stays_out() {
    let node = create(with_keys(classic("node"), &[KEYS[0].1])).await;
    let address = node.node.advertised().to_string();
    let plain = create(classic("plain")).await;
    plain.node.join(&[&address]).await.unwrap_err();
    node.until_refused("not_encrypted", 1).await;
    let foreign = create(with_keys(classic("foreign"), &[KEYS[1].1])).await;
    foreign.node.join(&[&address]).await.unwrap_err();
    node.until_refused("unknown_key", 1).await;
    let to = node.node.advertised();
    for stranger in [&plain, &foreign] {
        let message = b"hello"[..].into();
        stranger.node.send_best_effort(to, message).await.unwrap();
    }
    node.until_refused("not_encrypted", 2).await;
    node.until_refused("unknown_key", 2).await;
    assert_eq!(node.node.members().len(), 1);
    assert!(node.application.messages.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_keys_are_refused() {
    for (key, reason) in [("?", "base64"), ("AQEB", "16, 24 or 32")] {
        let config = with_keys(classic("node"), &[key]);
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let created = create_on(config, Recorder::default(), address).await;
        let error = created.err().unwrap().to_string();
        assert!(error.contains(reason) && !error.contains(key), "{error}");
    }
    let node = create(with_keys(classic("node"), &[KEYS[0].1])).await;
    node.node.remove_key(KEYS[0].0.into()).await.unwrap_err();
    node.node.use_key(KEYS[1].0.into()).await.unwrap_err();
    node.node
        .install_key(b"short"[..].into())
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_datagrams_change_nothing() {
    let node = create(classic("node")).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut noise = 0x2545_F491_4F6C_DD1D_u64;
    let mut sent = 0;
    for kind in (0..=255).filter(|kind| *kind != 8) {
        let mut datagram = vec![kind];
        for _ in 0..(kind as usize) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            datagram.extend(noise.to_le_bytes());
        }
        stranger
            .send_to(&datagram, node.node.advertised())
            .await
            .unwrap();
        sent += 1;
    }
    assert_eq!(sent, 255);
    stranger.send_to(&[], node.node.advertised()).await.unwrap();
    stranger
        .send_to(&vec![9; 60_000], node.node.advertised())
        .await
        .unwrap();
    let peer = create(classic("peer")).await;
    peer.join(&node).await;
    node.until_present(2).await;
    for reason in ["malformed", "unexpected_type", "truncated"] {
        node.until_refused(reason, 1).await;
    }
    assert!(node.application.messages.lock().is_empty());
    let events = node.application.events.lock().clone();
    assert_eq!(events, ["joined peer"]);
}
