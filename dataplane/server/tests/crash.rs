//! A node that keeps the only copy: killed at random moments under load, and out
//! of disk space.
//!
//! `SOAK_SEEDS=n` kills it n times.

mod harness;
mod ledger;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use harness::{Node, fresh_address, pprof};
use ledger::{
    Fate, Ledger,
    endpoints::Endpoints,
    load::{Load, Plan},
    read::verify,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

/// Kills after which a new data folder is begun: each start has to read back all
/// that the ones before have left.
const KILLS_PER_FOLDER: usize = 25;

/// Set for the child that has a mount namespace of its own.
const FOLDER: &str = "CRASH_TEST_FOLDER";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_acknowledged() {
    let kills = std::env::var("SOAK_SEEDS").map_or(8, |n| n.parse().expect("a number"));
    let mut acknowledged = 0;
    for (seed, first) in (0..kills).step_by(KILLS_PER_FOLDER).enumerate() {
        let now = KILLS_PER_FOLDER.min(kills - first);
        acknowledged += kill(now, seed as u64).await;
    }
    println!("{kills} kills, {acknowledged} profiles acknowledged and read");
}

/// Kills a node so often; returns how many profiles it acknowledged.
async fn kill(kills: usize, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    let ledger = Ledger::new("killed", 4);
    let endpoints = Endpoints::new([node.http.as_str()]);
    let plan = Plan {
        pause: Duration::from_millis(2),
        ..Plan::default()
    };
    let load = Load::start(&ledger, &endpoints, plan, seed);
    for number in 0..kills {
        load.flows(1).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
        let down = endpoints.down(0);
        node.crash_and_restart();
        node.ready().await;
        drop(down);
        verify(&ledger, &node.url("")).await;
        let faults = ledger.faults();
        assert!(
            faults.is_empty(),
            "seed {seed}, kill {number}: {faults:#?}\n{}",
            node.log()
        );
    }
    load.stop().await;
    let damage = node.metric("pyroscope_wal_corruptions_total").await;
    assert_eq!(damage, Some(0.0), "{}", node.log());
    ledger.count(Fate::Acknowledged)
}

/// The test runs again as its own child in a mount namespace, where its folder
/// is a small disk.
#[tokio::test]
async fn a_full_disk_refuses_pushes_until_there_is_space() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill_the_disk(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let test = "a_full_disk_refuses_pushes_until_there_is_space";
    let status = with_mounts()
        .args([
            "sh",
            "-c",
            r#"mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@""#,
        ])
        .arg(folder.path())
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder.path())
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{status}");
}

/// A command that runs what it is given in a mount namespace of its own.
fn with_mounts() -> Command {
    let command = |user: bool| {
        let mut command = Command::new("unshare");
        if user {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--mount");
        command
    };
    let works = |user: &bool| {
        let mut probe = command(*user);
        probe
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    let user = [false, true].into_iter().find(works);
    command(user.expect("root or user namespaces, to mount a small disk"))
}

async fn fill_the_disk(folder: &Path) {
    let ballast = folder.join("ballast");
    let mut node = Node::start(fresh_address(), &folder.join("data"), &[]);
    node.ready().await;
    let mut pushes = Pushes::default();
    pushes.succeed(&node).await;

    pushes.fill(&node, &ballast).await;
    assert_eq!(node.total("app").await, Ok(pushes.acknowledged));
    remove(&ballast);
    pushes.succeed(&node).await;

    // A start without space is good for reading.
    pushes.fill(&node, &ballast).await;
    node.crash_and_restart();
    node.ready().await;
    assert_eq!(node.total("app").await, Ok(pushes.acknowledged));
    assert!(!pushes.push(&node).await, "there is no space");
    remove(&ballast);
    pushes.succeed(&node).await;

    node.crash_and_restart();
    node.ready().await;
    assert_eq!(node.total("app").await, Ok(pushes.acknowledged));
    let damage = node.metric("pyroscope_wal_corruptions_total").await;
    assert_eq!(damage, Some(0.0), "{}", node.log());
}

fn remove(ballast: &Path) {
    fs::remove_file(ballast).expect("the ballast can be removed");
}

/// Profiles of weight 1, all different.
#[derive(Default)]
struct Pushes {
    attempted: i64,
    acknowledged: i64,
}

impl Pushes {
    /// Takes all space, and pushes until that is noticed: the log has some in
    /// advance.
    async fn fill(&mut self, node: &Node, ballast: &Path) {
        let mut file = fs::File::create(ballast).expect("a file");
        let zeros = [0; 4096];
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
        let before = self.attempted;
        while self.push(node).await {
            assert!(self.attempted < before + 100, "the disk is never full");
        }
        for _ in 0..3 {
            assert!(!self.push(node).await, "there is no space");
        }
    }

    async fn succeed(&mut self, node: &Node) {
        for _ in 0..5 {
            assert!(self.push(node).await, "{}", node.log());
        }
    }

    /// Pushes a profile of some 60 KB that does not compress well. A refusal is to
    /// be retried.
    async fn push(&mut self, node: &Node) -> bool {
        self.attempted += 1;
        let mut random = StdRng::seed_from_u64(self.attempted as u64);
        let name: String = (0..60_000)
            .map(|_| char::from(random.random_range(b'!'..b'~')))
            .collect();
        let profile = pprof(&name, 1, self.attempted);
        match node.push("app", &profile).await {
            (200, _) => {
                self.acknowledged += 1;
                true
            }
            (status, answer) => {
                let code = answer.get("code").and_then(Value::as_str);
                assert_eq!((status, code), (503, Some("unavailable")), "{answer}");
                false
            }
        }
    }
}
