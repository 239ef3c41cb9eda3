//! A Go peer: the program in `e2e/peers`, with dskit's own gossip and ring.

#![allow(dead_code)] // Each test program uses its part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// A running Go peer; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: ChildStdin,
    seen: watch::Receiver<Seen>,
}

/// What a Go peer has said, the latest of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) address: String,
    pub(crate) members: usize,
    pub(crate) ring: BTreeMap<String, GoInstance>,
    pub(crate) left: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct GoInstance {
    pub(crate) id: String,
    pub(crate) addr: String,
    pub(crate) state: String,
    pub(crate) zone: String,
    pub(crate) timestamp: i64,
    pub(crate) registered: i64,
    pub(crate) tokens: Option<Vec<u32>>,
}

/// One line of the peer's output.
#[derive(Deserialize)]
struct Event {
    address: Option<String>,
    members: Option<usize>,
    ring: Option<BTreeMap<String, GoInstance>>,
    left: Option<bool>,
}

impl Peer {
    /// Starts a peer with these flags and waits until it gossips.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let mut child = tokio::process::Command::new(binary())
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        tokio::spawn(read(child.stdout.take().unwrap(), sender));
        let stdin = child.stdin.take().unwrap();
        let peer = Self { child, stdin, seen };
        peer.until("its address", |seen| !seen.address.is_empty())
            .await;
        peer
    }

    pub(crate) fn address(&self) -> String {
        self.seen.borrow().address.clone()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the peer has said what satisfies `condition`.
    pub(crate) async fn until(&self, what: &str, mut condition: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        let outcome = timeout(PATIENCE, seen.wait_for(|seen| condition(seen)))
            .await
            .map(|seen| seen.map(|seen| seen.clone()));
        match outcome {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => panic!("Go peer ended before {what}; see its standard error"),
            Err(_) => panic!(
                "waited in vain for the Go peer to see {what}; last: {:#?}",
                self.seen()
            ),
        }
    }

    /// Waits until the peer's ring has exactly these instances.
    pub(crate) async fn until_ids(&self, expected: &[&str]) -> Seen {
        let what = format!("instances {expected:?}");
        self.until(&what, |seen| seen.ring.keys().eq(expected))
            .await
    }

    /// Leaves the ring and the cluster, and waits until the process ends.
    pub(crate) async fn leave(mut self) {
        self.stdin.write_all(b"leave\n").await.unwrap();
        self.until("that it has left", |seen| seen.left).await;
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Ends the process as a crash does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

async fn read(output: ChildStdout, sender: watch::Sender<Seen>) {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Event = serde_json::from_str(&line).unwrap();
        sender.send_modify(|seen| {
            seen.address = event.address.unwrap_or_else(|| seen.address.clone());
            seen.members = event.members.unwrap_or(seen.members);
            seen.left |= event.left.unwrap_or(false);
            if let Some(ring) = event.ring {
                seen.ring = ring;
            }
        });
    }
}

/// Builds the program once per test run; Go's cache makes repetitions cheap.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/peers");
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dskit-peer");
        let output = Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg("./peer")
            .current_dir(&sources)
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "these tests need Go 1.26 or later in PATH to build a real dskit node: {error}"
                )
            });
        assert!(
            output.status.success(),
            "cannot build the Go peer in {}:\n{}",
            sources.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        binary
    })
}
