//! Peers that mean harm or are broken do none to others.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/metered.rs"]
mod metered;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use certificates::{Authority, Files};
use metered::Metered;

use proto::ring::InstanceState;
use pyroscope_gossip::{Config, Gossip, IncomingLimits};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
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

/// Sends all of `bytes` as one connection and waits until the node closes it.
async fn deliver(to: SocketAddr, bytes: &[u8]) {
    let mut connection = TcpStream::connect(to).await.unwrap();
    // The node may close before everything is written.
    let _ = connection.write_all(bytes).await;
    let _ = connection.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, connection.read_to_end(&mut answer))
        .await
        .expect("the node ends the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_no_harm() {
    let seed = Metered::start(config("seed")).await;
    let garbage = garbage();
    for bytes in &garbage {
        deliver(seed.node.advertised(), bytes).await;
    }
    assert_eq!(alive(&seed.node.members()), 1);
    assert!(seed.node.kv().entries().is_empty());
    for reason in [
        "checksum",
        "idle",
        "label",
        "malformed",
        "truncated",
        "unexpected_type",
        "unknown_kind",
    ] {
        let counted = seed.refused(reason);
        assert_eq!(counted > 0, reason != "idle", "{reason}: {}", seed.text());
    }
    let other = start(joining("other", seed.node.advertised())).await;
    register(
        &other,
        instance("other", InstanceState::Active, unix_now(), &[1]),
    );
    until_ids(&seed.node, &["other"]).await;
    until_alive(&seed.node, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_clusters_are_refused_and_counted() {
    let node = Metered::start(Config {
        cluster_label: "ours".into(),
        ..config("node")
    })
    .await;
    let to = node.node.advertised();
    let labelled = [&[0xF4, 6][..], b"theirs", &[8, 1, 2, 3]].concat();
    let encrypted = [&[0xF4, 4][..], b"ours", &[1; 60]].concat();
    let stream = [&[2, 0xF4, 6][..], b"theirs", &[6, 0x83]].concat();
    deliver(to, &memberlist::frame::encode("x", &labelled).unwrap()).await;
    deliver(to, &memberlist::frame::encode("x", &encrypted).unwrap()).await;
    deliver(to, &stream).await;
    node.until_refused("label", 2).await;
    assert_eq!(alive(&node.node.members()), 1);
}

/// Settings under which a crowd is soon too large.
fn strict(config: Config) -> Config {
    Config {
        incoming: IncomingLimits {
            connections: 128,
            connections_per_source: 64,
            bytes: 16 << 20,
        },
        ..config
    }
}

/// Opens a connection from an address of this host.
async fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let source = SocketAddr::new(source.parse().unwrap(), 0);
    socket.bind(source).unwrap();
    socket.connect(to).await.unwrap()
}

/// Returns the bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Thousands of connections that never end, from a few addresses, each with
/// the beginning of something; `while_crowded` runs with the last of them open.
async fn crowd(to: SocketAddr, beginning: &[u8], while_crowded: impl Future<Output = ()>) {
    let mut held = std::collections::VecDeque::new();
    for index in 0..3000 {
        let source = format!("127.0.1.{}", 1 + index % 4);
        let mut connection = connect_from(&source, to).await;
        // Given up by the node, perhaps, before all is written.
        let _ = connection.write_all(beginning).await;
        held.push_back(connection);
        if held.len() > 256 {
            held.pop_front();
        }
    }
    while_crowded.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_slow_connections_keeps_nobody_out() {
    let seed = Metered::start(strict(config("seed"))).await;
    let to = seed.node.advertised();
    for (index, beginning) in [&[][..], &[1, 3, b'a'], &[2, 6, 0x83]]
        .into_iter()
        .enumerate()
    {
        let before = seed.refused("crowded");
        let join = async {
            let name = format!("peer-{index}");
            let peer = start(joining(&name, to)).await;
            assert!(peer.joined(), "at the first attempt");
            register(
                &peer,
                instance(&name, InstanceState::Active, unix_now(), &[1]),
            );
            until_ring(&seed.node, &name, |ring| ring.ingesters.contains_key(&name)).await;
            peer.shutdown().await;
        };
        crowd(to, beginning, join).await;
        let crowded = seed.refused("crowded") - before;
        assert!(crowded >= 3000 - 128 - 256, "{crowded}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_messages_fill_no_memory() {
    let seed = Metered::start(strict(config("seed"))).await;
    let to = seed.node.advertised();
    // Each source may have 64 connections: without a limit of bytes they would
    // hold 256 MiB.
    let unfinished = vec![1; 2 << 20];
    let before = resident();
    let mut held = Vec::new();
    for index in 0..128 {
        let mut connection = connect_from(&format!("127.0.2.{}", 1 + index % 2), to).await;
        let writing = connection.write_all(&unfinished);
        let _ = timeout(Duration::from_secs(1), writing).await;
        held.push(connection);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 96 << 20, "{grown} bytes more");
    assert!(seed.refused("no_memory") > 100, "{}", seed.text());
    let peer = start(joining("peer", to)).await;
    assert!(peer.joined());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_keep_nobody_out() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.sign(&["127.0.0.1"]), &authority.pem);
    let tls = |config| Config {
        tls: Some(files.config()),
        ..strict(config)
    };
    let seed = Metered::start(tls(config("seed"))).await;
    let to = seed.node.advertised();
    for bytes in garbage().iter().filter(|bytes| !bytes.is_empty()).take(32) {
        deliver(to, bytes).await;
    }
    seed.until_refused("tls_handshake", 31).await;
    // A record of the handshake that does not end.
    let join = async {
        let peer = start(tls(joining("peer", to))).await;
        assert!(peer.joined());
        until_alive(&seed.node, 2).await;
    };
    crowd(to, &[22, 3, 1, 2, 0, 1], join).await;
    assert!(seed.refused("crowded") > 2000);
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
    let node = Metered::start(config("node")).await;
    let mut connection = TcpStream::connect(node.node.advertised()).await.unwrap();
    let mut answer = Vec::new();
    // Without an end, so that only the limit can close the connection.
    let endless = async {
        let chunk = vec![1; 1 << 20];
        while connection.write_all(&chunk).await.is_ok() {}
        let _ = connection.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, endless).await.unwrap();
    node.until_refused("too_large", 1).await;
    let line = "memberlist_tcp_transport_packets_received_errors_total 1";
    assert!(node.text().contains(line), "{}", node.text());
}
