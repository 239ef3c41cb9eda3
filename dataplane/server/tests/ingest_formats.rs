//! Every format of `/ingest` and OTLP, sent to a real process and found by query.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use harness::{Node, eventually, fresh_address, now_ms, pprof, select_body};
use prost::Message as _;
use proto::otlp::v1::{
    AnyValue, Dictionary, ExportRequest, Function, KeyValue, Line, Location, Profile, Resource,
    ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType, any_value::Value as Any,
};
use reqwest::{
    Client, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::{Value, json};

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const WALL: &str = "wall:wall:nanoseconds:cpu:nanoseconds";
const OTLP_HTTP: &str = "/v1development/profiles";
const OTLP_GRPC: &str =
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

async fn start(dir: &tempfile::TempDir, args: &[&str]) -> Node {
    let node = Node::start(fresh_address(), dir.path(), args);
    node.ready().await;
    node
}

async fn post(node: &Node, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut request = Client::new().post(node.url(path)).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    status_and_text(request.send().await.expect("the process answers")).await
}

async fn status_and_text(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    (status, response.text().await.expect("the answer is text"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A body of parts, each with a name.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!(
            "--cut\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--cut--\r\n");
    body
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=cut");

/// Asks for the total of a type and the names of its functions.
async fn find(node: &Node, profile_type: &str, selector: &str) -> (i64, Vec<String>) {
    let mut body = select_body(selector);
    body["profileTypeID"] = json!(profile_type);
    let answer = node.query("SelectMergeStacktraces", &body).await;
    let flame = &answer["flamegraph"];
    let names = flame["names"].as_array().cloned().unwrap_or_default();
    let names = names.iter().filter_map(Value::as_str).map(str::to_owned);
    let total = flame["total"].as_str().unwrap_or("0");
    (total.parse().unwrap(), names.collect())
}

async fn expect(node: &Node, profile_type: &str, selector: &str, total: i64, function: &str) {
    let (found, names) = find(node, profile_type, selector).await;
    assert_eq!(found, total, "{profile_type}{selector}: {names:?}");
    assert!(names.iter().any(|name| name == function), "{names:?}");
}

/// `a;b` with self value 3 below a root, as tries and trees have it.
const TRIE: &[u8] = b"\x00\x00\x01\x03a;b\x03\x00";
const TREE: &[u8] = b"\x00\x00\x01\x01a\x00\x01\x01b\x03\x00";

fn speedscope(unit: &str, weight: f64) -> Vec<u8> {
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": "a"}, {"name": "b"}]},
        "profiles": [{"type": "sampled", "name": "main", "unit": unit, "startValue": 0,
            "endValue": weight, "samples": [[0, 1]], "weights": [weight]}],
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn each_text_and_binary_format_is_found_by_its_type() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let ten_ms = 10_000_000;
    let rows: [(&str, &[u8], &str, &str, i64); 14] = [
        ("name=r0.cpu", b"a;b 3\n", "r0", CPU, 3 * ten_ms),
        (
            "name=r1&format=folded&sampleRate=1000",
            b"a;b 3",
            "r1",
            CPU,
            3_000_000,
        ),
        (
            "name=r2.wall&format=groups",
            b"a;b 3",
            "r2",
            WALL,
            3 * ten_ms,
        ),
        (
            "name=r3.inuse_space&format=whatever",
            b"a;b 3",
            "r3",
            "memory:inuse_space:bytes::",
            3,
        ),
        (
            "name=r4.alloc_objects",
            b"a;b 3",
            "r4",
            "memory:alloc_objects:count::",
            3,
        ),
        (
            "name=r5.goroutines",
            b"a;b 3",
            "r5",
            "goroutine:goroutines:count::",
            3,
        ),
        (
            "name=r6.mutex_count",
            b"a;b 3",
            "r6",
            "mutex:contentions:count::",
            3,
        ),
        (
            "name=r7.lock_duration",
            b"a;b 3",
            "r7",
            "block:delay:nanoseconds::",
            3,
        ),
        (
            "name=r8.exceptions",
            b"a;b 3",
            "r8",
            "exceptions:samples:count::",
            3,
        ),
        (
            "name=r9&format=lines",
            b"a;b\na;b\na;b\n",
            "r9",
            CPU,
            3 * ten_ms,
        ),
        ("name=r10&format=trie", TRIE, "r10", CPU, 3 * ten_ms),
        ("name=r11&format=tree", TREE, "r11", CPU, 3 * ten_ms),
        (
            "name=r12.itimer&units=samples&aggregationType=sum",
            b"a;b 3",
            "r12",
            CPU,
            3 * ten_ms,
        ),
        (
            "name=r13.live&from=now-1m&until=now",
            b"a;b 3",
            "r13",
            "memory:live:count::",
            3,
        ),
    ];
    for (at, (query, body, service, profile_type, total)) in rows.into_iter().enumerate() {
        let path = ["/ingest", "/pyroscope/ingest"][at % 2];
        let (status, text) = post(&node, &format!("{path}?{query}"), &[], body).await;
        assert_eq!((status, &*text), (200, ""), "{query}");
        let selector = format!("{{service_name=\"{service}\", pyroscope_spy=\"unknown\"}}");
        expect(&node, profile_type, &selector, total, "b").await;
    }
    for (kind, body, name) in [("trie", TRIE, "t1"), ("tree", TREE, "t2")] {
        let kind = format!("binary/octet-stream+{kind}");
        let headers = [("content-type", &*kind)];
        let answer = post(&node, &format!("/ingest?name={name}"), &headers, body).await;
        assert_eq!(answer.0, 200, "{answer:?}");
        expect(
            &node,
            CPU,
            &format!("{{service_name=\"{name}\"}}"),
            3 * ten_ms,
            "b",
        )
        .await;
    }
}

#[tokio::test]
async fn names_tags_and_compressed_bodies_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let query = "/ingest?name=app.cpu%7Bregion%3Deu,service_name%3Dother%7D&spyName=rbspy";
    let gzipped = [("content-encoding", "gzip")];
    let answer = post(&node, query, &gzipped, &gzip(b"a;b 3")).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let selector =
        "{service_name=\"other\", app_name=\"app\", region=\"eu\", pyroscope_spy=\"rbspy\"}";
    expect(&node, CPU, selector, 30_000_000, "b").await;

    // A raw pprof, and one in parts with a name for its type.
    let profile = pprof("leaf", 7, 0).encode_to_vec();
    let path = "/ingest?name=p1&format=pprof";
    assert_eq!(post(&node, path, &gzipped, &gzip(&profile)).await.0, 200);
    expect(&node, CPU, "{service_name=\"p1\"}", 7, "leaf").await;
    let config = br#"{"cpu": {"units": "samples", "display-name": "wall"}}"#;
    let body = form(&[("profile", &gzip(&profile)), ("sample_type_config", config)]);
    assert_eq!(post(&node, "/ingest?name=p2", &[FORM], &body).await.0, 200);
    let wall = "wall:cpu:nanoseconds:cpu:nanoseconds";
    expect(&node, wall, "{service_name=\"p2\"}", 7, "leaf").await;
    let mut parts = vec![FORM];
    parts.extend(gzipped);
    let path = "/ingest?name=p3";
    assert_eq!(post(&node, path, &parts, &gzip(&body)).await.0, 200);
    expect(&node, wall, "{service_name=\"p3\"}", 7, "leaf").await;
}

#[tokio::test]
async fn speedscope_keeps_the_shortest_sample() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    for (name, unit, total) in [
        ("s1", "nanoseconds", 3),
        ("s2.cpu", "seconds", 3_000_000_000),
    ] {
        let path = format!("/ingest?format=speedscope&name={name}");
        let answer = post(&node, &path, &[], &speedscope(unit, 3.0)).await;
        assert_eq!(answer.0, 200, "{answer:?}");
        let service = name.trim_end_matches(".cpu");
        let selector = format!("{{service_name=\"{service}\", profile_name=\"main\"}}");
        expect(&node, CPU, &selector, total, "b").await;
    }
}

#[tokio::test]
async fn recordings_of_java_become_all_their_profiles() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../profile/tests/ingest/busy.jfr.gz"
    );
    let recording = std::fs::read(recording).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(&recording[..])
        .read_to_end(&mut plain)
        .unwrap();
    let query = "/ingest?format=jfr&spyName=javaspy&sampleRate=100";
    // As the agent sends it: parts compressed, and nothing that says so.
    let path = format!("{query}&name=j1");
    let body = form(&[("jfr", &recording)]);
    let answer = post(&node, &path, &[FORM], &body).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let answer = post(&node, &format!("{query}&name=j2"), &[], &plain).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    for service in ["j1", "j2"] {
        let selector = format!("{{service_name=\"{service}\", pyroscope_spy=\"javaspy\"}}");
        for (profile_type, total, function) in [
            (CPU, 220_000_000, "Busy.spin"),
            (
                "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
                230_314_864,
                "Busy.allocate",
            ),
            (
                "memory:alloc_sample_objects:count:space:bytes",
                66,
                "Busy.allocate",
            ),
            ("mutex:contentions:count:mutex:count", 21, "Busy.contend"),
            ("block:contentions:count:block:count", 27, "Busy.main"),
        ] {
            expect(&node, profile_type, &selector, total, function).await;
        }
    }
    for (headers, body) in [
        (&[][..], b"garbage".to_vec()),
        (&[FORM][..], form(&[("profile", b"x")])),
        (&[FORM][..], b"no parts".to_vec()),
    ] {
        let (status, text) = post(&node, &path, headers, &body).await;
        assert_eq!(status, 422, "{text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(error["code"], "unknown");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("parsing IngestInput-jfr failed"),
            "{message}"
        );
    }
}

/// Path, headers, body, status, and a part of the text.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

#[tokio::test]
async fn refusals_have_the_status_that_clients_know() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &["-distributor.ingestion-body-limit-mb=1"]).await;
    let old = format!("/ingest?name=a&from={}", now_ms() - 7_200_000);
    let long = format!("/ingest?name=a%7Bx%3D{}%7D", "v".repeat(2049));
    let bomb = gzip(&vec![b'\n'; 2 << 20]);
    let gzipped = ("content-encoding", "gzip");
    let rows: [Refused<'_>; 14] = [
        (
            "/ingest",
            &[],
            b"a 1",
            400,
            "name: service name is required",
        ),
        (
            "/ingest?name=",
            &[],
            b"a 1",
            400,
            "name: service name is required",
        ),
        (
            "/ingest?name=my.app",
            &[],
            b"a 1",
            400,
            "unknown profile type: app",
        ),
        ("/ingest?name=a", &[], b"", 200, ""),
        ("/ingest?name=a&format=pprof", &[], b"", 200, ""),
        ("/ingest?name=a", &[], b"a ten", 422, "line 1"),
        (
            "/ingest?name=a&format=pprof",
            &[],
            b"garbage",
            422,
            "parsing IngestInput-pprof failed",
        ),
        ("/ingest?name=a&format=trie", &[], b"\x7f", 422, "cut short"),
        (
            "/ingest?name=a&format=speedscope",
            &[],
            b"{}",
            422,
            "unknown schema",
        ),
        (
            "/ingest?name=a",
            &[gzipped],
            b"no gzip",
            422,
            "decompress body",
        ),
        ("/ingest?name=a", &[gzipped], &bomb, 413, "too large"),
        (
            "/ingest?name=a",
            &[("content-encoding", "zstd")],
            b"x",
            415,
            "zstd",
        ),
        (&old, &[], b"a 1", 400, "outside of ingestion window"),
        (&long, &[], b"a 1", 400, "label value too long"),
    ];
    for (path, headers, body, want, part) in rows {
        let (status, text) = post(&node, path, headers, body).await;
        assert_eq!(status, want, "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
    let large = vec![b'\n'; (1 << 20) + 1];
    assert_eq!(post(&node, "/ingest?name=a", &[], &large).await.0, 413);
    let previous = form(&[("profile", b"x"), ("prev_profile", b"x")]);
    let (status, text) = post(&node, "/ingest?name=a", &[FORM], &previous).await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("unsupported client version"), "{text}");
    let got = reqwest::get(node.url("/ingest?name=a")).await.unwrap();
    assert_eq!(got.status().as_u16(), 405);
}

fn export(service: Option<&str>) -> ExportRequest {
    let strings = ["", "samples", "count", "cpu", "nanoseconds", "main", "work"];
    let value_type = |type_strindex, unit_strindex| {
        Some(ValueType {
            type_strindex,
            unit_strindex,
        })
    };
    let attribute = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.to_owned())),
        }),
        key_strindex: 0,
    };
    let mut attributes = vec![attribute("k8s.pod", "p")];
    attributes.extend(service.map(|service| attribute("service.name", service)));
    let location = |function_index| Location {
        lines: vec![Line {
            function_index,
            line: 1,
        }],
        ..Location::default()
    };
    let function = |name_strindex| Function {
        name_strindex,
        ..Function::default()
    };
    let profile = Profile {
        sample_type: value_type(1, 2),
        period_type: value_type(3, 4),
        period: 10_000_000,
        samples: vec![Sample {
            stack_index: 1,
            values: vec![3],
            ..Sample::default()
        }],
        time_unix_nano: now_ms() as u64 * 1_000_000,
        duration_nano: 1_000_000_000,
    };
    ExportRequest {
        resource_profiles: vec![ResourceProfiles {
            resource: Some(Resource { attributes }),
            scope_profiles: vec![ScopeProfiles {
                scope: None,
                profiles: vec![profile],
            }],
        }],
        dictionary: Some(Dictionary {
            string_table: strings.map(str::to_owned).to_vec(),
            function_table: vec![function(0), function(5), function(6)],
            location_table: vec![Location::default(), location(1), location(2)],
            stack_table: vec![
                Stack::default(),
                Stack {
                    location_indices: vec![2, 1],
                },
            ],
            ..Dictionary::default()
        }),
    }
}

#[tokio::test]
async fn otlp_comes_by_protobuf_json_and_grpc() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let protobuf = ("content-type", "application/x-protobuf");
    let plain = |service| export(Some(service)).encode_to_vec();
    let gzipped = [protobuf, ("content-encoding", "gzip")];
    let json = [("content-type", "application/json")];
    let other = [("content-type", "application/protobuf")];
    let as_json = serde_json::to_vec(&export(Some("o3"))).unwrap();
    for (path, headers, body) in [
        (OTLP_HTTP, &[protobuf][..], plain("o1")),
        (OTLP_GRPC, &gzipped[..], gzip(&plain("o2"))),
        (OTLP_HTTP, &json[..], as_json),
        (OTLP_GRPC, &other[..], plain("o4")),
    ] {
        let (status, text) = post(&node, path, headers, &body).await;
        assert_eq!((status, &*text), (200, ""), "{path} {headers:?}");
    }
    grpc_export(&node, export(Some("o5"))).await.unwrap();
    for service in ["o1", "o2", "o3", "o4", "o5"] {
        let selector = format!("{{service_name=\"{service}\", \"k8s.pod\"=\"p\"}}");
        expect(&node, CPU, &selector, 30_000_000, "work").await;
    }
    let nameless = export(None).encode_to_vec();
    assert_eq!(post(&node, OTLP_HTTP, &[protobuf], &nameless).await.0, 200);
    expect(
        &node,
        CPU,
        "{service_name=\"unknown_service\"}",
        30_000_000,
        "work",
    )
    .await;
}

async fn grpc_export(node: &Node, request: ExportRequest) -> Result<(), tonic::Status> {
    let channel = tonic::transport::Endpoint::from_shared(node.url("")).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let codec =
        tonic_prost::ProstCodec::<ExportRequest, proto::otlp::v1::ExportResponse>::default();
    let path = OTLP_GRPC.parse().unwrap();
    let answer = client
        .unary(tonic::Request::new(request), path, codec)
        .await;
    answer.map(|_| ())
}

#[tokio::test]
async fn otlp_refusals_are_plain_text_and_the_clients_fault() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &["-distributor.ingestion-body-limit-mb=1"]).await;
    let mut no_dictionary = export(Some("a"));
    no_dictionary.dictionary = None;
    let mut lost = export(Some("a"));
    lost.resource_profiles[0].scope_profiles[0].profiles[0].samples[0].stack_index = 9;
    let protobuf = "application/x-protobuf";
    let rows: [(&str, Vec<u8>, u16, &str); 6] = [
        (
            "text/plain",
            Vec::new(),
            415,
            "Unsupported Content-Type: text/plain",
        ),
        (
            protobuf,
            b"\xff\xff".to_vec(),
            400,
            "Failed to parse protobuf request",
        ),
        (
            "application/json",
            b"{".to_vec(),
            400,
            "Failed to parse JSON request",
        ),
        (
            protobuf,
            no_dictionary.encode_to_vec(),
            400,
            "missing profile metadata dictionary",
        ),
        (
            protobuf,
            lost.encode_to_vec(),
            400,
            "stack index 9 is out of bounds",
        ),
        (protobuf, vec![0; (1 << 20) + 1], 413, "too large"),
    ];
    for (kind, body, want, part) in rows {
        let (status, text) = post(&node, OTLP_HTTP, &[("content-type", kind)], &body).await;
        assert_eq!(status, want, "{kind}: {text}");
        assert!(text.contains(part), "{text}");
    }
    let status = grpc_export(&node, no_dictionary).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    // Empty samples are two bytes each here and a hundred in memory.
    let flood = [0x12, 0].repeat(400_000);
    let wrap = |tag: u8, inner: &[u8]| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        [outer, inner.to_vec()].concat()
    };
    let mut flood = wrap(0x0a, &wrap(0x12, &wrap(0x12, &flood)));
    flood.extend(wrap(0x12, &[]));
    let headers = [(CONTENT_TYPE.as_str(), protobuf)];
    let (status, text) = post(&node, OTLP_HTTP, &headers, &flood).await;
    assert_eq!(status, 400, "{text}");
    let bomb = gzip(&vec![0; 64 << 20]);
    let headers = [headers[0], (CONTENT_ENCODING.as_str(), "gzip")];
    assert_eq!(post(&node, OTLP_HTTP, &headers, &bomb).await.0, 413);
    eventually("the process lives", async || {
        let (status, _) = post(&node, "/ingest?name=a", &[], b"a 1").await;
        (status == 200).then_some(())
    })
    .await;
}
