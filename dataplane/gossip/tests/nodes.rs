//! Nodes of this implementation among themselves, over real sockets.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod support;

use std::time::Duration;

use prometheus_client::registry::Registry;
use proto::ring::{Desc, InstanceState};
use pyroscope_gossip::{CasError, Config, Dialect, Gossip, GossipError, Listeners, MemberState};
use support::*;
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_converge_through_one_seed() {
    let seed = start(config("node-0")).await;
    let mut nodes = Vec::new();
    for index in 1..5 {
        nodes.push(start(joining(&format!("node-{index}"), seed.advertised())).await);
    }
    nodes.push(seed);
    for (index, node) in nodes.iter().enumerate() {
        let token = 1000 * index as u32;
        let id = format!("ingester-{index}");
        let tokens = [token, token + 1];
        register(
            node,
            instance(&id, InstanceState::Active, unix_now(), &tokens),
        );
    }
    let expected: Vec<String> = (0..5).map(|index| format!("ingester-{index}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let first = until_ids(&nodes[0], &expected).await;
    for node in &nodes {
        until_alive(node, 5).await;
        let ring = until_ids(node, &expected).await;
        assert_eq!(ownership(&ring), ownership(&first));
        assert!(node.joined());
    }
    for node in &nodes {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_found_dead_and_its_instance_stays() {
    let seed = start(config("seed")).await;
    let other = start(joining("other", seed.advertised())).await;
    let victim = start(joining("victim", seed.advertised())).await;
    let record = instance("victim", InstanceState::Active, unix_now(), &[7]);
    register(&victim, record);
    until_alive(&seed, 3).await;
    until_ids(&other, &["victim"]).await;

    let name = victim.local_name().to_owned();
    drop(victim);
    for node in [&seed, &other] {
        until_members(node, "the victim to be dead", |members| {
            matches!(state_of(members, &name), Some(MemberState::Dead) | None)
        })
        .await;
        assert_eq!(ids(&node.kv().get(RING).unwrap()), ["victim"].into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_node_is_heard_to_the_end() {
    let seed = start(config("seed")).await;
    let leaver = start(joining("leaver", seed.advertised())).await;
    register(
        &leaver,
        instance("leaver", InstanceState::Active, unix_now(), &[7]),
    );
    until_ids(&seed, &["leaver"]).await;

    // The last word is written right before the end, and must arrive.
    unregister(&leaver, "leaver");
    let name = leaver.local_name().to_owned();
    timeout(Duration::from_secs(20), leaver.shutdown())
        .await
        .unwrap();
    until_ids(&seed, &[]).await;
    until_members(&seed, "the leaver to have left", |members| {
        matches!(state_of(members, &name), Some(MemberState::Left) | None)
    })
    .await;
    let refused = leaver.kv().cas(RING, |_| Some(Desc::default()));
    assert_eq!(refused, Err(CasError::Stopped { key: RING.into() }));
    // No task is left that holds the port, and a second call does no harm.
    TcpListener::bind(leaver.advertised()).await.unwrap();
    leaver.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_takes_its_name_and_address_back() {
    let fixed = |config: Config| Config {
        randomize_node_name: false,
        ..config
    };
    let seed = start(config("seed")).await;
    let address = own_address();
    let first = start_on(fixed(joining("fixed", seed.advertised())), address).await;
    until_alive(&seed, 2).await;
    drop(first);
    until_members(&seed, "the node to be missed", |members| {
        alive(members) == 1
    })
    .await;
    let listener = async {
        loop {
            if let Ok(listener) = TcpListener::bind(address).await {
                return listener;
            }
            tokio::task::yield_now().await;
        }
    };
    let listener = timeout(PATIENCE, listener).await.unwrap();
    let again = fixed(joining("fixed", seed.advertised()));
    let again = Gossip::start(again, listener, &mut Registry::default(), 99)
        .await
        .unwrap();
    until_alive(&seed, 2).await;
    until_alive(&again, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_are_found_by_name() {
    let seed = start(config("seed")).await;
    let port = seed.advertised().port();
    let by_name = |seed: String| Config {
        join: vec![seed],
        ..config("by-name")
    };
    let plain = start(by_name(format!("localhost:{port}"))).await;
    until_alive(&plain, 2).await;
    let dns = start(by_name(format!("dns+localhost:{port}"))).await;
    until_alive(&dns, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_node_do_not_overwrite_each_other() {
    let node = start(config("node")).await;
    let mut writers = tokio::task::JoinSet::new();
    for index in 0..8 {
        let kv = node.kv();
        writers.spawn_blocking(move || {
            let id = format!("writer-{index}");
            let record = instance(&id, InstanceState::Active, unix_now(), &[index]);
            kv.cas(RING, |ring| {
                let mut ring = ring.cloned().unwrap_or_default();
                ring.ingesters.insert(id.clone(), record.clone());
                Some(ring)
            })
        });
    }
    for result in writers.join_all().await {
        assert_eq!(result, Ok(true));
    }
    assert_eq!(node.kv().get(RING).unwrap().ingesters.len(), 8);
    let same = node.kv().cas(RING, |ring| ring.cloned());
    assert_eq!(same, Err(CasError::NoChange { key: RING.into() }));
    assert_eq!(node.kv().cas(RING, |_| None), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_leaves_at_once() {
    let node = start(config("alone")).await;
    register(
        &node,
        instance("alone", InstanceState::Active, unix_now(), &[7]),
    );
    timeout(Duration::from_secs(5), node.shutdown())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn islands_heal_by_rejoining() {
    let a = start(config("a")).await;
    let b = start(joining("b", a.advertised())).await;
    let c = start(config("c")).await;
    let bridge = Config {
        rejoin_seeds: vec![a.advertised().to_string()],
        rejoin_interval: Duration::from_secs(1),
        ..joining("d", c.advertised())
    };
    let d = start(bridge).await;
    register(&b, instance("b", InstanceState::Active, unix_now(), &[1]));
    register(&c, instance("c", InstanceState::Active, unix_now(), &[2]));
    for node in [&a, &b, &c, &d] {
        until_alive(node, 4).await;
        until_ids(node, &["b", "c"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_may_come_up_late() {
    let address = own_address();
    let early = start(Config {
        max_join_retries: 1000,
        ..joining("early", address)
    })
    .await;
    assert!(!early.joined());
    let late = start_on(config("late"), address).await;
    until_alive(&early, 2).await;
    until_alive(&late, 2).await;
    assert!(early.joined() && late.joined());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_labels_stay_out_until_verification_is_disabled() {
    let labelled = |name: &str, label: &str| Config {
        cluster_label: label.to_owned(),
        ..config(name)
    };
    let ours = start(labelled("ours", "ns.ours")).await;
    for (name, label) in [("theirs", "ns.theirs"), ("unlabelled", "")] {
        let stranger = start(Config {
            join: vec![ours.advertised().to_string()],
            max_join_retries: 1,
            abort_if_join_fails: true,
            ..labelled(name, label)
        })
        .await;
        timeout(PATIENCE, stranger.failed()).await.unwrap();
        assert!(!stranger.joined());
        assert_eq!((alive(&ours.members()), alive(&stranger.members())), (1, 1));
    }
    let lenient = start(Config {
        cluster_label_verification_disabled: true,
        ..labelled("lenient", "")
    })
    .await;
    let joining = Config {
        join: vec![lenient.advertised().to_string()],
        cluster_label_verification_disabled: true,
        ..labelled("rolling", "ns.ours")
    };
    let rolling = start(joining).await;
    until_alive(&lenient, 2).await;
    until_alive(&rolling, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_must_join_and_cannot_does_not_start() {
    let (nobody, address) = (own_address(), own_address());
    let listener = TcpListener::bind(address).await.unwrap();
    let config = Config {
        abort_if_fast_join_fails: true,
        ..joining("strict", nobody)
    };
    let result = Gossip::start(config, listener, &mut Registry::default(), 1).await;
    assert!(matches!(
        result,
        Err(GossipError::Join {
            joined: 0,
            required: 1
        })
    ));
    // Its tasks end and with them the listener.
    let rebound = async {
        while TcpListener::bind(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, rebound).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_seeds_are_itself_counts_as_joined() {
    let address = own_address();
    let node = start_on(
        Config {
            max_join_retries: 2,
            abort_if_join_fails: true,
            ..joining("first", address)
        },
        address,
    )
    .await;
    let failed = timeout(Duration::from_secs(1), node.failed()).await;
    assert!(failed.is_err() && node.joined());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_named() {
    for (config, named) in [
        (joining_text("dnssrvx+name"), "dnssrvx"),
        (joining_text("host:port"), "host:port"),
        (
            Config {
                cluster_label: "x".repeat(256),
                ..config("x")
            },
            "cluster-label",
        ),
        (
            Config {
                gossip_interval: Duration::ZERO,
                ..config("x")
            },
            "gossip-interval",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let result = Gossip::start(config, listener, &mut Registry::default(), 1).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

fn joining_text(seed: &str) -> Config {
    Config {
        join: vec![seed.to_owned()],
        ..config("x")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_of_dskit() {
    let mut registry = Registry::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let seed = Gossip::start(config("seed"), listener, &mut registry, 1)
        .await
        .unwrap();
    let other = start(joining("other", seed.advertised())).await;
    register(
        &other,
        instance("other", InstanceState::Active, unix_now(), &[7]),
    );
    until_ids(&seed, &["other"]).await;
    until_alive(&seed, 2).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "memberlist_client_cluster_members_count 2",
        "memberlist_client_kv_store_value_tombstones{key=\"collectors/ring\"} 0",
        "memberlist_client_received_broadcasts_total ",
        "memberlist_client_state_pushes_total ",
        "memberlist_client_state_pulls_bytes_total ",
        "memberlist_client_messages_in_broadcast_queue{queue=\"local\"} ",
        "memberlist_tcp_transport_incoming_streams_total ",
        "memberlist_tcp_transport_packets_sent_bytes_total ",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_serves() {
    let addresses = ["127.0.3.1:0", "127.0.3.2:0"].map(|address| address.parse().unwrap());
    let listeners = Listeners::bind(&addresses, Dialect::Dskit).await.unwrap();
    let port = listeners.local_addr().unwrap().port();
    let mut registry = Registry::default();
    let seed = Gossip::start(config("seed"), listeners, &mut registry, 1)
        .await
        .unwrap();
    assert_eq!(seed.advertised().to_string(), format!("127.0.3.1:{port}"));
    let second = format!("127.0.3.2:{port}").parse().unwrap();
    let peer = start(joining("peer", second)).await;
    assert!(peer.joined());
    until_alive(&seed, 2).await;
}
