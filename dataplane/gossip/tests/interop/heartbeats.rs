//! Heartbeats, which the nodes of this implementation send one another in a
//! shorter form that Go does not know.

use proto::ring::InstanceState;

use crate::mixed::{active, config, go, joining, until_same};
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_and_states_arrive_on_both_sides() {
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

/// Go nodes stand in a crowd of ours and hear every single heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn go_hears_every_heartbeat_among_rust_nodes() {
    let first = start(config("rust-0")).await;
    let seed = first.advertised().to_string();
    let mut rusts = vec![first];
    for index in 1..4 {
        let name = format!("rust-{index}");
        rusts.push(start(joining(config(&name), seed.clone())).await);
    }
    let (go_0, go_1) = tokio::join!(go("go-0", &seed, &[]), go("go-1", &seed, &[]));
    let beating = active("rust-0", &[1, 2, 3]);
    register(&rusts[0], beating.clone());
    for go in [&go_0, &go_1] {
        until_same(go, &rusts[3], &["go-0", "go-1", "rust-0"]).await;
    }
    for beat in 1..=6 {
        let timestamp = beating.timestamp + beat;
        register(
            &rusts[0],
            proto::ring::InstanceDesc {
                timestamp,
                ..beating.clone()
            },
        );
        for go in [&go_0, &go_1] {
            let seen = go
                .until("the heartbeat", |seen| {
                    seen.ring["rust-0"].timestamp >= timestamp
                })
                .await;
            assert_eq!(seen.ring["rust-0"].timestamp, timestamp);
            assert_eq!(seen.ring["rust-0"].tokens.as_deref(), Some(&[1, 2, 3][..]));
        }
        for rust in &rusts {
            let ring = until_ring(rust, "the heartbeat", |ring| {
                ring.ingesters["rust-0"].timestamp >= timestamp
            })
            .await;
            assert_eq!(ring.ingesters["rust-0"].tokens, [1, 2, 3]);
        }
    }
}
