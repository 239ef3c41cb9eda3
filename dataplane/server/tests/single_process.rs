//! `-target=all` as one process: push by every protocol, query by every method.

mod harness;

use harness::{CPU, Node, eventually, fresh_address, pprof, push_body, select_body};
use prost::Message as _;
use proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use serde_json::{Value, json};

async fn single() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    (dir, node)
}

fn names(answer: &Value) -> Vec<String> {
    let names = answer["names"].as_array().cloned().unwrap_or_default();
    names
        .iter()
        .map(|name| name.as_str().expect("a name is text").to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_pushed_by_json_comes_back_from_every_query() {
    let (_dir, node) = single().await;
    let (status, answer) = node.push("app", &pprof("work", 70, 1000)).await;
    assert_eq!((status, answer), (200, json!({})));
    assert_eq!(node.push("app", &pprof("idle", 30, 500)).await.0, 200);

    let types = node.query("ProfileTypes", &json!({})).await;
    assert_eq!(types["profileTypes"][0]["ID"], CPU);

    let label_names = names(&node.query("LabelNames", &json!({})).await);
    assert!(
        label_names.contains(&"service_name".to_owned()),
        "{label_names:?}"
    );

    let values = node
        .query("LabelValues", &json!({"name": "service_name"}))
        .await;
    assert_eq!(names(&values), ["app"]);

    let asked = json!({"labelNames": ["service_name", "__profile_type__"]});
    let series = node.query("Series", &asked).await;
    let labels = json!([
        {"name": "service_name", "value": "app"},
        {"name": "__profile_type__", "value": CPU},
    ]);
    assert_eq!(series["labelsSet"], json!([{"labels": labels}]));

    let graph = node
        .query("SelectMergeStacktraces", &select_body("{}"))
        .await;
    let graph = &graph["flamegraph"];
    assert_eq!(graph["total"], "100");
    assert_eq!(graph["maxSelf"], "70");
    assert_eq!(graph["levels"][0]["values"], json!(["0", "100", "0", "0"]));
    assert_eq!(graph["levels"].as_array().map(Vec::len), Some(3));

    let merged = node.query("SelectMergeProfile", &select_body("{}")).await;
    let sum: i64 = merged["sample"]
        .as_array()
        .expect("samples")
        .iter()
        .map(|sample| {
            sample["value"][0]
                .as_str()
                .expect("64-bit")
                .parse::<i64>()
                .expect("a number")
        })
        .sum();
    assert_eq!(sum, 100);

    let mut body = select_body("{service_name=~\"a.+\"}");
    body["step"] = json!(3600.0 * 2.0);
    body["groupBy"] = json!(["service_name"]);
    let series = node.query("SelectSeries", &body).await;
    assert_eq!(
        series["series"][0]["labels"],
        json!([{"name": "service_name", "value": "app"}])
    );
    assert_eq!(series["series"][0]["points"][0]["value"], json!(100.0));

    let query = format!("{CPU}{{service_name=\"app\"}}");
    let answer = reqwest::Client::new()
        .get(node.url("/pyroscope/render"))
        .query(&[
            ("query", query.as_str()),
            ("from", "now-1h"),
            ("until", "now"),
        ])
        .send()
        .await
        .expect("render answers");
    assert_eq!(answer.status(), 200);
    let rendered: Value = answer.json().await.expect("JSON");
    assert_eq!(rendered["flamebearer"]["numTicks"], 100);
    let samples = rendered["timeline"]["samples"].as_array().expect("samples");
    assert_eq!(samples.iter().filter_map(Value::as_i64).sum::<i64>(), 100);
}

#[tokio::test]
async fn labels_that_have_to_be_quoted_are_not_listed_but_selectable() {
    let (_dir, node) = single().await;
    let mut body = push_body("app", &pprof("work", 5, 0).encode_to_vec());
    let labels = body["series"][0]["labels"].as_array_mut().expect("labels");
    labels.push(json!({"name": "k8s.pod", "value": "a"}));
    assert_eq!(node.call("push.v1.PusherService/Push", &body).await.0, 200);

    let listed = names(&node.query("LabelNames", &json!({})).await);
    assert!(!listed.contains(&"k8s.pod".to_owned()), "{listed:?}");
    let series = node.query("Series", &json!({})).await;
    let series = series["labelsSet"].as_array().expect("series");
    for labels in series {
        let labels = labels["labels"].as_array().expect("labels");
        assert!(
            labels.iter().all(|label| label["name"] != "k8s.pod"),
            "{labels:?}"
        );
        assert!(labels.contains(&json!({"name": "service_name", "value": "app"})));
    }
    assert_eq!(series.len(), 1);
    let select = select_body("{\"k8s.pod\"=\"a\"}");
    let graph = node.query("SelectMergeStacktraces", &select).await;
    assert_eq!(graph["flamegraph"]["total"], "5");
}

#[tokio::test]
async fn a_profile_pushed_thrice_counts_once() {
    let (_dir, node) = single().await;
    let profile = pprof("work", 7, 1000);
    for _ in 0..3 {
        assert_eq!(node.push("app", &profile).await.0, 200);
    }
    assert_eq!(node.total("app").await, Ok(7));
    let other = proto::google::v1::Profile {
        ..pprof("other", 5, 0)
    };
    let same_time = proto::google::v1::Profile {
        time_nanos: profile.time_nanos,
        ..other
    };
    assert_eq!(node.push("app", &same_time).await.0, 200);
    assert_eq!(
        node.total("app").await,
        Ok(12),
        "another profile of the same instant is no retry"
    );
}

#[tokio::test]
async fn protobuf_gzip_and_grpc_reach_the_same_store() {
    let (_dir, node) = single().await;
    let request = |leaf: &str| PushRequest {
        series: vec![RawProfileSeries {
            labels: [("__name__", "process_cpu"), ("service_name", "app")]
                .map(|(name, value)| proto::types::v1::LabelPair {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .to_vec(),
            samples: vec![RawSample {
                raw_profile: profile::pprof::encode_gzip(&pprof(leaf, 10, 0)).into(),
                ..RawSample::default()
            }],
            annotations: Vec::new(),
        }],
    };
    let client = reqwest::Client::new();
    let url = node.url("/push.v1.PusherService/Push");
    let proto = client
        .post(&url)
        .header("content-type", "application/proto")
        .body(request("proto").encode_to_vec())
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (
            proto.status().as_u16(),
            proto.bytes().await.expect("a body").len()
        ),
        (200, 0)
    );

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &request("gzip").encode_to_vec()).expect("memory");
    let gzipped = client
        .post(&url)
        .header("content-type", "application/proto")
        .header("content-encoding", "gzip")
        .body(gzip.finish().expect("memory"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(gzipped.status(), 200);

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", node.http))
        .expect("an address")
        .connect()
        .await
        .expect("gRPC on the HTTP port");
    proto::push::v1::pusher_service_client::PusherServiceClient::new(channel)
        .send_compressed(tonic::codec::CompressionEncoding::Gzip)
        .push(request("grpc"))
        .await
        .expect("gRPC push");
    assert_eq!(node.total("app").await, Ok(30));
}

#[tokio::test]
async fn ingest_takes_pprof_raw_and_multipart() {
    let (_dir, node) = single().await;
    let raw = pprof("raw", 3, 0).encode_to_vec();
    let client = reqwest::Client::new();
    let answer = client
        .post(node.url("/ingest?name=shop.cpu%7Bregion%3Deu%7D&format=pprof&spyName=gospy"))
        .body(raw)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.status(),
        200,
        "{}",
        answer.text().await.expect("text")
    );
    assert_eq!(node.total("shop").await, Ok(3));
    let regions = node.query("LabelValues", &json!({"name": "region"})).await;
    assert_eq!(names(&regions), ["eu"]);

    let boundary = "b0undary";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"p\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(pprof("form", 4, 0).encode_to_vec());
    body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    let answer = client
        .post(node.url("/ingest?name=shop"))
        .header(
            "content-type",
            format!("multipart/form-data; boundary={boundary}"),
        )
        .body(body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.status(),
        200,
        "{}",
        answer.text().await.expect("text")
    );
    assert_eq!(node.total("shop").await, Ok(7));
}

#[tokio::test]
async fn a_crash_after_the_answer_loses_nothing() {
    let (_dir, mut node) = single().await;
    for number in 0..20 {
        assert_eq!(node.push("app", &pprof("work", 1, number)).await.0, 200);
    }
    node.crash_and_restart();
    node.ready().await;
    assert_eq!(node.total("app").await, Ok(20));
    assert_eq!(node.push("app", &pprof("work", 1, 100)).await.0, 200);
    assert_eq!(node.terminate(), Some(0));
}

#[tokio::test]
async fn tenants_see_only_their_own_when_multitenancy_is_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &["-auth.multitenancy-enabled"]);
    node.ready().await;
    let (status, answer) = node.push("app", &pprof("work", 1, 0)).await;
    assert_eq!((status, &answer["code"]), (401, &json!("unauthenticated")));
    assert_eq!(answer["message"], "no org id");

    let client = reqwest::Client::new();
    let call = async |tenant: &str, method: &str, body: &Value| {
        let request = client
            .post(node.url(method))
            .header("x-scope-orgid", tenant)
            .json(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.expect("JSON")
    };
    let body = push_body("app", &pprof("work", 9, 0).encode_to_vec());
    call("a", "/push.v1.PusherService/Push", &body).await;
    let merge = "/querier.v1.QuerierService/SelectMergeStacktraces";
    assert_eq!(
        call("a", merge, &select_body("{}")).await["flamegraph"]["total"],
        "9"
    );
    let empty = json!({"names": ["total"], "levels": [{"values": ["0", "0", "0", "0"]}]});
    assert_eq!(
        call("b", merge, &select_body("{}")).await["flamegraph"],
        empty
    );
}

#[tokio::test]
async fn the_pages_tell_what_the_process_does() {
    let (_dir, node) = single().await;
    let get = async |path: &str, accept: &str| {
        let request = reqwest::Client::new()
            .get(node.url(path))
            .header("accept", accept);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("text")
    };
    assert_eq!(get("/ready", "*/*").await, "ready\n");
    assert!(
        get("/config", "*/*")
            .await
            .contains("http_listen_port: 4040")
    );
    assert!(get("/services", "*/*").await.contains("Running"));
    assert!(
        get("/metrics", "*/*")
            .await
            .contains("pyroscope_request_duration_seconds")
    );
    assert!(
        get("/api/v1/status/buildinfo", "*/*")
            .await
            .contains(env!("CARGO_PKG_VERSION"))
    );
    assert!(get("/ring", "text/html").await.contains("<table>"));
    assert!(
        get("/memberlist", "text/html")
            .await
            .contains("collectors/ring")
    );
    let members: Value =
        serde_json::from_str(&get("/memberlist", "application/json").await).expect("JSON");
    assert_eq!(members["SortedMembers"].as_array().map(Vec::len), Some(1));
    eventually("one ACTIVE instance with 128 tokens", async || {
        let ring = node.ring().await;
        matches!(ring.as_slice(), [(_, state, 128)] if state == "ACTIVE").then_some(())
    })
    .await;
}
