//! Malformed input of every kind gets a clear refusal, and the process lives.

mod harness;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Output},
    sync::Mutex,
};

use harness::{Node, eventually, fresh_address, pprof, push_body, select_body};
use prost::Message as _;
use serde_json::{Value, json};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pyroscope"))
        .args(args)
        .output()
        .expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_flags_name_themselves_and_their_neighbours() {
    let cases = [
        (&["-memberlist.joins=a"][..], "memberlist.join"),
        (
            &["-server.http-listen-port=high"][..],
            "server.http-listen-port",
        ),
        (&["-target=ingestor"][..], "ingester"),
        (
            &["-ingester.heartbeat-period=5 parsecs"][..],
            "ingester.heartbeat-period",
        ),
        (
            &["-config.file=/nonexistent/config.yaml"][..],
            "/nonexistent/config.yaml",
        ),
    ];
    for (args, named) in cases {
        let output = run(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(named), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn bad_yaml_is_refused_with_its_key_and_good_yaml_verified() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("config.yaml");
    let flag = format!("-config.file={}", file.display());
    let cases = [
        ("memberlist:\n  join_member: [a]\n", "join_members"),
        ("server: [1, 2]\n", "server"),
        ("memberlist: {join_members: [\n", "config.yaml"),
        ("ingester: {lifecycler: {num_tokens: many}}\n", "num_tokens"),
    ];
    for (yaml, named) in cases {
        std::fs::write(&file, yaml).expect("a file");
        let output = run(&[&flag, "-config.verify"]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{yaml}: {text}");
        assert!(text.contains(named), "{yaml}: {text}");
    }
    std::fs::write(&file, "memberlist:\n  join_members: [\"a:1\"]\n").expect("a file");
    assert_eq!(run(&[&flag, "-config.verify"]).status.code(), Some(0));
}

#[test]
fn version_and_modules_are_printed() {
    let version = run(&["-version"]);
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    let modules = String::from_utf8_lossy(&run(&["-modules"]).stdout).into_owned();
    for module in ["all", "distributor *", "ingester *", "querier *"] {
        assert!(
            modules.lines().any(|line| line.trim() == module),
            "{modules}"
        );
    }
}

struct Case {
    what: &'static str,
    body: Value,
    says: &'static str,
}

fn push_cases() -> Vec<Case> {
    let good = pprof("work", 1, 0);
    let raw = |change: &dyn Fn(&mut proto::google::v1::Profile)| {
        let mut profile = good.clone();
        change(&mut profile);
        push_body("app", &profile.encode_to_vec())
    };
    let label = |name: &str, value: &str| {
        let mut body = push_body("app", &good.encode_to_vec());
        let labels = body["series"][0]["labels"].as_array_mut().expect("labels");
        labels.push(json!({"name": name, "value": value}));
        body
    };
    let case = |what, body, says| Case { what, body, says };
    vec![
        case("nothing", json!({}), "no profiles received"),
        case(
            "garbage",
            push_body("app", b"\xff\xff\xff not a profile"),
            "",
        ),
        case(
            "truncated gzip",
            push_body("app", b"\x1f\x8b\x08\x00\x00\x00"),
            "",
        ),
        case("empty profile", push_body("app", b""), ""),
        case(
            "no sample types",
            raw(&|p| p.sample_type.clear()),
            "empty profile",
        ),
        case(
            "a value too many",
            raw(&|p| p.sample[0].value.push(1)),
            "sample value length mismatch",
        ),
        case(
            "string 0",
            raw(&|p| p.string_table[0] = "x".into()),
            "string 0 should be empty string",
        ),
        case(
            "function name",
            raw(&|p| p.function[0].name = 99),
            "out of range",
        ),
        case(
            "location 0",
            raw(&|p| p.location[0].id = 0),
            "location id is 0",
        ),
        case(
            "too old",
            raw(&|p| p.time_nanos = 1),
            "outside of ingestion window",
        ),
        case(
            "duplicate label",
            label("service_name", "b"),
            "duplicate label name",
        ),
        case(
            "long label",
            label("env", &"x".repeat(3000)),
            "label value too long",
        ),
        case("empty label name", label("", "x"), "label name"),
    ]
}

#[tokio::test]
async fn bad_pushes_are_400_and_say_why() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    for Case { what, body, says } in push_cases() {
        let (status, answer) = node.call("push.v1.PusherService/Push", &body).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("invalid_argument")),
            "{what}: {answer}"
        );
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|text| text.contains(says)),
            "{what}: {answer}"
        );
    }
    let many: Vec<Value> = (0..31)
        .map(|n| json!({"name": format!("l{n}"), "value": "v"}))
        .collect();
    let mut body = push_body("app", &pprof("work", 1, 0).encode_to_vec());
    body["series"][0]["labels"]
        .as_array_mut()
        .expect("labels")
        .extend(many);
    let (status, answer) = node.call("push.v1.PusherService/Push", &body).await;
    assert_eq!(status, 400);
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|text| text.contains("label names; limit 30")),
        "{answer}"
    );

    let bad = push_body("bad", b"\xff")["series"][0].clone();
    let hundred = json!({"series": vec![bad; 100]});
    let (status, answer) = node.call("push.v1.PusherService/Push", &hundred).await;
    assert_eq!(status, 400);
    let text = answer["message"].as_str().expect("a message");
    assert!(
        text.starts_with("series 0: failed to parse profile"),
        "{text}"
    );
    assert!(text.contains("; series 1: "), "{text}");

    let mut body = push_body("good", &pprof("work", 4, 0).encode_to_vec());
    let bad = push_body("bad", b"\xff")["series"][0].clone();
    body["series"].as_array_mut().expect("series").push(bad);
    assert_eq!(node.call("push.v1.PusherService/Push", &body).await.0, 400);
    assert_eq!(
        node.total("good").await,
        Ok(4),
        "what is valid is stored all the same"
    );
}

#[tokio::test]
async fn bad_transport_is_refused_as_connect_does() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    let client = reqwest::Client::new();
    let push = node.url("/push.v1.PusherService/Push");
    let send = async |headers: &[(&str, &str)], body: &'static [u8]| {
        let mut request = client.post(&push).body(body);
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("text"))
    };
    let json = ("content-type", "application/json");
    let (status, text) = send(&[json], b"{broken").await;
    assert_eq!(status, 400);
    assert!(text.contains("unmarshal message"), "{text}");
    let (status, text) = send(&[("content-type", "application/proto")], b"\xff\xff").await;
    assert_eq!(status, 400);
    assert!(text.contains("unmarshal message"), "{text}");
    assert_eq!(send(&[("content-type", "text/plain")], b"x").await.0, 415);
    let (status, text) = send(&[json, ("content-encoding", "br")], b"x").await;
    assert_eq!(status, 501);
    assert!(text.contains("supported encodings are gzip"), "{text}");
    assert_eq!(
        send(&[json, ("content-encoding", "gzip")], b"not gzip")
            .await
            .0,
        400
    );
    let (status, _) = send(
        &[("content-type", "application/grpc")],
        b"\x00\x00\x00\x00\x02\xff\xff",
    )
    .await;
    assert_eq!(status, 200, "gRPC reports in its trailers");
    let get = client.get(&push).send().await.expect("an answer");
    assert_eq!(get.status(), 405);
    assert_eq!(get.headers()["allow"], "POST");
    let unknown = client.post(node.url("/querier.v1.QuerierService/Nothing"));
    let answer = unknown.send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.text().await.expect("text").trim_end(),
        "404 page not found"
    );
    let unknown = client
        .post(node.url("/querier.v1.QuerierService/Nothing"))
        .header("content-type", "application/grpc");
    let answer = unknown.send().await.expect("an answer");
    assert_eq!(answer.headers()["grpc-status"], "12");
    let large = client
        .post(node.url("/querier.v1.QuerierService/LabelNames"))
        .header("content-type", "application/json")
        .body(" ".repeat((1 << 20) + 1));
    assert_eq!(large.send().await.expect("an answer").status(), 400);
    let ingest = client
        .post(node.url("/ingest?name=a&format=pprof"))
        .body("junk");
    assert_eq!(ingest.send().await.expect("an answer").status(), 422);
    let unnamed = client.post(node.url("/ingest?format=pprof")).body("junk");
    assert_eq!(unnamed.send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn bad_queries_are_400_and_say_why() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    let refused = async |method: &str, body: Value, says: &str| {
        let (status, answer) = node
            .call(&format!("querier.v1.QuerierService/{method}"), &body)
            .await;
        assert_eq!(status, 400, "{method} {body}: {answer}");
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|text| text.contains(says)),
            "{answer}"
        );
    };
    let with = |key: &str, value: Value| {
        let mut body = select_body("{}");
        body[key] = value;
        body
    };
    let merge = "SelectMergeStacktraces";
    refused(
        merge,
        json!({"profileTypeID": harness::CPU, "labelSelector": "{}"}),
        "missing time range",
    )
    .await;
    refused(merge, with("labelSelector", json!("{a=")), "selector").await;
    refused(
        merge,
        with("labelSelector", json!("{a=~\"(\"}")),
        "selector",
    )
    .await;
    refused(merge, with("profileTypeID", json!("cpu")), "").await;
    refused(
        merge,
        with("start", json!("99999999999999")),
        "start time is after end time",
    )
    .await;
    refused(
        merge,
        with("maxNodes", json!("2097152")),
        "max flamegraph nodes limit",
    )
    .await;
    refused("SelectSeries", select_body("{}"), "step must be >= 1ms").await;
    refused("LabelValues", json!({}), "name is required").await;
    refused("Series", json!({"matchers": ["{"]}), "selector").await;
}

#[tokio::test]
async fn bodies_that_take_all_room_turn_others_away_until_they_are_gone() {
    const MIB: usize = 1 << 20;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flags = [
        "-distributor.ingestion-body-limit-mb=40",
        "-distributor.instance-limits.max-inflight-push-requests-bytes=83886080",
    ];
    let node = Node::start(fresh_address(), dir.path(), &flags);
    node.ready().await;
    let client = reqwest::Client::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&vec![b' '; 3 * MIB]).expect("memory");
    let blank = gzip.finish().expect("memory");
    let push = async || {
        let request = client
            .post(node.url("/push.v1.PusherService/Push"))
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(blank.clone());
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(push().await, 400, "there is room");

    let hold = || {
        let mut stream = TcpStream::connect(&node.http).expect("the server listens");
        let head = format!(
            "POST /push.v1.PusherService/Push HTTP/1.1\r\nHost: a\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            40 * MIB
        );
        // Turned away itself, it finds its connection closed.
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&vec![b' '; 39 * MIB]);
        stream
    };
    let held = Mutex::new(vec![hold()]);
    eventually("there is no room", async || {
        held.lock().expect("no holder panics").push(hold());
        (push().await == 503).then_some(())
    })
    .await;
    drop(held);
    eventually("there is room again", async || {
        (push().await == 400).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flag = "-server.http-read-timeout=100ms";
    let node = Node::start(fresh_address(), dir.path(), &[flag]);
    let mut silent = TcpStream::connect(&node.http).expect("the server listens");
    silent
        .set_read_timeout(Some(harness::PATIENCE))
        .expect("a socket");
    assert_eq!(silent.read(&mut [0; 1]).expect("closed in time"), 0);
}

#[tokio::test]
async fn garbage_on_the_gossip_port_does_no_harm() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = fresh_address();
    let mut node = Node::start(address, dir.path(), &[]);
    node.ready().await;
    let blobs: [&[u8]; 7] = [
        b"",
        b"\x01",
        b"\x01\x05junk",
        b"\x02\x06\x83\xff\xff\xff\xff\xff",
        b"\x02\x09\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xf4; 300],
    ];
    for blob in blobs {
        let mut stream = TcpStream::connect((address, 7946)).expect("the gossip port listens");
        stream.write_all(blob).expect("a local write");
    }
    assert_eq!(node.push("app", &pprof("work", 1, 0)).await.0, 200);
    assert!(node.is_running());
    assert!(!node.log().contains("panicked"), "{}", node.log());
}
