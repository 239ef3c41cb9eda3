//! Crashes, pauses and false accusations.

use memberlist::{Accusation, Message, frame, packet};
use pyroscope_gossip::{Gossip, Member, MemberState};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::mixed::{QUICK, active, config, go, joining, quick, until_same};
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_go_node_is_found_dead() {
    let rust = start(quick("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let name = other(&rust).name;
    go.kill().await;
    until_members(&rust, "Go to be dead", |members| {
        state_of(members, &name) == Some(MemberState::Dead)
    })
    .await;
    assert_eq!(ids(&rust.kv().get(RING).unwrap()), ["go-0"].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_rust_node_is_found_dead_by_go() {
    let witness = start(quick("witness")).await;
    let seed = witness.advertised().to_string();
    let victim = start(joining(config("victim"), seed.clone())).await;
    register(&victim, active("victim", &[1]));
    let go = go("go-0", &seed, &[QUICK]).await;
    until_same(&go, &witness, &["go-0", "victim"]).await;
    go.until_members(3).await;
    drop(victim);
    let seen = go.until_members(2).await;
    assert!(seen.ring.contains_key("victim"), "its instance stays");
    until_alive(&witness, 2).await;
}

/// A process that stands still is taken for dead; when it goes on it hears so
/// and objects.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_go_node_comes_back() {
    let rust = start(quick("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let before = other(&rust);
    go.pause();
    until_members(&rust, "Go to be missed", |members| {
        state_of(members, &before.name) == Some(MemberState::Dead)
    })
    .await;
    go.resume();
    until_members(&rust, "Go to be back", |members| {
        members.iter().any(|member| {
            member.name == before.name
                && member.state == MemberState::Alive
                && member.incarnation > before.incarnation
        })
    })
    .await;
    go.until_members(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_refutes_what_rust_was_told() {
    let rust = start(config("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let before = other(&rust);
    accuse(&rust.advertised().to_string(), &before).await;
    until_refuted(&rust, &before).await;
    go.until_members(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_refutes_what_go_was_told() {
    let rust = start(config("rust")).await;
    let go = go("go-0", &rust.advertised().to_string(), &[]).await;
    until_same(&go, &rust, &["go-0"]).await;
    until_alive(&rust, 2).await;
    let witness = start(joining(config("witness"), go.address())).await;
    until_alive(&witness, 3).await;
    let members = witness.members();
    let named = |member: &&Member| member.name == rust.local_name();
    let before = members.iter().find(named).unwrap().clone();
    accuse(&go.address(), &before).await;
    until_refuted(&witness, &before).await;
    go.until_members(3).await;
}

/// The one other member that a node has.
fn other(node: &Gossip) -> Member {
    let members = node.members();
    assert_eq!(members.len(), 2, "{members:?}");
    let is_other = |member: &&Member| member.name != node.local_name();
    members.iter().find(is_other).unwrap().clone()
}

/// Tells a node, as a stranger, that a member does not answer.
async fn accuse(to: &str, accused: &Member) {
    let accusation = Message::Suspect(Accusation {
        incarnation: accused.incarnation,
        node: accused.name.clone(),
        from: "stranger".to_owned(),
    });
    let packet = packet::encode("", None, true, accusation.encode());
    let frame = frame::encode("127.0.0.1:1", &packet).unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&frame).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Waits until a member that was accused is alive under a newer incarnation.
async fn until_refuted(node: &Gossip, accused: &Member) {
    until_members(node, "the refutation", |members| {
        members.iter().any(|member| {
            member.name == accused.name
                && member.state == MemberState::Alive
                && member.incarnation > accused.incarnation
        })
    })
    .await;
}
