//! Real clients profile real programs and push to a real process, and what the
//! programs do is found by query. The programs are in `e2e/sdks`; `make sdks`
//! builds them and runs this. With UPDATE=1 the requests become the fixtures of
//! `sdk_requests.rs`.

mod clients;
mod flame_graph;
#[path = "../harness/mod.rs"]
mod harness;
mod recorded;
mod recorder;

use std::{collections::BTreeSet, path::PathBuf, process::Stdio, time::Duration};

use clients::Client;
use harness::{Node, fresh_address, now_ms};
use recorded::{Answer, Recorded};
use recorder::Recorder;
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Returns the file or program that `make sdks` has built at a path.
fn built(path: &str) -> PathBuf {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/sdks");
    let folder = std::env::var_os("SDKS").map_or_else(|| PathBuf::from(usual), PathBuf::from);
    let built = folder.join(path);
    assert!(
        built.exists(),
        "{} is missing; run `make sdks`",
        built.display()
    );
    built
}

/// A node and what a program that ran to its end did with it.
struct Run {
    node: Node,
    output: String,
    passed: Vec<(Recorded, Answer)>,
    _dir: tempfile::TempDir,
}

impl Run {
    /// Runs a program whose pushes must all succeed, except those that `may_fail`.
    async fn of(mut program: Command, service: &str, may_fail: usize) -> Self {
        let (dir, node) = node().await;
        let recorder = Recorder::start(&node.http).await;
        let child = program
            .env(
                "PYROSCOPE_SERVER_ADDRESS",
                format!("http://{}", recorder.address),
            )
            .env("PYROSCOPE_APPLICATION_NAME", service)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        let output =
            output.unwrap_or_else(|_| panic!("{program:?} takes longer than {PATIENCE:?}"));
        let output = output.expect("the program ends");
        let passed = recorder.passed();
        let failed: Vec<String> = passed
            .iter()
            .filter(|(_, answer)| !answer.is_success())
            .map(|(request, answer)| format!("{}: {}", request.target, answer.describe()))
            .collect();
        assert!(
            output.status.success() && failed.len() == may_fail,
            "{program:?}: {}\n{}{}{failed:#?}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            node.log(),
        );
        Self {
            node,
            output: String::from_utf8(output.stdout).expect("text"),
            passed,
            _dir: dir,
        }
    }
}

fn an_hour_ago() -> i64 {
    now_ms() - 3_600_000
}

async fn node() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    (dir, node)
}

/// Runs a client's program and looks for what it should bring.
async fn profile(client: &Client, program: Command) {
    let run = Run::of(program, client.name, 0).await;
    if let Err(missing) = client.look(&run.node, an_hour_ago(), None).await {
        let targets: BTreeSet<&str> = run
            .passed
            .iter()
            .map(|(request, _)| &*request.target)
            .collect();
        panic!("{missing}\nof the requests {targets:#?}");
    }
    for fixture in client.fixtures() {
        update(client, fixture, &run.passed).await;
    }
}

/// Writes the smallest request that brings by itself what the fixture should, if
/// fixtures are to be written.
async fn update(client: &Client, fixture: &str, passed: &[(Recorded, Answer)]) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let mut requests: Vec<&Recorded> = passed.iter().map(|(request, _)| request).collect();
    requests.sort_by_key(|request| request.body.len());
    for request in requests {
        let (_dir, node) = node().await;
        request.send(&node.http).await;
        let found = client.look(&node, an_hour_ago(), Some(fixture)).await;
        if found.is_ok() {
            return request.write(fixture);
        }
    }
    panic!("no request brings {fixture} by itself");
}

#[tokio::test]
async fn pyroscope_go_brings_all_its_profile_types_and_tags() {
    profile(&clients::PYROSCOPE_GO, Command::new(built("go/agent"))).await;
}

#[tokio::test]
async fn pyroscope_io_profiles_python() {
    let mut program = Command::new(built("python/bin/python"));
    program.arg(built("python/main.py"));
    profile(&clients::PYROSCOPE_IO, program).await;
}

#[tokio::test]
async fn pyroscope_nodejs_profiles_javascript() {
    let mut program = Command::new(built("node/node"));
    program.arg(built("node/main.js"));
    profile(&clients::PYROSCOPE_NODEJS, program).await;
}

#[tokio::test]
async fn pyroscope_rs_profiles_rust() {
    profile(
        &clients::PYROSCOPE_RS,
        Command::new(built("rust/pyroscope-rs")),
    )
    .await;
}

#[tokio::test]
async fn the_java_agent_brings_processor_memory_and_locks() {
    let mut program = Command::new("java");
    program
        .arg(format!("-javaagent:{}", built("java/agent.jar").display()))
        // Part of a path that the agent sends.
        .arg("-Duser.name=app")
        .arg("-cp")
        .arg(built("java"))
        .args(["Busy", "10000"])
        .envs([
            ("PYROSCOPE_FORMAT", "jfr"),
            ("PYROSCOPE_PROFILER_EVENT", "itimer"),
            ("PYROSCOPE_PROFILER_ALLOC", "64k"),
            ("PYROSCOPE_PROFILER_LOCK", "1ms"),
            ("PYROSCOPE_UPLOAD_INTERVAL", "2s"),
            ("PYROSCOPE_LABELS", "region=eu-north"),
        ]);
    profile(&clients::PYROSCOPE_JAVA, program).await;
}

/// Runs the program of the OpenTelemetry collector's packages.
async fn opentelemetry(transport: &str) {
    let client = &clients::OPENTELEMETRY;
    let mut program = Command::new(built("go/otlp"));
    program.arg(transport);
    let run = Run::of(program, client.name, 0).await;
    let fixture = format!("{}.{transport}", client.name);
    let found = client.look(&run.node, an_hour_ago(), Some(&fixture)).await;
    found.unwrap_or_else(|missing| panic!("{missing}"));
    update(client, &fixture, &run.passed).await;
}

#[tokio::test]
async fn opentelemetry_works_by_grpc() {
    opentelemetry("grpc").await;
}

#[tokio::test]
async fn opentelemetry_works_by_http_with_protobuf() {
    opentelemetry("http-protobuf").await;
}

#[tokio::test]
async fn opentelemetry_works_by_http_with_json() {
    opentelemetry("http-json").await;
}

/// Runs the program of the Go API's clients and checks what it was answered.
async fn api(protocol: &str) {
    let mut program = Command::new(built("go/api"));
    program.arg(protocol);
    // Connect's and gRPC-Web's failures are not in trailers: the garbage counts by its status.
    let may_fail = usize::from(protocol != "grpc-web");
    let run = Run::of(program, "pyroscope-api", may_fail).await;
    let found: Value = serde_json::from_str(&run.output).expect("the program prints JSON");
    assert_eq!(
        found["profileTypes"],
        json!([clients::CPU, "process_cpu:samples:count:cpu:nanoseconds"])
    );
    let names = found["labelNames"].as_array().expect("label names");
    for name in ["__profile_type__", "protocol", "service_name"] {
        assert!(names.contains(&json!(name)), "{name} is not of {names:?}");
    }
    assert_eq!(found["labelValues"], json!([protocol]));
    assert_eq!(
        found["series"],
        json!([{"service_name": "pyroscope-api", "protocol": protocol}])
    );
    let number = |name: &str| found[name].as_f64().expect("a number");
    assert!(number("busy") >= 0.9 * number("total"), "{found}");
    assert!(number("total") > 0.0, "{found}");
    for (all, busy) in [
        ("points", "total"),
        ("mergedTotal", "total"),
        ("mergedBusy", "busy"),
    ] {
        assert_eq!(number(all), number(busy), "{all} of {found}");
    }
    assert_eq!(found["refused"]["code"], "invalid_argument", "{found}");
    let fixture = format!("pyroscope-api.{protocol}");
    update(&clients::PYROSCOPE_API, &fixture, &run.passed).await;
}

#[tokio::test]
async fn the_go_api_works_by_connect_with_json() {
    api("connect-json").await;
}

#[tokio::test]
async fn the_go_api_works_by_connect_with_protobuf() {
    api("connect-proto").await;
}

#[tokio::test]
async fn the_go_api_works_by_grpc() {
    api("grpc").await;
}

#[tokio::test]
async fn the_go_api_works_by_grpc_web() {
    api("grpc-web").await;
}
