//! What an application of the library sees, in both dialects.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "support/recorder.rs"]
mod recorder;
mod support;

use pyroscope_gossip::{Broadcast, Config, GossipError, SendError};
use recorder::*;

/// Starts two nodes in the same dialect, which have joined.
async fn pair(configs: [Config; 2]) -> (Recorded, Recorded) {
    let [one, other] = configs;
    let (one, other) = (create(one).await, create(other).await);
    other.join(&one).await;
    one.until_present(2).await;
    other.until_present(2).await;
    (one, other)
}

fn pairs() -> impl Iterator<Item = [Config; 2]> {
    both("one")
        .into_iter()
        .zip(both("other"))
        .map(<[Config; 2]>::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_change_and_leave() {
    for configs in pairs() {
        let (one, other) = pair(configs).await;
        one.application.until_event("joined other").await;
        let meta = b"zone=a"[..].into();
        other.node.update_meta(meta).await.unwrap();
        one.application.until_event("updated other zone=a").await;
        let members = one.node.members();
        assert_eq!(members[1].meta, b"zone=a"[..]);
        other.node.leave().await;
        one.application.until_event("left other").await;
        let gone = other.node.update_meta(b"x"[..].into()).await;
        assert!(matches!(gone, Err(SendError::Stopped)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_are_found() {
    for configs in pairs() {
        let (one, other) = pair(configs).await;
        drop(other);
        one.application.until_event("suspected other").await;
        one.application.until_event("dead other").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_one_node_or_all() {
    for configs in pairs() {
        let (one, other) = pair(configs).await;
        let to = other.node.advertised();
        one.node
            .send_best_effort(to, b"maybe"[..].into())
            .await
            .unwrap();
        other.application.until_message(b"maybe").await;
        one.node
            .send_reliable(to, b"surely"[..].into())
            .await
            .unwrap();
        other.application.until_message(b"surely").await;
        let broadcast = Broadcast::new("key", ["id"], 1, &b"all"[..]);
        one.node.broadcast(broadcast).await.unwrap();
        other.application.until_message(b"all").await;
        let large = vec![0; 32 << 20].into();
        let refused = one.node.send_best_effort(to, large).await;
        assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
        drop(other);
        one.application.until_event("dead other").await;
        let lost = one.node.send_reliable(to, b"lost"[..].into()).await;
        assert!(matches!(lost, Err(SendError::Stream(_))), "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_merged_when_nodes_join() {
    for configs in pairs() {
        let [one, other] = configs;
        let (one, other) = (create(one).await, create(other).await);
        one.application.state.lock().insert("red".into());
        other.application.state.lock().insert("blue".into());
        other.join(&one).await;
        for node in [&one, &other] {
            let application = &node.application;
            application
                .until("both words", |seen| seen.state.lock().len() == 2)
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_what_the_application_adds() {
    for configs in pairs() {
        let (one, other) = pair(configs).await;
        other
            .node
            .set_ack_payload(b"here"[..].into())
            .await
            .unwrap();
        let answered = |seen: &Recorder| seen.answers.lock().iter().any(|a| &a[..] == b"here");
        one.application.until("an answer", answered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_of_one_name_are_a_conflict() {
    for configs in pairs() {
        let (one, _other) = pair(configs.clone()).await;
        let third = create(Config {
            node_name: "other".into(),
            ..configs[0].clone()
        })
        .await;
        third.join(&one).await;
        one.application.until_event("conflict other").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_veto_whom_they_do_not_want() {
    for [one, other] in pairs() {
        let choosy = Recorder {
            unwanted: Some("other".into()),
            ..Recorder::default()
        };
        let one = create_as(one, choosy).await;
        let other = create(other).await;
        other.join(&one).await;
        one.until_refused("vetoed", 1).await;
        assert_eq!(one.node.members().len(), 1);
        assert!(one.application.events.lock().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_nobody_is_an_error() {
    let alone = create(classic("alone")).await;
    let own = alone.node.advertised().to_string();
    for addresses in [vec!["127.0.0.1:9".to_owned()], vec![own], vec![]] {
        let error = alone.node.join(&addresses).await.unwrap_err();
        assert!(
            matches!(error, GossipError::Join { joined: 0, .. }),
            "{error}"
        );
    }
    let error = alone.node.join(&["host:port"]).await.unwrap_err();
    assert!(
        matches!(error, GossipError::InvalidConfig { .. }),
        "{error}"
    );
}
