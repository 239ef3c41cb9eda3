//! The inner hop with Go nodes on either side: their stubs are those that
//! Grafana Pyroscope publishes.

mod harness;

use std::{
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    time::{Duration, Instant},
};

use harness::{Node, PATIENCE, eventually, fresh_address, pprof};
use serde_json::Value;

/// A running command of `e2e/peers`; killed when dropped.
struct Go {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

/// Builds the commands once; returns the folder they are in.
fn commands() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/peers");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inner-hop");
        for (module, package) in [("", "./peer"), ("inner", ".")] {
            let status = Command::new("go")
                .args(["build", "-o"])
                .arg(folder.join(if module.is_empty() { "peer" } else { module }))
                .arg(package)
                .current_dir(Path::new(peers).join(module))
                .status()
                .expect("Go is installed: this test needs it to build Go nodes");
            assert!(status.success(), "{module}{package} does not build");
        }
        folder
    })
}

impl Go {
    fn start(command: &str, args: &[&str]) -> Self {
        let mut child = Command::new(commands().join(command))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the Go node starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Self { child, lines }
    }

    /// Starts an ingester that serves at `address`, and says so.
    fn ingester(address: Ipv4Addr) -> Self {
        let ingester = Self::start("inner", &["serve", &format!("-listen={address}:4040")]);
        ingester.next();
        ingester
    }

    /// Puts an ingester at `address` into the ring that `seed` knows.
    fn ring_entry(seed: Ipv4Addr, address: Ipv4Addr) -> Self {
        let join = format!("-join={seed}:7946");
        let addr = format!("-instance-addr={address}");
        let bind = format!("-bind-addr={address}");
        let args = [&join, &addr, &bind, "-id=go", "-heartbeat-period=1s"];
        Self::start("peer", &args)
    }

    /// Pushes one profile as a Go distributor does.
    fn push(node: &Node, args: &[&str]) -> Value {
        let address = format!("-address={}", node.http);
        let mut all = vec!["push", &address];
        all.extend(args);
        Self::start("inner", &all).next()
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("the Go node says something")
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn sees_active(node: &Node, id: &str) {
    eventually(&format!("{} sees {id}", node.http), async || {
        let ring = node.ring().await;
        let is_active =
            |(name, state, _): &(String, String, usize)| name == id && state == "ACTIVE";
        ring.iter().any(is_active).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_go_distributor_writes_to_this_ingester_by_connect_and_by_grpc() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    for (protocol, value) in [("connect", "3"), ("grpc", "5")] {
        let service = format!("from-{protocol}");
        let args = [
            format!("-protocol={protocol}"),
            format!("-service={service}"),
            format!("-value={value}"),
            "-id=6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
            format!("-time-nanos={}", (harness::now_ms() - 1000) * 1_000_000),
        ];
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for attempt in ["first", "again, which counts once"] {
            let pushed = Go::push(&node, &args);
            assert_eq!(pushed["ok"], true, "{protocol}, {attempt}: {pushed}");
        }
        assert_eq!(node.total(&service).await, Ok(value.parse().unwrap()));
        let refused = Go::push(&node, &[args[0], "-broken"]);
        assert_eq!(refused["code"], "invalid_argument", "{protocol}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_distributor_writes_to_a_go_ingester() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (address, go_address) = (fresh_address(), fresh_address());
    let node = Node::start(address, dir.path(), &["-target=distributor"]);
    let ingester = Go::ingester(go_address);
    let _entry = Go::ring_entry(address, go_address);
    sees_active(&node, "go").await;

    let profile = pprof("work", 11, 1000);
    let (status, answer) = node.push("app", &profile).await;
    assert_eq!(status, 200, "{answer}");
    let got = ingester.next();
    assert_eq!(got["error"], Value::Null, "{got}");
    assert_eq!(got["tenant"], "anonymous");
    assert_eq!(got["protocol"], "grpc");
    assert_eq!(got["labels"]["service_name"], "app");
    assert_eq!(got["labels"]["__name__"], "process_cpu");
    assert_eq!(got["total"], 11);
    assert_eq!(got["timeNanos"], profile.time_nanos);
    assert_eq!(got["types"][0], "cpu:nanoseconds");
    assert_eq!(got["functions"].as_array().map(Vec::len), Some(2));

    // The same push again has the same ID, so that an ingester knows it.
    assert_eq!(node.push("app", &profile).await.0, 200);
    assert_eq!(ingester.next()["id"], got["id"]);

    // A push waits for an ingester that restarts.
    drop(ingester);
    let started = Instant::now();
    let later = pprof("later", 7, 0);
    let (pushed, ingester) = tokio::join!(node.push("app", &later), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| Go::ingester(go_address))
    });
    assert_eq!(pushed.0, 200, "{:?}: {}", started.elapsed(), pushed.1);
    assert_eq!(ingester.next()["total"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_both_keeps_a_quorum_of_each_profile() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let addresses = [fresh_address(), fresh_address()];
    let go_address = fresh_address();
    let start = |number: usize| {
        let id = format!("-ingester.lifecycler.ID=rust-{number}");
        let join = format!("-memberlist.join={}:7946", addresses[0]);
        let args = [&id, &join, "-distributor.replication-factor=3"];
        let dir = dir.path().join(number.to_string());
        Node::start(addresses[number], &dir, &args)
    };
    let nodes = [start(0), start(1)];
    let ingester = Go::ingester(go_address);
    let _entry = Go::ring_entry(addresses[0], go_address);
    for node in &nodes {
        for id in ["rust-0", "rust-1", "go"] {
            sees_active(node, id).await;
        }
    }
    let (status, answer) = nodes[0].push("app", &pprof("work", 13, 0)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ingester.next()["total"], 13);
    for node in &nodes {
        assert_eq!(node.total("app").await, Ok(13));
    }
}
