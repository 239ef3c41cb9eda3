//! Encryption of the classic dialect, and keys that change while nodes run.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pyroscope_gossip::{Config, Member, MemberState};

use crate::classic_node::{Classic, config, original, until_message};
use crate::peer::Peer;

const OLD: [u8; 16] = [1; 16];
const NEW: [u8; 32] = [2; 32];

fn text(key: &[u8]) -> String {
    STANDARD.encode(key)
}

fn key(key: &'static [u8]) -> Bytes {
    Bytes::from_static(key)
}

fn with_keys(name: &str, keys: &[&[u8]]) -> Config {
    Config {
        keyring: keys.iter().map(|key| text(key)).collect(),
        cluster_label: "ours".to_owned(),
        // Whoever is lost here shall be lost to a key, not to a busy machine.
        probe_interval: Duration::from_secs(1),
        probe_timeout: Duration::from_millis(500),
        ..config(name)
    }
}

fn flags(keys: &[&[u8]]) -> Vec<String> {
    let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
    vec![
        format!("-keys={}", keys.join(",")),
        "-cluster-label=ours".to_owned(),
        "-probe-interval=1s".to_owned(),
    ]
}

async fn original_with_keys(name: &str, seed: &str, keys: &[&[u8]]) -> Peer {
    let flags = flags(keys);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    original(name, seed, &flags).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_lengths_are_understood() {
    for length in [16, 24, 32] {
        let key = vec![7; length];
        let rust = Classic::start(with_keys("rust", &[&key])).await;
        let go = original_with_keys("go", &rust.address(), &[&key]).await;
        let second = Classic::start(with_keys("rust-1", &[&key])).await;
        second.join(&go.address()).await;
        rust.until_alive(3).await;
        go.until_members(3).await;
        go.command("send rust secret").await;
        rust.until_message("secret").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_the_key_stay_out() {
    let rust = Classic::start(with_keys("rust", &[&OLD])).await;
    let seed = rust.address();
    let go = original_with_keys("go", &seed, &[&OLD]).await;
    rust.until_alive(2).await;
    let other_key = original_with_keys("other-key", &seed, &[&NEW]).await;
    let no_key = original("no-key", &seed, &["-cluster-label=ours"]).await;
    for config in [
        with_keys("ours-other-key", &[&NEW]),
        with_keys("ours-no-key", &[]),
    ] {
        let stranger = Classic::start(config).await;
        let refused = stranger.list.join(&[go.address()]).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(stranger.list.members().len(), 1);
    }
    for stranger in [&other_key, &no_key] {
        stranger.until_members(1).await;
    }
    assert_eq!(rust.list.members().len(), 2);
    go.until_members(2).await;
}

/// The key is replaced in three steps, as an operator does it: installed
/// everywhere, used everywhere, the old one removed everywhere. Nobody is lost
/// in any of them, messages get through after each, and at the end a node with
/// the old key stays out.
#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_without_losing_a_member() {
    let rust = Classic::start(with_keys("rust", &[&OLD])).await;
    let seed = rust.address();
    let second = Classic::start(with_keys("rust-1", &[&OLD])).await;
    second.join(&seed).await;
    let go = original_with_keys("go", &seed, &[&OLD]).await;
    let go_1 = original_with_keys("go-1", &seed, &[&OLD]).await;
    let everyone = async |step: &str| {
        for rust in [&rust, &second] {
            rust.until_alive(4).await;
            assert_nobody_died(&rust.list.members());
        }
        for peer in [&go, &go_1] {
            peer.until_members(4).await;
        }
        let (there, back) = (format!("there {step}"), format!("back {step}"));
        go.command(&format!("send-reliable rust {there}")).await;
        rust.until_message(&there).await;
        let to = go_1.address().parse().unwrap();
        second
            .list
            .send_best_effort(to, back.clone().into())
            .await
            .unwrap();
        until_message(&go_1, &back).await;
    };
    everyone("before").await;

    // In each step, one of each kind comes first: in between, the keys differ.
    for peer in [&go, &go_1] {
        peer.command(&format!("key install {}", text(&NEW))).await;
    }
    for rust in [&rust, &second] {
        rust.list.install_key(key(&NEW)).await.unwrap();
    }
    everyone("installed").await;
    rust.list.use_key(key(&NEW)).await.unwrap();
    go.command(&format!("key use {}", text(&NEW))).await;
    everyone("half used").await;
    second.list.use_key(key(&NEW)).await.unwrap();
    go_1.command(&format!("key use {}", text(&NEW))).await;
    everyone("used").await;
    rust.list.remove_key(key(&OLD)).await.unwrap();
    go.command(&format!("key remove {}", text(&OLD))).await;
    second.list.remove_key(key(&OLD)).await.unwrap();
    go_1.command(&format!("key remove {}", text(&OLD))).await;
    everyone("removed").await;

    let late = original_with_keys("late", &seed, &[&OLD]).await;
    late.until_members(1).await;
    assert_nobody_died(&rust.list.members());
    assert_eq!(rust.list.members().len(), 4);
    // The key in use cannot be removed.
    assert!(rust.list.remove_key(key(&NEW)).await.is_err());
}

fn assert_nobody_died(members: &[Member]) {
    let lost = |member: &&Member| matches!(member.state, MemberState::Dead | MemberState::Left);
    let lost: Vec<_> = members.iter().filter(lost).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
