//! A real dskit node and the real executable in one ring.

mod harness;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Instant,
};

use harness::{Node, PATIENCE, eventually, fresh_address, pprof};
use serde_json::Value;

/// A running `e2e/peers/peer`; killed when dropped.
struct GoNode {
    child: Child,
    events: mpsc::Receiver<Value>,
}

fn build() -> PathBuf {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dskit-peer");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg("./peer")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/peers"))
        .status()
        .expect("Go is installed: this test needs it to build a dskit node");
    assert!(status.success(), "the dskit node does not build");
    binary
}

impl GoNode {
    fn start(join: &str, id: &str) -> Self {
        let mut child = Command::new(build())
            .args([
                "-bind-addr=127.0.0.1",
                &format!("-join={join}"),
                &format!("-id={id}"),
            ])
            .args(["-heartbeat-period=1s", "-num-tokens=64"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the dskit node starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Self { child, events }
    }

    /// Waits until the node says that its ring satisfies `condition`.
    fn sees(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("the dskit node never saw {what}"));
            if condition(&event["ring"]) {
                return event["ring"].clone();
            }
        }
    }

    /// Leaves gracefully.
    fn leave(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("the dskit node ends");
    }
}

impl Drop for GoNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tokens(instance: &Value) -> usize {
    instance["tokens"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_go_node_and_the_executable_see_the_same_ring() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = fresh_address();
    let mut node = Node::start(address, dir.path(), &["-ingester.lifecycler.ID=rust-0"]);
    node.ready().await;
    let go = GoNode::start(&format!("{address}:7946"), "go-0");

    eventually("the executable sees both", async || {
        let ring = node.ring().await;
        let has =
            |id: &str, count: usize| ring.contains(&(id.to_owned(), "ACTIVE".to_owned(), count));
        (has("go-0", 64) && has("rust-0", 128)).then_some(())
    })
    .await;
    let seen = go.sees("both, ACTIVE, with all tokens", |ring| {
        let active = |id: &str| ring[id]["state"] == "ACTIVE";
        active("rust-0") && active("go-0") && tokens(&ring["rust-0"]) == 128
    });
    assert_eq!(tokens(&seen["go-0"]), 64);
    assert_eq!(seen["rust-0"]["addr"], format!("{address}:4040"));

    go.leave();
    eventually("the Go instance is gone", async || {
        let ring = node.ring().await;
        (ring.iter().all(|(id, ..)| id != "go-0")).then_some(())
    })
    .await;
    assert_eq!(node.push("app", &pprof("work", 3, 0)).await.0, 200);
    assert_eq!(node.total("app").await, Ok(3));

    let go = GoNode::start(&format!("{address}:7946"), "go-1");
    go.sees("the executable", |ring| ring["rust-0"]["state"] == "ACTIVE");
    assert_eq!(node.terminate(), Some(0));
    go.sees("the executable leave", |ring| {
        ring.is_object() && ring["rust-0"].is_null()
    });
}
