//! One ring, changed from both sides.

use std::collections::BTreeMap;

use proto::ring::Desc;
use pyroscope_gossip::Gossip;

use crate::mixed::{Record, active, config, go, of_go, of_rust, until_same};
use crate::support::*;

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

/// Both sides add instances, all with the same tokens, as fast as they can.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_add_instances_at_the_same_time() {
    const EACH: u32 = 40;
    let rust = start(config("rust")).await;
    // It watches, so that nothing else changes the ring.
    let go = go("", &rust.advertised().to_string(), &[]).await;
    until_alive(&rust, 2).await;
    let from_rust = async {
        for index in 0..EACH {
            let tokens = [2 * index, 2 * index + 1];
            register(&rust, active(&format!("rust-{index}"), &tokens));
            tokio::task::yield_now().await;
        }
    };
    let add = format!("add go {EACH}");
    tokio::join!(from_rust, go.command(&add));

    // Tokens belong to the smaller id: all of them to Go.
    let settled = |ring: &BTreeMap<String, Record>| {
        let owned = |kind: &str| {
            let records = ring.iter().filter(|(id, _)| id.starts_with(kind));
            records.map(|(_, record)| record.2.len()).sum::<usize>()
        };
        ring.len() == 2 * EACH as usize && owned("go-") == 2 * EACH as usize && owned("rust-") == 0
    };
    let ring = until_ring(&rust, "all instances", |ring| settled(&of_rust(ring))).await;
    let seen = go
        .until("all instances", |seen| settled(&of_go(seen)))
        .await;
    assert_eq!(of_rust(&ring), of_go(&seen));
}

/// Both sides write the same instance at the same time. Each sees its own
/// writes at least, time never goes back, and the last word stands everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_write_one_instance_at_the_same_time() {
    const EACH: i64 = 40;
    let rust = start(config("rust")).await;
    let go = go("", &rust.advertised().to_string(), &[]).await;
    until_alive(&rust, 2).await;
    register(&rust, active("shared", &[1]));
    go.until_ids(&["shared"]).await;
    let began = rust.kv().get(RING).unwrap().ingesters["shared"].timestamp;

    let from_rust = async {
        let mut last = began;
        for _ in 0..EACH {
            let written = touch(&rust, 1);
            assert!(written > last, "{written} was written after {last}");
            last = written;
            tokio::task::yield_now().await;
        }
    };
    let by_go = format!("touch shared {EACH}");
    tokio::join!(from_rust, go.command(&by_go));

    let go_wrote = go.seen().ring["shared"].timestamp;
    let rust_has = until_ring(&rust, "what Go wrote", |ring| {
        ring.ingesters["shared"].timestamp >= go_wrote
    })
    .await;
    let most = began + 2 * EACH;
    assert!((began + EACH..=most).contains(&rust_has.ingesters["shared"].timestamp));

    let last = touch(&rust, 1000);
    let seen = go
        .until("the last word", |seen| {
            seen.ring["shared"].timestamp >= last
        })
        .await;
    let ring = rust.kv().get(RING).unwrap();
    assert_eq!(of_rust(&ring), of_go(&seen));
}

/// A removal on one side and a heartbeat on the other: the tombstone is newer.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_removes_stays_removed() {
    let rust = start(config("rust")).await;
    let go = go("", &rust.advertised().to_string(), &[]).await;
    until_alive(&rust, 2).await;
    register(&rust, active("by-go", &[1]));
    go.command("register by-rust 2").await;
    until_same(&go, &rust, &["by-go", "by-rust"]).await;
    unregister(&rust, "by-rust");
    go.command("remove by-go").await;
    go.until_ids(&[]).await;
    until_ids(&rust, &[]).await;
    let tombstones = rust.kv().get_with_tombstones(RING).unwrap();
    assert_eq!(ids(&tombstones), ["by-go", "by-rust"].into());
}

/// Moves the time of the shared instance on and returns it.
fn touch(rust: &Gossip, seconds: i64) -> i64 {
    let mut written = 0;
    let changed = rust.kv().cas(RING, |ring: Option<&Desc>| {
        let mut ring = ring.cloned()?;
        let shared = ring.ingesters.get_mut("shared")?;
        shared.timestamp += seconds;
        shared.addr = format!("rust:{}", shared.timestamp);
        written = shared.timestamp;
        Some(ring)
    });
    assert!(changed.unwrap());
    written
}
