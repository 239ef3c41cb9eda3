//! TLS with Go nodes.

use pyroscope_gossip::{Config, MemberState};
use tokio::time::timeout;

use crate::certificates::{Authority, Files};
use crate::mixed::{active, config, go, joining, until_same};
use crate::support::*;

const LOOPBACK: &[&str] = &["127.0.0.1"];

fn with_tls(config: Config, files: &Files) -> Config {
    Config {
        tls: Some(files.config()),
        ..config
    }
}

fn flags(files: &Files) -> Vec<String> {
    let flag = |(name, file)| format!("-tls-{name}-path={}", files.path(file).display());
    let named = [("cert", "cert.pem"), ("key", "key.pem"), ("ca", "ca.pem")];
    named.map(flag).to_vec()
}

fn refs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// Neither side lets the other in, whoever dials.
#[tokio::test(flavor = "multi_thread")]
async fn another_authority_stays_out() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.sign(LOOPBACK), &ours.pem);
    let foreign = Files::new(&theirs.sign(LOOPBACK), &theirs.pem);
    let rust = start(with_tls(config("rust"), &files)).await;
    register(&rust, active("rust-0", &[1]));
    // The peer has tried to join by the time it prints its address.
    let stranger = go(
        "theirs",
        &rust.advertised().to_string(),
        &refs(&flags(&foreign)),
    )
    .await;
    let dialling = start(Config {
        max_join_retries: 1,
        abort_if_join_fails: true,
        ..joining(with_tls(config("dialling"), &files), stranger.address())
    })
    .await;
    timeout(PATIENCE, dialling.failed()).await.unwrap();
    assert_eq!((alive(&rust.members()), alive(&dialling.members())), (1, 1));
    stranger.until_ids(&["theirs"]).await;
    stranger.until_members(1).await;
    assert_eq!(ids(&rust.kv().get(RING).unwrap()), ["rust-0"].into());
}

/// A Go node without TLS is heard by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn plain_go_stays_out() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.sign(LOOPBACK), &ours.pem);
    let rust = start(with_tls(config("rust"), &files)).await;
    let plain = go("plain", &rust.advertised().to_string(), &[]).await;
    plain.until("itself", |seen| !seen.ring.is_empty()).await;
    plain.until_members(1).await;
    assert_eq!(alive(&rust.members()), 1);
    assert!(rust.kv().get(RING).is_none());
}

/// The certificates of a running Rust node are replaced by those of a new
/// authority. Go nodes that trust both do not notice, and one that has only
/// the new one may join.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_rotate_without_losing_a_go_node() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let both = format!("{}{}", old.pem, new.pem);
    let rust_files = Files::new(&old.sign(LOOPBACK), &both);
    let go_files = Files::new(&old.sign(LOOPBACK), &both);
    let rust = start(with_tls(config("rust"), &rust_files)).await;
    register(&rust, active("rust-0", &[1]));
    let seed = rust.advertised().to_string();
    let go_0 = go("go-0", &seed, &refs(&flags(&go_files))).await;
    until_same(&go_0, &rust, &["go-0", "rust-0"]).await;

    let pair = new.sign(LOOPBACK);
    rust_files.write("cert.pem", &pair.cert);
    rust_files.write("key.pem", &pair.key);
    // It trusts the new authority alone: that it gets in shows what Rust presents.
    let new_files = Files::new(&new.sign(LOOPBACK), &new.pem);
    let newcomer = joining(with_tls(config("newcomer"), &new_files), seed);
    let newcomer = start(Config {
        max_join_retries: 1000,
        ..newcomer
    })
    .await;
    until_members(&newcomer, "Rust", |members| {
        state_of(members, rust.local_name()) == Some(MemberState::Alive)
    })
    .await;
    // It would not get on with Go, whose certificate it does not trust.
    let left = newcomer.local_name().to_owned();
    newcomer.shutdown().await;
    // News goes to Go and comes from Go, through new connections.
    register(&rust, active("rust-1", &[2]));
    go_0.command("register go-1 3").await;
    until_same(&go_0, &rust, &["go-0", "go-1", "rust-0", "rust-1"]).await;
    let members = rust.members();
    let mut others = members.iter().filter(|member| member.name != left);
    assert!(
        others.all(|member| member.state == MemberState::Alive),
        "{members:?}"
    );
}
