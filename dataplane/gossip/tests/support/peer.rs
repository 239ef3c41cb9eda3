//! Go peers: the programs in `e2e/peers`, which gossip with the original code.

#![allow(dead_code)] // Each test program uses its part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::support::PATIENCE;

/// A running Go peer; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: Mutex<ChildStdin>,
    seen: watch::Receiver<Seen>,
}

/// What a Go peer has said: the latest of a state, all of what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) address: String,
    /// By name, itself included; suspects count, the dead do not.
    pub(crate) members: BTreeMap<String, GoMember>,
    pub(crate) ring: BTreeMap<String, GoInstance>,
    /// User messages.
    pub(crate) messages: Vec<String>,
    /// States that others handed out.
    pub(crate) states: Vec<String>,
    pub(crate) left: bool,
    /// Outcomes of the commands.
    done: Vec<Result<(), String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct GoMember {
    pub(crate) address: String,
    /// As text in the classic dialect, as hex digits in dskit's.
    pub(crate) meta: String,
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
    nodes: Option<BTreeMap<String, GoMember>>,
    ring: Option<BTreeMap<String, GoInstance>>,
    message: Option<String>,
    state: Option<String>,
    left: Option<bool>,
    done: Option<String>,
    error: Option<String>,
}

impl Peer {
    /// Starts a node of dskit (the store, the ring, packets by TCP) with these flags and waits until it gossips.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        let build = || build("../../e2e/peers", "./peer", "dskit-peer");
        Self::run(BINARY.get_or_init(build), flags).await
    }

    /// Starts a node of hashicorp/memberlist (packets by UDP) with these flags and waits until it gossips.
    pub(crate) async fn classic(flags: &[&str]) -> Self {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        let build = || build("../../e2e/peers/classic", ".", "classic-peer");
        Self::run(BINARY.get_or_init(build), flags).await
    }

    async fn run(program: &Path, flags: &[&str]) -> Self {
        let mut child = tokio::process::Command::new(program)
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        tokio::spawn(read(child.stdout.take().unwrap(), sender));
        let stdin = Mutex::new(child.stdin.take().unwrap());
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

    /// Waits until the peer has this many members, itself included.
    pub(crate) async fn until_members(&self, count: usize) -> Seen {
        let what = format!("{count} members");
        self.until(&what, |seen| seen.members.len() == count).await
    }

    /// Has the peer do something, waits until it is done and returns how it went.
    pub(crate) async fn try_command(&self, line: &str) -> Result<(), String> {
        // Held until the answer: answers come in the order of the commands.
        let mut stdin = self.stdin.lock().await;
        let before = self.seen.borrow().done.len();
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        let seen = self.until(line, |seen| seen.done.len() > before).await;
        seen.done[before].clone()
    }

    /// Has the peer do something that must succeed.
    pub(crate) async fn command(&self, line: &str) {
        let outcome = self.try_command(line).await;
        assert_eq!(outcome, Ok(()), "{line}");
    }

    /// Leaves the ring and the cluster, and waits until the process ends.
    pub(crate) async fn leave(mut self) {
        self.stdin.get_mut().write_all(b"leave\n").await.unwrap();
        self.until("that it has left", |seen| seen.left).await;
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Ends the process as a crash does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Lets the process stand still, as a long pause of its machine does.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a paused process go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("the process runs");
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }
}

async fn read(output: ChildStdout, sender: watch::Sender<Seen>) {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Event = serde_json::from_str(&line).unwrap();
        sender.send_modify(|seen| event.note(seen));
    }
}

impl Event {
    fn note(self, seen: &mut Seen) {
        if let Some(address) = self.address {
            seen.address = address;
        }
        if let Some(nodes) = self.nodes {
            seen.members = nodes;
        }
        if let Some(ring) = self.ring {
            seen.ring = ring;
        }
        seen.messages.extend(self.message);
        seen.states.extend(self.state);
        seen.left |= self.left.unwrap_or(false);
        if self.done.is_some() {
            seen.done.push(self.error.map_or(Ok(()), Err));
        }
    }
}

/// Builds a program; Go's cache makes repetitions cheap.
fn build(module: &str, package: &str, name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(module);
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(package)
        .current_dir(&sources)
        .output()
        .unwrap_or_else(|error| {
            panic!("these tests need Go 1.26 or later in PATH to build real Go nodes: {error}")
        });
    assert!(
        output.status.success(),
        "cannot build the Go peer in {}:\n{}",
        sources.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    binary
}
