//! What a stranger sends to use up memory: the process answers that it is the
//! sender's fault, stays within its budget and serves the next one.

mod harness;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use harness::{Node, fresh_address, pprof};
use prost::Message as _;
use proto::{
    google::v1::{Label, Sample},
    push::v1::{PushRequest, RawProfileSeries, RawSample},
    types::v1::LabelPair,
};
use serde_json::json;

const MIB: usize = 1 << 20;

/// Most bytes of requests in flight, as received, inflated and decoded.
const IN_FLIGHT: usize = 64 * MIB;

/// Most bytes of the head.
const HEAD: usize = 16 * MIB;

/// Largest profile, in bytes before compression.
const PROFILE: usize = MIB;

/// How many times its size a profile takes in flat tables, at worst: see
/// `profile::pprof::View`.
const VIEW_FACTOR: usize = 20;

/// Most series, labels and samples of a message.
const MAX_ENTRIES: usize = 1 << 18;

/// Requests that are under way at once.
const CLIENTS: usize = 4;

/// What a process may take that takes `idle` bytes before the flood: the sum of
/// what its settings allow.
fn budget(idle: u64) -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // Large pushes are parsed by as many threads as there are processors, at least
    // two; small ones, which may turn out large, by those that serve requests.
    let views = (processors.max(2) + processors) * VIEW_FACTOR * PROFILE;
    // The pieces in which a body comes are put together, and texts and bytes are
    // copied out of a message: what is in flight may be there twice for a moment.
    let requests = 2 * IN_FLIGHT;
    idle + (requests + views + HEAD) as u64
}

struct Target {
    node: Node,
    /// Most memory that it may take.
    budget: u64,
    client: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl Target {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let flags = [
            "-distributor.ingestion-body-limit-mb=16",
            &format!("-distributor.instance-limits.max-inflight-push-requests-bytes={IN_FLIGHT}"),
            &format!("-ingester.max-head-bytes={HEAD}"),
            &format!("-validation.max-profile-size-bytes={PROFILE}"),
        ];
        let node = Node::start(fresh_address(), dir.path(), &flags);
        node.ready().await;
        let client = reqwest::Client::new();
        Self {
            budget: budget(node.peak_memory()),
            node,
            client,
            _dir: dir,
        }
    }

    /// Sends a body again and again, several at once; each answer must blame the
    /// sender, or be that there is no room just now or, on a machine that does
    /// much else, no time.
    async fn flood(&self, what: &str, times: usize, headers: &[(&str, &str)], body: &[u8]) {
        self.flood_by(CLIENTS, what, times, headers, body).await;
    }

    /// Sends a frame of gRPC-Web, whose answer is 200 whatever it says: it must
    /// blame the sender.
    async fn refuses_frame(&self, headers: &[(&str, &str)], frame: Vec<u8>) {
        let url = self.node.url("/push.v1.PusherService/Push");
        let request = self.client.post(&url).header(GRPC_WEB.0, GRPC_WEB.1);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = request.body(frame).send().await.expect("an answer");
        let body = answer.bytes().await.expect("a body");
        assert!(
            body.windows(14).any(|part| part == b"grpc-status: 3"),
            "{body:?}"
        );
    }

    async fn flood_by(
        &self,
        clients: usize,
        what: &str,
        times: usize,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let url = self.node.url("/push.v1.PusherService/Push");
        let send = || {
            let mut request = self.client.post(&url).body(body.to_vec());
            for &(name, value) in headers {
                request = request.header(name, value);
            }
            async move {
                let answer = request
                    .send()
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e:?}"));
                let status = answer.status().as_u16();
                let text = answer.text().await.expect("text");
                let is_expected = matches!(status, 400 | 429 | 503 | 504);
                assert!(is_expected, "{what}: {status} {text}");
                assert!(
                    text.len() < 2 * MIB,
                    "{what}: an answer of {} bytes",
                    text.len()
                );
                status
            }
        };
        let mut blamed = 0;
        for _ in 0..times.div_ceil(clients) {
            let answers = futures::future::join_all((0..clients).map(|_| send())).await;
            blamed += answers.into_iter().filter(|status| *status < 500).count();
        }
        assert!(blamed > 0, "{what}: all were turned away");
        println!("{what}: peak {} MiB", self.node.peak_memory() >> 20);
        self.stayed_within_its_budget(what);
    }

    fn stayed_within_its_budget(&self, what: &str) {
        let (peak, budget) = (self.node.peak_memory(), self.budget);
        assert!(
            peak < budget,
            "{what}: {} of {} MiB",
            peak >> 20,
            budget >> 20
        );
    }

    /// Asserts that the process serves as if nothing had been.
    async fn serves(&mut self) {
        let answer = self.node.push("good", &pprof("work", 4, 0)).await;
        assert_eq!(answer, (200, json!({})));
        assert_eq!(self.node.total("good").await, Ok(4));
        assert!(self.node.is_running());
        assert!(!self.node.log().contains("panicked"), "{}", self.node.log());
    }
}

const PROTO: (&str, &str) = ("content-type", "application/proto");
const JSON: (&str, &str) = ("content-type", "application/json");
const GRPC_WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Returns about `mib` MiB of gzip that inflates to a thousand times as much.
fn bomb(mib: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let zeros = vec![0; MIB];
    for _ in 0..mib * 1000 {
        encoder.write_all(&zeros).expect("memory");
    }
    encoder.finish().expect("memory")
}

fn label(name: String, value: String) -> LabelPair {
    LabelPair { name, value }
}

fn named(service: &str) -> Vec<LabelPair> {
    vec![
        label("__name__".into(), "process_cpu".into()),
        label("service_name".into(), service.into()),
    ]
}

fn push(series: Vec<RawProfileSeries>) -> Vec<u8> {
    PushRequest { series }.encode_to_vec()
}

fn series(labels: Vec<LabelPair>, raw: Vec<u8>) -> RawProfileSeries {
    RawProfileSeries {
        labels,
        samples: vec![RawSample {
            raw_profile: raw.into(),
            ..RawSample::default()
        }],
        annotations: Vec::new(),
    }
}

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flags];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn zip_bombs() {
    let mut target = Target::start().await;
    let bomb = bomb(1);
    target.flood("body", 48, &[PROTO, GZIP], &bomb).await;
    target.flood("body in JSON", 24, &[JSON, GZIP], &bomb).await;
    let profile = push(vec![series(named("a"), bomb.clone())]);
    target.flood("profile", 32, &[PROTO], &profile).await;
    for _ in 0..4 {
        target
            .refuses_frame(&[("grpc-encoding", "gzip")], frame(1, &bomb))
            .await;
    }
    target.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_stacks_and_many_symbols() {
    let mut target = Target::start().await;
    let mut deep = pprof("work", 1, 0);
    let stack = vec![1; 100_000];
    deep.sample = vec![
        Sample {
            location_id: stack,
            value: vec![1],
            label: Vec::new()
        };
        7
    ];
    // Valid once it is cut; the time makes it too old to fill the head.
    deep.time_nanos = 1;
    let body = push(vec![series(named("deep"), deep.encode_to_vec()); 2]);
    target.flood("stacks", 8, &[PROTO], &body).await;

    // Two bytes each: empty samples, locations, functions and strings.
    for (what, tag) in [
        ("samples", 0x12),
        ("locations", 0x22),
        ("functions", 0x2a),
        ("strings", 0x32),
    ] {
        let raw = [tag, 0].repeat(PROFILE / 2 - 10);
        let body = push(vec![series(named("empty"), raw); 2]);
        target.flood(what, 8, &[PROTO], &body).await;
    }
    let mut labelled = pprof("work", 1, 0);
    labelled.sample[0].label = vec![Label::default(); PROFILE / 3];
    let body = push(vec![series(named("labels"), labelled.encode_to_vec())]);
    target.flood("sample labels", 8, &[PROTO], &body).await;
    target.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_lengths() {
    let mut target = Target::start().await;
    let length = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    let absurd = |tag: u8| [&[tag][..], length, b"rest"].concat();
    target.flood("a series", 16, &[PROTO], &absurd(0x0a)).await;
    for tag in [0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x6a] {
        let body = push(vec![series(named("a"), absurd(tag))]);
        target.flood("a table", 8, &[PROTO], &body).await;
    }
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(&absurd(0x32)).expect("memory");
    let mut zipped = zipped.finish().expect("memory");
    let size = zipped.len() - 4;
    zipped[size..].copy_from_slice(&[0xff; 4]);
    let body = push(vec![series(named("a"), zipped)]);
    target
        .flood("the size that gzip says", 16, &[PROTO], &body)
        .await;

    for length in [u32::MAX, 1 << 31] {
        let frame = [&[0][..], &length.to_be_bytes(), b"rest"].concat();
        target.refuses_frame(&[], frame).await;
    }
    for length in [
        "Content-Length: 99999999999999",
        "Transfer-Encoding: chunked",
    ] {
        let mut stream = TcpStream::connect(&target.node.http).expect("the server listens");
        stream
            .set_read_timeout(Some(harness::PATIENCE))
            .expect("a socket");
        let head = format!(
            "POST /push.v1.PusherService/Push HTTP/1.1\r\nHost: a\r\n\
             Content-Type: application/proto\r\n{length}\r\n\r\nfffffffffffffff\r\nrest"
        );
        stream.write_all(head.as_bytes()).expect("a local write");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("a socket");
        // The connection ends, with an answer or without.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    target.stayed_within_its_budget("lengths");
    target.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn label_floods() {
    let mut target = Target::start().await;
    let raw = pprof("work", 1, 0).encode_to_vec();
    let empty = [0x0a, 0].repeat(7 * MIB);
    target.flood("empty series", 8, &[PROTO], &empty).await;
    // As many as a message may have: few bytes, and many of memory.
    let few = [0x0a, 0].repeat(MAX_ENTRIES - 1);
    let what = "the most empty series";
    target.flood_by(24, what, 24, &[PROTO], &few).await;
    let text = format!("{{\"series\":[{}{{}}]}}", "{},".repeat(4 * MIB));
    target
        .flood("empty series in JSON", 8, &[JSON], text.as_bytes())
        .await;
    let text = format!("{{\"series\":{}", "[".repeat(MIB));
    target.flood("brackets", 8, &[JSON], text.as_bytes()).await;

    let mut nested = vec![0x0a, 0x80, 0x80, 0x80, 0x07];
    nested.extend([0x0a, 0].repeat(7 * MIB));
    target.flood("empty labels", 8, &[PROTO], &nested).await;
    let many = (0..200_000).map(|n| label(format!("l{n}"), "v".into()));
    let many = named("many").into_iter().chain(many).collect();
    let body = push(vec![series(many, raw.clone())]);
    target.flood("labels", 8, &[PROTO], &body).await;
    let mut long = named("long");
    long.push(label("env".into(), "\u{1}".repeat(12 * MIB)));
    let body = push(vec![series(long, raw.clone())]);
    target.flood("a long value", 8, &[PROTO], &body).await;
    let bad = series(vec![label("a".into(), "b".repeat(3000))], raw.clone());
    let body = push(vec![bad; 4000]);
    target.flood("bad series", 8, &[PROTO], &body).await;
    target.serves().await;
}
