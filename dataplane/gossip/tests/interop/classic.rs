//! The classic dialect: nodes of hashicorp/memberlist, packets by UDP.

use bytes::Bytes;
use memberlist::{Accusation, Broadcast, Message, packet};
use pyroscope_gossip::{Compression, Config, Member, MemberState};
use tokio::net::UdpSocket;

use crate::classic_node::{Classic, config, original, until_message};
use crate::peer::Peer;
use crate::support::fresh_address;

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_join_and_leave() {
    let rust = Classic::start(config("rust")).await;
    let go = original("go", &rust.address(), &[]).await;
    let second = Classic::start(config("rust-1")).await;
    second.join(&go.address()).await;
    let third = original("go-1", &second.address(), &[]).await;
    for rust in [&rust, &second] {
        rust.until_alive(4).await;
    }
    for go in [&go, &third] {
        go.until_members(4).await;
    }
    go.leave().await;
    for rust in [&rust, &second] {
        rust.until_state("go", MemberState::Left).await;
    }
    second.list.leave().await;
    third.until_members(2).await;
    rust.until_state("rust-1", MemberState::Left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_are_seen_both_ways_when_they_change() {
    let rust = Classic::start(Config {
        meta: Bytes::from_static(b"rust before"),
        ..config("rust")
    })
    .await;
    let go = original("go", &rust.address(), &["-meta=go-before"]).await;
    let of_go = |meta: &'static str| {
        move |members: &[Member]| {
            let mut members = members.iter();
            members.any(|member| member.name == "go" && member.meta == meta.as_bytes())
        }
    };
    rust.until("the metadata of Go", of_go("go-before")).await;
    let of_rust = |meta| {
        move |seen: &crate::peer::Seen| {
            seen.members
                .get("rust")
                .is_some_and(|rust| rust.meta == meta)
        }
    };
    go.until("the metadata of Rust", of_rust("rust before"))
        .await;

    go.command("meta go after").await;
    rust.until("the new metadata of Go", of_go("go after"))
        .await;
    rust.list
        .update_meta(Bytes::from_static(b"rust after"))
        .await
        .unwrap();
    go.until("the new metadata of Rust", of_rust("rust after"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_messages_go_both_ways_by_all_ways() {
    let rust = Classic::start_with(config("rust"), "state of rust").await;
    let go = original("go", &rust.address(), &["-state=state-of-go"]).await;
    rust.until_alive(2).await;
    go.until_members(2).await;

    go.command("send rust by packet").await;
    go.command("send-reliable rust by stream").await;
    go.command("broadcast to all").await;
    for text in ["by packet", "by stream", "to all"] {
        rust.until_message(text).await;
    }
    let to = go.address().parse().unwrap();
    rust.list
        .send_best_effort(to, Bytes::from_static(b"back by packet"))
        .await
        .unwrap();
    // Longer than a datagram.
    let long = "back by stream ".repeat(10_000);
    rust.list
        .send_reliable(to, Bytes::from(long.clone()))
        .await
        .unwrap();
    let broadcast = Broadcast::new("key", ["id"], 1, "back to all");
    rust.list.broadcast(broadcast).await.unwrap();
    for text in ["back by packet", &long, "back to all"] {
        until_message(&go, text).await;
    }
    go.until("the state of Rust", |seen| {
        seen.states.iter().any(|state| state == "state of rust")
    })
    .await;
    rust.until_heard("the state of Go", |heard| {
        heard
            .states
            .iter()
            .any(|state| state == "state-of-go".as_bytes())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_are_found_both_ways() {
    let rust = Classic::start(config("rust")).await;
    let seed = rust.address();
    let victim = original("go-victim", &seed, &[]).await;
    let witness = original("go-witness", &seed, &[]).await;
    let doomed = Classic::start(config("rust-victim")).await;
    doomed.join(&seed).await;
    rust.until_alive(4).await;
    witness.until_members(4).await;
    victim.kill().await;
    rust.until_state("go-victim", MemberState::Dead).await;
    drop(doomed);
    rust.until_state("rust-victim", MemberState::Dead).await;
    witness.until_members(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accusations_are_refuted_both_ways() {
    let rust = Classic::start(config("rust")).await;
    let go = original("go", &rust.address(), &[]).await;
    let witness = Classic::start(config("witness")).await;
    witness.join(&go.address()).await;
    for rust in [&rust, &witness] {
        rust.until_alive(3).await;
    }
    go.until_members(3).await;
    // Go is told of Rust, and Rust of Go.
    for (told, accused) in [(go.address(), "rust"), (rust.address(), "go")] {
        let before = incarnation(&witness.list.members(), accused);
        accuse(&told, accused, before).await;
        witness
            .until("the refutation", |members| {
                members.iter().any(|member| {
                    member.name == accused
                        && member.state == MemberState::Alive
                        && member.incarnation > before
                })
            })
            .await;
    }
    go.until_members(3).await;
}

fn incarnation(members: &[Member], name: &str) -> u32 {
    let member = members.iter().find(|member| member.name == name);
    member.unwrap().incarnation
}

/// Tells a node, as a stranger, that a member does not answer.
async fn accuse(to: &str, accused: &str, incarnation: u32) {
    let accusation = Message::Suspect(Accusation {
        incarnation,
        node: accused.to_owned(),
        from: "stranger".to_owned(),
    });
    let packet = packet::encode("", None, true, accusation.encode());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&packet, to).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_original_comes_back() {
    let rust = Classic::start(config("rust")).await;
    let go = original("go", &rust.address(), &[]).await;
    rust.until_alive(2).await;
    let before = incarnation(&rust.list.members(), "go");
    go.pause();
    rust.until_state("go", MemberState::Dead).await;
    go.resume();
    rust.until_state("go", MemberState::Alive).await;
    assert!(incarnation(&rust.list.members(), "go") > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_uncompressed_messages_are_understood() {
    let labelled = |name: &str, label: &str| Config {
        cluster_label: label.to_owned(),
        compression: Compression::None,
        ..config(name)
    };
    let rust = Classic::start(labelled("rust", "ours")).await;
    let seed = rust.address();
    let flags = ["-cluster-label=ours", "-compression=false"];
    let go = original("go", &seed, &flags).await;
    rust.until_alive(2).await;
    go.until_members(2).await;
    // Others stay out, whoever dials.
    let stranger = original("stranger", &seed, &["-cluster-label=theirs"]).await;
    let unlabelled = Classic::start(labelled("unlabelled", "")).await;
    let refused = unlabelled.list.join(&[go.address()]).await;
    assert!(refused.is_err(), "{refused:?}");
    stranger.until_members(1).await;
    assert_eq!(rust.list.members().len(), 2);
    go.until_members(2).await;
}

/// An original that crashed is back under its name and address.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_original_is_back() {
    let rust = Classic::start(config("rust")).await;
    let seed = rust.address();
    let own = format!("-bind-addr={}", fresh_address());
    let flags = [own.as_str(), "-bind-port=7946"];
    let first = original("go", &seed, &flags).await;
    rust.until_alive(2).await;
    first.kill().await;
    rust.until_state("go", MemberState::Dead).await;
    let again: Peer = original("go", &seed, &flags).await;
    rust.until_state("go", MemberState::Alive).await;
    assert!(incarnation(&rust.list.members(), "go") > 1);
    again.until_members(2).await;
}
