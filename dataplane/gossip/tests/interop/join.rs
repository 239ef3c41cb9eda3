//! Coming and going.

use ::ring::State;
use pyroscope_gossip::{Config, MemberState};
use tokio::time::timeout;

use crate::mixed::{active, config, first_go, go, joining, quick, until_same};
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn go_joins_rust_and_leaves() {
    let rust = start(config("rust")).await;
    register(&rust, active("rust-0", &[1, 2, 3]));
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    let ring = until_same(&go, &rust, &["go-0", "rust-0"]).await;
    assert_eq!(ring["go-0"].2.len(), 128);
    assert_eq!(ring["rust-0"].2, [1, 2, 3]);
    until_alive(&rust, 2).await;
    go.until_members(2).await;

    go.leave().await;
    until_ids(&rust, &["rust-0"]).await;
    let tombstone = rust.kv().get_with_tombstones(RING).unwrap().ingesters["go-0"].clone();
    assert_eq!(State::of(&tombstone), State::Left);
    assert!(tombstone.tokens.is_empty());
    until_members(&rust, "Go to have left", |members| {
        members
            .iter()
            .all(|member| member.name == rust.local_name() || member.state == MemberState::Left)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_joins_go_and_leaves() {
    let go = first_go("go-0", &[]).await;
    let rust = start(joining(config("rust"), go.address())).await;
    assert!(rust.joined());
    register(&rust, active("rust-0", &[1, 2, 3]));
    until_same(&go, &rust, &["go-0", "rust-0"]).await;
    go.until_members(2).await;

    unregister(&rust, "rust-0");
    timeout(PATIENCE, rust.shutdown()).await.unwrap();
    go.until_ids(&["go-0"]).await;
    go.until_members(1).await;
}

/// Everybody joins somebody of the other kind.
#[tokio::test(flavor = "multi_thread")]
async fn three_and_three_converge() {
    let rust_0 = start(config("rust-0")).await;
    let go_0 = go("go-0", &rust_0.advertised().to_string(), &[]).await;
    let rust_1 = start(joining(config("rust-1"), go_0.address())).await;
    let seeds = [&rust_1, &rust_0].map(|rust| rust.advertised().to_string());
    let (go_1, go_2) = tokio::join!(go("go-1", &seeds[0], &[]), go("go-2", &seeds[1], &[]));
    let rust_2 = start(joining(config("rust-2"), go_2.address())).await;
    let rusts = [&rust_0, &rust_1, &rust_2];
    for (index, rust) in rusts.into_iter().enumerate() {
        register(rust, active(&format!("rust-{index}"), &[index as u32]));
    }
    let everyone = ["go-0", "go-1", "go-2", "rust-0", "rust-1", "rust-2"];
    for (rust, go) in rusts.into_iter().zip([&go_0, &go_1, &go_2]) {
        until_alive(rust, 6).await;
        go.until_members(6).await;
        until_same(go, rust, &everyone).await;
    }
}

/// Go compares the raw bytes of addresses: one that was configured has 16,
/// one that was bound has 4. Whoever passes a record on must keep its form.
#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_addresses_are_passed_on() {
    let rust = start(Config {
        advertise_addr: "127.0.0.1".to_owned(),
        ..config("rust")
    })
    .await;
    let own = fresh_address();
    let [bind, advertise] = ["bind", "advertise"].map(|of| format!("-{of}-addr={own}"));
    let seed = rust.advertised().to_string();
    let long = go("go-long", &seed, &[&bind, "-bind-port=7946", &advertise]).await;
    let short = go("go-short", &seed, &[]).await;
    let everyone = ["go-long", "go-short"];
    // Each hears of the other through Rust, then from the other itself.
    for peer in [&long, &short] {
        until_same(peer, &rust, &everyone).await;
        peer.until_members(3).await;
    }
    until_alive(&rust, 3).await;
    short.leave().await;
    long.until_members(2).await;
    until_ids(&rust, &["go-long"]).await;
}

/// A process that crashes and comes back under its old name and address
/// counts its incarnation from 1 again, and is shown that the others are
/// further: it must be a member again, with a newer incarnation.
#[tokio::test(flavor = "multi_thread")]
async fn a_go_node_restarted_under_its_name_is_back() {
    let rust = start(quick("rust")).await;
    let seed = rust.advertised().to_string();
    let own = format!("-bind-addr={}", fresh_address());
    let flags = [
        "-name=fixed",
        "-randomize-name=false",
        "-bind-port=7946",
        own.as_str(),
    ];
    let first = go("go-0", &seed, &flags).await;
    let before = until_same(&first, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    first.kill().await;
    until_members(&rust, "the crash", |members| {
        state_of(members, "fixed") == Some(MemberState::Dead)
    })
    .await;

    let again = go("go-0", &seed, &flags).await;
    until_alive(&rust, 2).await;
    again.until_members(2).await;
    let members = rust.members();
    let fixed = members.iter().find(|member| member.name == "fixed");
    assert!(fixed.unwrap().incarnation > 1, "{members:?}");
    // It finds its instance in the ring that Rust kept for it.
    let after = until_same(&again, &rust, &["go-0"]).await;
    assert_eq!(after["go-0"].2, before["go-0"].2, "its tokens are kept");
}

/// A name that left is free at once, for another address too.
#[tokio::test(flavor = "multi_thread")]
async fn a_go_node_that_left_may_move() {
    let rust = start(config("rust")).await;
    let seed = rust.advertised().to_string();
    let flags = ["-name=fixed", "-randomize-name=false"];
    let first = go("go-0", &seed, &flags).await;
    until_same(&first, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let old = first.address();
    first.leave().await;
    until_alive(&rust, 1).await;
    let again = go("go-0", &seed, &flags).await;
    assert_ne!(again.address(), old);
    until_alive(&rust, 2).await;
    until_same(&again, &rust, &["go-0"]).await;
}
