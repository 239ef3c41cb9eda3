//! How requests and answers travel: Connect, gRPC and gRPC-Web on one port.

use proto::{
    grpc::health::v1::{
        HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
        health_client::HealthClient,
    },
    push::v1::pusher_service_client::PusherServiceClient,
    rejection::v1::Rejections,
};
use reqwest::Response;
use tonic::{Code, codec::CompressionEncoding, transport::Channel};

use super::*;

const GRPC_WEB: &str = "application/grpc-web+proto";

async fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = reqwest::Client::new()
        .post(server.node.url(path))
        .body(body);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.expect("an answer")
}

async fn push(server: &Server, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    send(server, &format!("/{PUSH}"), headers, body).await
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn connect_takes_json_and_protobuf_plain_and_gzipped() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let json = |service: &str| push_as(service, &raw).to_string().into_bytes();
    let proto = |service: &str| message_of(service, &raw).encode_to_vec();
    let cases = [
        ("json", "application/json", "", json("json")),
        (
            "charset",
            "application/json; charset=utf-8",
            "",
            json("charset"),
        ),
        ("version", "application/json", "", json("version")),
        (
            "json-gzip",
            "application/json",
            "gzip",
            gzip(&json("json-gzip")),
        ),
        ("proto", "application/proto", "", proto("proto")),
        (
            "proto-gzip",
            "application/proto",
            "gzip",
            gzip(&proto("proto-gzip")),
        ),
    ];
    for (service, content_type, encoding, body) in cases {
        let mut headers = vec![("content-type", content_type), ("accept-encoding", "gzip")];
        if !encoding.is_empty() {
            headers.push(("content-encoding", encoding));
        }
        if service == "version" {
            headers.push(("connect-protocol-version", "1"));
        }
        let answer = push(&server, &headers, body).await;
        assert_eq!(answer.status(), 200, "{service}");
        let answered = content_type.split(';').next().expect("a type");
        assert_eq!(header(&answer, "content-type"), answered, "{service}");
        let text = answer.text().await.expect("text");
        let empty = if answered == "application/json" {
            "{}"
        } else {
            ""
        };
        assert_eq!(text, empty, "{service}");
        assert_eq!(server.node.total(service).await, Ok(4), "{service}");
    }
}

#[tokio::test]
async fn json_names_are_taken_in_both_forms_and_unknown_ones_ignored() {
    let server = Server::start(&[]).await;
    let mut body = push_as("snake", &good().encode_to_vec());
    let sample = &mut body["series"][0]["samples"][0];
    sample["raw_profile"] = sample["rawProfile"].take();
    sample
        .as_object_mut()
        .expect("an object")
        .remove("rawProfile");
    body["unknown"] = json!({"field": [1]});
    server.takes("snake case", &body).await;
    assert_eq!(server.node.total("snake").await, Ok(4));
}

#[tokio::test]
async fn what_connect_does_not_take() {
    let server = Server::start(&[]).await;
    for (content_type, body) in [
        ("application/json", &b"{broken"[..]),
        ("application/proto", b"\xff\xff"),
    ] {
        let answer = push(&server, &[("content-type", content_type)], body.to_vec()).await;
        assert_eq!(answer.status(), 400);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["code"], "invalid_argument");
        let text = body["message"].as_str().expect("a message");
        assert!(text.starts_with("unmarshal message: "), "{text}");
    }
    for encoding in ["br", "zstd"] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", encoding),
        ];
        let answer = push(&server, &headers, b"x".to_vec()).await;
        assert_eq!(answer.status(), 501);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["code"], "unimplemented");
        let says = format!("unknown compression {encoding:?}: supported encodings are gzip");
        assert_eq!(body["message"], says);
    }
    for content_type in ["text/plain", "application/x-protobuf"] {
        let answer = push(&server, &[("content-type", content_type)], b"x".to_vec()).await;
        assert_eq!(answer.status(), 415, "{content_type}");
        assert_eq!(answer.text().await.expect("text"), "");
    }
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(
        push(&server, &headers, b"not gzip".to_vec()).await.status(),
        400
    );
    let get = reqwest::get(server.node.url(&format!("/{PUSH}")))
        .await
        .expect("an answer");
    assert_eq!(
        (get.status().as_u16(), header(&get, "allow")),
        (405, "POST")
    );
    let unknown = "/push.v1.PusherService/Nothing";
    let answer = send(
        &server,
        unknown,
        &[("content-type", "application/json")],
        Vec::new(),
    )
    .await;
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.text().await.expect("text").trim_end(),
        "404 page not found"
    );
}

async fn channel(server: &Server) -> Channel {
    let endpoint = Channel::from_shared(server.node.url("")).expect("a URL");
    endpoint.connect().await.expect("a connection")
}

#[tokio::test]
async fn grpc_takes_pushes_and_tells_errors_with_details() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let mut plain = PusherServiceClient::new(channel(&server).await);
    plain.push(message_of("plain", &raw)).await.expect("a push");
    let mut gzip = plain.clone().send_compressed(CompressionEncoding::Gzip);
    gzip.push(message_of("gzip", &raw)).await.expect("a push");
    for service in ["plain", "gzip"] {
        assert_eq!(server.node.total(service).await, Ok(4), "{service}");
    }

    let mut many = message_of("bad", b"\xff");
    many.series = vec![many.series[0].clone(); 1000];
    many.series
        .push(message_of("valid", &raw).series[0].clone());
    let error = plain.push(many).await.expect_err("a refusal");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error
            .message()
            .starts_with("series 0: failed to parse profile"),
        "{error}"
    );
    let details = details_of(&error);
    assert!(!details.rejections.is_empty(), "{error}");
    assert_eq!(details.rejections.len() + details.omitted as usize, 1000);
    assert_eq!(server.node.total("valid").await, Ok(4));

    let mut small = plain.clone().max_encoding_message_size(usize::MAX);
    let error = small
        .push(PushRequest::default())
        .await
        .expect_err("nothing");
    assert_eq!(error.message(), "no profiles received");
}

/// Finds our detail in `grpc-status-details-bin`.
fn details_of(error: &tonic::Status) -> Rejections {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Rich {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let rich = Rich::decode(error.details()).expect("a google.rpc.Status");
    assert_eq!((rich.code, rich.message.as_str()), (3, error.message()));
    assert_eq!(
        rich.details[0].type_url,
        "type.googleapis.com/rejection.v1.Rejections"
    );
    Rejections::decode(rich.details[0].value.as_slice()).expect("rejections")
}

#[tokio::test]
async fn grpc_errors_are_grpc_even_for_garbage() {
    let server = Server::start(&[]).await;
    let headers = [("content-type", "application/grpc")];
    let bodies: [&[u8]; 6] = [
        b"",
        b"\0\0\0\0",
        b"\0\0\0\0\x02\xff\xff",
        b"\0\xff\xff\xff\xff",
        b"\x01\0\0\0\x01x",
        b"\x42\0\0\0\0",
    ];
    for body in bodies {
        let answer = push(&server, &headers, body.to_vec()).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "grpc-status")),
            (200, "3"),
            "{body:?}"
        );
    }
    let answer = send(
        &server,
        "/push.v1.PusherService/Nothing",
        &headers,
        Vec::new(),
    )
    .await;
    assert_eq!(header(&answer, "grpc-status"), "12");
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// Splits the answer of gRPC-Web into its message and trailers.
fn frames(body: &[u8]) -> (Option<Vec<u8>>, String) {
    let (mut rest, mut message) = (body, None);
    loop {
        let length = u32::from_be_bytes(rest[1..5].try_into().expect("four bytes")) as usize;
        let payload = rest[5..5 + length].to_vec();
        if rest[0] == 0x80 {
            assert_eq!(rest.len(), 5 + length, "trailers are last");
            return (message, String::from_utf8(payload).expect("text"));
        }
        message = Some(payload);
        rest = &rest[5 + length..];
    }
}

#[tokio::test]
async fn grpc_web_takes_pushes_in_both_forms() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let message = |service: &str| message_of(service, &raw).encode_to_vec();
    let answer = push(
        &server,
        &[("content-type", GRPC_WEB)],
        frame(&message("web")),
    )
    .await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (200, GRPC_WEB)
    );
    let body = answer.bytes().await.expect("a body");
    assert_eq!(
        frames(&body),
        (Some(Vec::new()), "grpc-status: 0\r\n".to_owned())
    );

    let mut zipped = frame(&gzip(&message("web-gzip")));
    zipped[0] = 1;
    let headers = [
        ("content-type", "application/grpc-web"),
        ("grpc-encoding", "gzip"),
    ];
    let answer = push(&server, &headers, zipped).await;
    let body = answer.bytes().await.expect("a body");
    assert_eq!(frames(&body).1, "grpc-status: 0\r\n");

    let text = "application/grpc-web-text+proto";
    let body = STANDARD.encode(frame(&message("web-text"))).into_bytes();
    let answer = push(&server, &[("content-type", text)], body).await;
    assert_eq!(header(&answer, "content-type"), text);
    let body = STANDARD
        .decode(answer.bytes().await.expect("a body"))
        .expect("base64");
    assert_eq!(frames(&body).1, "grpc-status: 0\r\n");
    for service in ["web", "web-gzip", "web-text"] {
        assert_eq!(server.node.total(service).await, Ok(4), "{service}");
    }
}

#[tokio::test]
async fn grpc_web_tells_errors_in_its_trailers() {
    let server = Server::start(&[]).await;
    let bad = frame(&message_of("bad", b"\xff").encode_to_vec());
    let garbage = [
        bad,
        b"\0\xff\xff\xff\xff".to_vec(),
        Vec::new(),
        frame(b"\xff"),
    ];
    for body in garbage {
        let answer = push(&server, &[("content-type", GRPC_WEB)], body).await;
        assert_eq!(answer.status(), 200);
        let (message, trailers) = frames(&answer.bytes().await.expect("a body"));
        assert_eq!(message, None);
        assert!(trailers.contains("grpc-status: 3\r\n"), "{trailers}");
        assert!(trailers.contains("grpc-message: "), "{trailers}");
    }
    let headers = [("content-type", GRPC_WEB)];
    let answer = send(
        &server,
        "/push.v1.PusherService/Nothing",
        &headers,
        Vec::new(),
    )
    .await;
    let (_, trailers) = frames(&answer.bytes().await.expect("a body"));
    assert!(trailers.contains("grpc-status: 12\r\n"), "{trailers}");
}

#[tokio::test]
async fn health_is_told_by_every_protocol_and_without_a_tenant() {
    let server = Server::start(&["-auth.multitenancy-enabled"]).await;
    let check = "grpc.health.v1.Health/Check";
    let serving = json!({"status": "SERVING_STATUS_SERVING"});
    assert_eq!(
        server.node.call(check, &json!({})).await,
        (200, serving.clone())
    );
    let push = json!({"service": "push.v1.PusherService"});
    assert_eq!(server.node.call(check, &push).await, (200, serving));
    let (status, answer) = server.node.call(check, &json!({"service": "none"})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")));

    let mut grpc = HealthClient::new(channel(&server).await);
    let answer = grpc
        .check(HealthCheckRequest::default())
        .await
        .expect("health");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let headers = [("content-type", GRPC_WEB)];
    let answer = send(&server, &format!("/{check}"), &headers, frame(b"")).await;
    let (message, _) = frames(&answer.bytes().await.expect("a body"));
    let message = HealthCheckResponse::decode(message.expect("a message").as_slice());
    assert_eq!(message.expect("health").status(), ServingStatus::Serving);
}
