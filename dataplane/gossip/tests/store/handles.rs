//! Handles of the store in running nodes.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proto::memberlist::Beacons;
use proto::ring::{Desc, InstanceState};
use proto::version::v1::{InstanceVersion, Versions};
use pyroscope_gossip::kv::Closed;
use pyroscope_gossip::{CasError, Config, Gossip, Kv, PropagationDelayTracker};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::desc;
use crate::support::{
    PATIENCE, RING, config, instance, joining, register, start, unix_now, until_alive, until_ids,
    until_ring,
};

const VERSIONS: &str = "collectors/versions";

fn ring(kv: &Kv) -> Arc<Desc> {
    kv.get(RING).unwrap_or_default()
}

async fn pair_of_nodes(change: impl Fn(&mut Config)) -> (Gossip, Gossip) {
    let mut first = config("first");
    change(&mut first);
    let first = start(first).await;
    let mut second = joining("second", first.advertised());
    change(&mut second);
    let second = start(second).await;
    until_alive(&first, 2).await;
    until_alive(&second, 2).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_write_at_the_same_time_lose_nothing() {
    let node = start(config("alone")).await;
    let now = unix_now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let kv = node.kv();
        tasks.spawn(async move {
            for number in 0..25 {
                let id = format!("ingester-{task}-{number}");
                let add = |ring: Option<&Desc>| {
                    let mut ring = ring.cloned().unwrap_or_default();
                    let added = instance(&id, InstanceState::Active, now, &[]);
                    ring.ingesters.insert(id.clone(), added);
                    Some(ring)
                };
                while let Err(error) = kv.cas(RING, add) {
                    assert!(matches!(error, CasError::Conflict { .. }), "{error}");
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let ring = ring(&node.kv());
    assert_eq!(ring.ingesters.len(), 100);
    let is_active = |one: &proto::ring::InstanceDesc| one.state == i32::from(InstanceState::Active);
    assert!(ring.ingesters.values().all(is_active), "nobody was buried");
    assert_eq!(node.kv().entries()[0].version, 100);
    node.shutdown().await;
}

#[tokio::test]
async fn heartbeats_travel_in_their_short_form() {
    let (first, second) = pair_of_nodes(|config| {
        config.message_history_buffer_bytes = 1 << 20;
        config.push_pull_interval = Duration::from_secs(3600);
        // Sent once, so what has arrived is no longer queued.
        config.retransmit_factor = 1;
    })
    .await;
    let now = unix_now();
    let tokens: Vec<u32> = (0..128).collect();
    register(&first, instance("a", InstanceState::Active, now, &tokens));
    until_ids(&second, &["a"]).await;
    // A heartbeat that overtakes news is sent whole.
    let mut later = instance("a", InstanceState::Active, now, &tokens);
    let is_short = || {
        let received = second.kv().messages().received;
        received.iter().any(|one| one.codec == "heartbeats")
    };
    while !is_short() {
        later.timestamp += 5;
        first.kv().merge(RING, desc([later.clone()])).unwrap();
        let ring = until_ring(&second, "the heartbeat", |ring| {
            ring.ingesters["a"].timestamp == later.timestamp
        })
        .await;
        assert_eq!(ring.ingesters["a"], later, "nothing else changed");
    }

    let received = second.kv().messages().received;
    let heartbeat = received
        .iter()
        .find(|one| one.codec == "heartbeats")
        .unwrap();
    assert!(heartbeat.size < 80, "{} bytes", heartbeat.size);
    assert_eq!(heartbeat.changes, [Arc::from("a")]);
    let shown = second.kv().message_json(heartbeat.id).unwrap();
    assert_eq!(shown["heartbeats"][0]["timestamp"], later.timestamp);
    let sent = first.kv().messages().sent;
    let whole = sent.iter().rfind(|one| one.codec == "ringDesc").unwrap();
    let shown = first.kv().message_json(whole.id).unwrap();
    assert_eq!(shown["ingesters"]["a"]["timestamp"], later.timestamp);
    second.kv().clear_messages();
    assert!(second.kv().message_json(heartbeat.id).is_none());
    first.shutdown().await;
    second.shutdown().await;
}

/// It could not ask for what it missed.
#[tokio::test]
async fn a_node_that_makes_no_exchanges_is_sent_whole_records() {
    let (first, second) = pair_of_nodes(|config| {
        config.message_history_buffer_bytes = 1 << 20;
        config.push_pull_interval = Duration::ZERO;
        config.retransmit_factor = 1;
    })
    .await;
    let mut record = instance("a", InstanceState::Active, unix_now(), &[1]);
    for _ in 0..4 {
        record.timestamp += 5;
        first.kv().merge(RING, desc([record.clone()])).unwrap();
        until_ring(&second, "the heartbeat", |ring| {
            let known = ring.ingesters.get("a");
            known.is_some_and(|known| known.timestamp == record.timestamp)
        })
        .await;
    }
    let received = second.kv().messages().received;
    assert!(received.iter().all(|one| one.codec == "ringDesc"));
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn values_of_other_types_are_shared_and_watched_by_prefix() {
    let (first, second) = pair_of_nodes(|_| {}).await;
    let mut changes = second.kv().of::<Versions>().watch_prefix("collectors/");
    let version = InstanceVersion {
        id: "a".into(),
        timestamp: 5,
        ..InstanceVersion::default()
    };
    let versions = Versions {
        instances: [("a".to_owned(), version)].into(),
    };
    register(
        &first,
        instance("a", InstanceState::Active, unix_now(), &[]),
    );
    let kv = first.kv().of::<Versions>();
    kv.merge(VERSIONS, versions.clone()).unwrap();
    let seen = timeout(PATIENCE, changes.next()).await.unwrap();
    let (key, value) = seen.unwrap();
    assert_eq!((key.as_ref(), value.as_ref()), (VERSIONS, &versions));
    until_ids(&second, &["a"]).await;
    let keys = second.kv().keys("collectors/");
    assert_eq!(keys, [Arc::from(RING), Arc::from(VERSIONS)]);
    let shown = second.kv().value_json(VERSIONS).unwrap();
    assert_eq!(shown["Instances"]["a"]["Timestamp"], 5);
    second.shutdown().await;
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), None);
    first.shutdown().await;
}

#[tokio::test]
async fn batched_watchers_see_many_changes_as_one() {
    let mut settings = config("alone");
    settings.notify_interval = Duration::from_millis(50);
    let node = start(settings).await;
    let mut watch = node.kv().watch(RING);
    let now = unix_now();
    for later in 1..=5 {
        let record = instance("a", InstanceState::Active, now + later, &[]);
        node.kv().merge(RING, desc([record])).unwrap();
    }
    timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
    let seen = watch.borrow_and_update();
    assert_eq!(seen.ingesters["a"].timestamp, now + 5);
    node.shutdown().await;
    assert_eq!(
        timeout(PATIENCE, watch.changed()).await.unwrap(),
        Err(Closed)
    );
    assert_eq!(watch.borrow(), seen, "what was known is still there");
}

#[tokio::test]
async fn propagation_is_measured() {
    let tracker = PropagationDelayTracker {
        enabled: true,
        beacon_interval: Duration::from_millis(100),
        ..PropagationDelayTracker::default()
    };
    let mut registry = Registry::default();
    let mut watching = config("watching");
    watching.propagation_delay_tracker = tracker;
    // It measures, but others are always faster to publish.
    watching.propagation_delay_tracker.beacon_interval = Duration::from_secs(3600);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let watching = Gossip::start(watching, listener, &mut registry, 99)
        .await
        .unwrap();
    let mut publishing = joining("publishing", watching.advertised());
    publishing.propagation_delay_tracker = tracker;
    let publishing = start(publishing).await;

    let kv = watching.kv().of::<Beacons>();
    let mut beacons = kv.watch("memberlist-propagation-delay-tracker");
    let two = beacons.wait_for(|beacons| beacons.beacons.len() >= 2);
    let seen = timeout(PATIENCE, two).await.unwrap().unwrap();
    let by = |name: &str| {
        let mut beacons = seen.beacons.values();
        beacons.any(|beacon| beacon.published_by.starts_with(name))
    };
    assert!(by("publishing") && !by("watching"));
    let count = |name: &str| {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let counted = async {
        while count("memberlist_propagation_tracker_delay_seconds_count ") < 2 {
            // The tracker is woken by the same change, perhaps after this.
            beacons.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    assert!(count("memberlist_propagation_tracker_beacons_received_total ") >= 2);
    watching.shutdown().await;
    publishing.shutdown().await;
}
