//! Cluster labels.

use pyroscope_gossip::Config;
use tokio::time::timeout;

use crate::mixed::{active, config, go, joining, until_same};
use crate::support::*;

fn labelled(name: &str, label: &str) -> Config {
    Config {
        cluster_label: label.to_owned(),
        ..config(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_label_is_accepted() {
    let rust = start(labelled("rust", "ns.ours")).await;
    let flags = ["-cluster-label=ns.ours"];
    let first = go("go-0", &rust.advertised().to_string(), &flags).await;
    let second = start(joining(labelled("rust-1", "ns.ours"), first.address())).await;
    register(&second, active("rust-1", &[1]));
    until_same(&first, &rust, &["go-0", "rust-1"]).await;
    until_alive(&rust, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_labels_keep_rings_apart() {
    let ours = start(labelled("ours", "ns.ours")).await;
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
    let stranger = start(Config {
        max_join_retries: 1,
        abort_if_join_fails: true,
        ..joining(labelled("stranger", "ns.ours"), theirs.address())
    })
    .await;
    timeout(PATIENCE, stranger.failed()).await.unwrap();
    assert_eq!(ids(&ours.kv().get(RING).unwrap()), ["ours"].into());
    assert!(stranger.kv().get(RING).is_none());
    assert_eq!((alive(&ours.members()), alive(&stranger.members())), (1, 1));
    let seen = theirs.until_members(1).await;
    assert!(seen.ring.keys().eq(["theirs"]));
}

/// While a label is rolled out, labelled and unlabelled nodes are one cluster.
#[tokio::test(flavor = "multi_thread")]
async fn labels_mix_while_they_are_not_verified() {
    let lenient = |name: &str, label: &str| Config {
        cluster_label_verification_disabled: true,
        ..labelled(name, label)
    };
    let off = "-cluster-label-verification-disabled";
    let plain = start(lenient("plain", "")).await;
    let seed = plain.advertised().to_string();
    let labelled_go = go("go-new", &seed, &["-cluster-label=new", off]).await;
    let plain_go = go("go-old", &seed, &[off]).await;
    let labelled = start(joining(lenient("labelled", "new"), plain_go.address())).await;
    register(&labelled, active("rust", &[1]));
    for go in [&labelled_go, &plain_go] {
        go.until_members(4).await;
        until_same(go, &plain, &["go-new", "go-old", "rust"]).await;
    }
    until_alive(&plain, 4).await;
    until_alive(&labelled, 4).await;
}
