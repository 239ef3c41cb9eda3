//! OpenTelemetry profiles.

use prost::Message as _;
use proto::otlp::v1::{
    AnyValue, Dictionary, ExportRequest, Function, KeyValue, Line, Location, Profile, Resource,
    ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType, any_value::Value as Any,
};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::{
    harness::{eventually, now_ms},
    *,
};

pub(super) const OTLP_HTTP: &str = "/v1development/profiles";
const OTLP_GRPC: &str =
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

pub(super) fn export(service: Option<&str>) -> ExportRequest {
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
