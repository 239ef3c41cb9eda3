//! Peers that mean harm or are broken do none to others.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod support;

use std::time::Duration;

use prometheus_client::registry::Registry;
use proto::ring::InstanceState;
use pyroscope_gossip::{Config, Gossip};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// What no peer sends. The first byte is the kind of connection.
fn garbage() -> Vec<Vec<u8>> {
    let frame = |payload: &[u8]| memberlist::frame::encode("127.0.0.1:1", payload).unwrap();
    let mut damaged = frame(b"\x04damaged");
    *damaged.last_mut().unwrap() ^= 1;
    let mut all = vec![
        vec![],
        vec![0xFF; 64],
        b"GET /metrics HTTP/1.1\r\n\r\n".to_vec(),
        vec![1],
        vec![1, 255, b'x'],
        damaged,
        frame(b""),
        frame(&[7, 255, 0, 0]),
        frame(&[9, 0x82]),
        frame(&[12, 1, 2, 3, 4, 5]),
        frame(&[0xF4, 0]),
        vec![2],
        vec![2, 6, 0x83],
        vec![2, 0xF4, 200, 1],
        // A push/pull that announces 2^31 - 1 nodes.
        [
            &[2, 6, 0x83, 0xA4][..],
            b"Join",
            &[0xC2, 0xA5],
            b"Nodes",
            &[0xD2, 0x7F, 0xFF, 0xFF, 0xFF],
        ]
        .concat(),
    ];
    // Every message type, followed by noise that is the same in each run.
    let mut noise = 0x2545_F491_4F6C_DD1D_u64;
    for kind in 0..=255 {
        let mut body = vec![kind];
        for _ in 0..32 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            body.extend(noise.to_le_bytes());
        }
        all.push(frame(&body));
        all.push([&[2][..], &body].concat());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_no_harm() {
    let seed = start(config("seed")).await;
    for bytes in garbage() {
        let mut connection = TcpStream::connect(seed.advertised()).await.unwrap();
        // The node may close before everything is written.
        let _ = connection.write_all(&bytes).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let reading = connection.read_to_end(&mut answer);
        let _ = timeout(PATIENCE, reading)
            .await
            .expect("the node ends the connection");
    }
    until_alive(&seed, 1).await;
    let other = start(joining("other", seed.advertised())).await;
    register(
        &other,
        instance("other", InstanceState::Active, unix_now(), &[1]),
    );
    until_ids(&seed, &["other"]).await;
    until_alive(&seed, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_do_not_keep_others_out() {
    let seed = start(config("seed")).await;
    let mut held = Vec::new();
    for index in 0..600 {
        let mut connection = TcpStream::connect(seed.advertised()).await.unwrap();
        let beginning: &[u8] = match index % 3 {
            0 => &[],
            1 => &[1, 3, b'a'],
            _ => &[2, 6, 0x83],
        };
        connection.write_all(beginning).await.unwrap();
        held.push(connection);
    }
    // More streams than are served at once are held now. They end by their
    // timeout, and whoever wants to join tries again.
    let other = start(Config {
        max_join_retries: 1000,
        ..joining("other", seed.advertised())
    })
    .await;
    register(
        &other,
        instance("other", InstanceState::Active, unix_now(), &[1]),
    );
    until_ids(&seed, &["other"]).await;
    until_alive(&seed, 2).await;
    timeout(Duration::from_secs(30), seed.shutdown())
        .await
        .unwrap();
}

/// Opens a connection, sends the beginning of something, and returns after how
/// long the node closes it, while one more byte follows every `pause`.
async fn closed_after(node: &Gossip, beginning: &[u8], pause: Duration) -> Duration {
    let opened = Instant::now();
    let mut connection = TcpStream::connect(node.advertised()).await.unwrap();
    connection.write_all(beginning).await.unwrap();
    let (mut reader, mut writer) = connection.split();
    let mut answer = Vec::new();
    let closed = reader.read_to_end(&mut answer);
    let trickle = async {
        loop {
            tokio::time::sleep(pause).await;
            if writer.write_all(&[0]).await.is_err() {
                return;
            }
        }
    };
    let until_closed = async {
        tokio::select! {
            _ = closed => {}
            () = trickle => {}
        }
    };
    let _ = timeout(PATIENCE, until_closed).await;
    opened.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_slow_connections_are_closed() {
    let node = start(Config {
        packet_idle_timeout: Duration::from_millis(500),
        packet_read_timeout: Duration::from_millis(1500),
        stream_timeout: Duration::from_millis(700),
        ..config("node")
    })
    .await;
    let never = Duration::from_secs(3600);
    for (beginning, limit) in [(&[][..], 500), (&[1, 3, b'a'], 500), (&[2, 6, 0x83], 700)] {
        let after = closed_after(&node, beginning, never).await;
        assert!(after >= Duration::from_millis(limit), "{after:?}");
        assert!(after < PATIENCE, "{after:?}");
    }
    // Never silent for long, and yet not served for ever.
    let slowly = Duration::from_millis(100);
    let after = closed_after(&node, &[1, 3, b'a'], slowly).await;
    assert!(
        after >= Duration::from_millis(1500) && after < PATIENCE,
        "{after:?}"
    );
    let after = closed_after(&node, &[2, 6, 0x83, 0xA4], slowly).await;
    assert!(after < PATIENCE, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_packets_are_cut_off() {
    let mut registry = Registry::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Gossip::start(config("node"), listener, &mut registry, 1)
        .await
        .unwrap();
    let mut connection = TcpStream::connect(node.advertised()).await.unwrap();
    let mut answer = Vec::new();
    // Without an end, so that only the limit can close the connection.
    let endless = async {
        let chunk = vec![1; 1 << 20];
        while connection.write_all(&chunk).await.is_ok() {}
        let _ = connection.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, endless).await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = "pyroscope_memberlist_tcp_transport_packets_received_errors_total 1";
    assert!(text.contains(line), "{text}");
}
