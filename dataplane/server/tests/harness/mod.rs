//! Starts real `pyroscope` processes on loopback and talks to them as clients
//! do.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of the harness"
)]

use std::{
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::Engine as _;
use nix::{sys::signal::Signal, unistd::Pid};
use prost::Message as _;
use proto::google::v1::{Function, Line, Location, Profile, Sample, ValueType};
use serde_json::{Value, json};

/// How long anything may take that must happen at last, on a machine that does
/// much else.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The profile type of [`pprof`].
pub const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// A running process with an address of its own; killed when dropped.
pub struct Node {
    child: Child,
    args: Vec<String>,
    /// `host:port` of HTTP and gRPC.
    pub http: String,
    log: Arc<Mutex<String>>,
}

/// Returns a loopback address that no other node of this machine has: the
/// process and a counter within it are part of it. So every node can listen on
/// the usual ports and has the same address again after a restart.
pub fn fresh_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(
        127,
        1 + high % 250,
        low,
        NEXT.fetch_add(1, Ordering::Relaxed),
    )
}

impl Node {
    /// Starts a process at `address` with its data under `dir` and waits until
    /// it says that it has started.
    pub fn start(address: Ipv4Addr, dir: &Path, args: &[&str]) -> Self {
        let mut all = vec![
            format!("-server.http-listen-address={address}"),
            format!("-memberlist.bind-addr={address}"),
            format!("-ingester.lifecycler.addr={address}"),
            "-ingester.min-ready-duration=0s".to_owned(),
            "-log.format=json".to_owned(),
            format!("-pyroscopedb.data-path={}", dir.display()),
            format!(
                "-ingester.tokens-file-path={}",
                dir.join("tokens").display()
            ),
        ];
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        Self::spawn(format!("{address}:4040"), all)
    }

    fn spawn(http: String, args: Vec<String>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pyroscope"))
            .args(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the pyroscope binary starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let (started, has_started) = std::sync::mpsc::channel();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no writer of the log panics");
                log.push_str(&line);
                log.push('\n');
                drop(log);
                if line.contains("\"msg\":\"started\"") {
                    let _ = started.send(());
                }
            }
        });
        if has_started.recv_timeout(PATIENCE).is_err() {
            let _ = child.kill();
            let log = log.lock().expect("no writer of the log panics");
            panic!("the process did not start:\n{log}");
        }
        Self {
            child,
            args,
            http,
            log,
        }
    }

    /// Kills the process as a crash would and starts it again with the same
    /// flags.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.restart();
    }

    /// Kills the process as a crash would.
    pub fn crash(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("a killed process ends");
    }

    /// Starts the process again, with the same flags, after it has ended.
    pub fn restart(&mut self) {
        *self = Self::spawn(
            std::mem::take(&mut self.http),
            std::mem::take(&mut self.args),
        );
    }

    /// Stops the process where it is: it keeps its connections and says nothing.
    pub fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a process that hangs go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("the process lives");
    }

    /// Asks the process to end and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("the process ends").code()
    }

    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the process can be asked")
            .is_none()
    }

    pub fn log(&self) -> String {
        self.log
            .lock()
            .expect("no writer of the log panics")
            .clone()
    }

    /// Returns the most memory that the process has had resident, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes = kibibytes.and_then(|number| number.parse::<u64>().ok());
        kibibytes.expect("the kernel tells the peak") * 1024
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Waits until `/ready` says so.
    pub async fn ready(&self) {
        eventually(&format!("{} is ready", self.http), async || {
            let answer = reqwest::get(self.url("/ready")).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Calls an RPC by Connect with JSON.
    pub async fn call(&self, method: &str, body: &Value) -> (u16, Value) {
        let answer = reqwest::Client::new()
            .post(self.url(&format!("/{method}")))
            .json(body)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log()));
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the answer is text");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// Calls a query and returns its answer.
    pub async fn query(&self, method: &str, body: &Value) -> Value {
        let (status, answer) = self
            .call(&format!("querier.v1.QuerierService/{method}"), body)
            .await;
        assert_eq!(status, 200, "{method}: {answer}\n{}", self.log());
        answer
    }

    /// Pushes one pprof under a service name.
    pub async fn push(&self, service: &str, profile: &Profile) -> (u16, Value) {
        self.call(
            "push.v1.PusherService/Push",
            &push_body(service, &profile.encode_to_vec()),
        )
        .await
    }

    /// Returns the sum of the CPU profiles of a service, or the error.
    pub async fn total(&self, service: &str) -> Result<i64, (u16, Value)> {
        let body = select_body(&format!("{{service_name=\"{service}\"}}"));
        let (status, answer) = self
            .call("querier.v1.QuerierService/SelectMergeStacktraces", &body)
            .await;
        if status != 200 {
            return Err((status, answer));
        }
        let total = answer["flamegraph"]["total"].as_str().unwrap_or("0");
        Ok(total.parse().expect("a total is a number"))
    }

    /// Returns the value of a metric by its whole name and labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = reqwest::get(self.url("/metrics")).await.ok()?;
        let page = answer.text().await.expect("metrics are text");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a number"))
    }

    /// Waits until requests to this process find so many ACTIVE ingesters; the
    /// page of the ring shows them a moment before.
    pub async fn sees_active(&self, ingesters: usize) {
        let metric = "pyroscope_ring_members{name=\"ingester\",state=\"ACTIVE\"}";
        eventually(
            &format!("{} sees {ingesters} ACTIVE", self.http),
            async || (self.metric(metric).await == Some(ingesters as f64)).then_some(()),
        )
        .await;
    }

    /// Returns the instances of the ring by state.
    pub async fn ring(&self) -> Vec<(String, String, usize)> {
        let client = reqwest::Client::new();
        let answer = client
            .get(self.url("/ring"))
            .header("accept", "application/json")
            .send()
            .await;
        let Ok(answer) = answer else {
            return Vec::new();
        };
        let ring: Value = answer.json().await.expect("the ring page is JSON");
        let shards = ring["shards"].as_array().cloned().unwrap_or_default();
        shards
            .iter()
            .map(|shard| {
                (
                    shard["id"].as_str().unwrap_or_default().to_owned(),
                    shard["state"].as_str().unwrap_or_default().to_owned(),
                    shard["tokens"].as_array().map_or(0, Vec::len),
                )
            })
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `check` gives something.
pub async fn eventually<T>(what: &str, check: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the time in Unix milliseconds.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    elapsed.as_millis() as i64
}

/// Returns a CPU profile with one stack `main;<leaf>` of the given weight, taken
/// `age_ms` ago.
pub fn pprof(leaf: &str, value: i64, age_ms: i64) -> Profile {
    let strings = ["", "cpu", "nanoseconds", "main", leaf];
    let value_type = Some(ValueType { r#type: 1, unit: 2 });
    let function = |id, name| Function {
        id,
        name,
        ..Function::default()
    };
    let location = |id| Location {
        id,
        line: vec![Line {
            function_id: id,
            line: 1,
        }],
        ..Location::default()
    };
    Profile {
        sample_type: value_type.into_iter().collect(),
        sample: vec![Sample {
            location_id: vec![2, 1],
            value: vec![value],
            label: Vec::new(),
        }],
        location: vec![location(1), location(2)],
        function: vec![function(1, 3), function(2, 4)],
        string_table: strings.map(str::to_owned).to_vec(),
        time_nanos: (now_ms() - age_ms) * 1_000_000,
        period_type: value_type,
        period: 1,
        ..Profile::default()
    }
}

/// Returns the JSON body of a push.
pub fn push_body(service: &str, raw: &[u8]) -> Value {
    json!({"series": [{
        "labels": [
            {"name": "__name__", "value": "process_cpu"},
            {"name": "service_name", "value": service},
        ],
        "samples": [{"rawProfile": base64::engine::general_purpose::STANDARD.encode(raw)}],
    }]})
}

/// Returns the JSON body of a query over the last hour.
pub fn select_body(selector: &str) -> Value {
    json!({
        "profileTypeID": CPU,
        "labelSelector": selector,
        "start": (now_ms() - 3_600_000).to_string(),
        "end": (now_ms() + 60_000).to_string(),
    })
}
