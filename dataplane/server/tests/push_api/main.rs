//! What the push API answers, row by row of what Grafana Pyroscope answers; where
//! the answers differ, `docs/compatibility.md` says why.

#[path = "../harness/mod.rs"]
mod harness;
mod limits;
mod overrides;
mod partial;
mod profiles;
mod series;
mod tenants;
mod transport;

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::{Node, fresh_address, pprof};
use prost::Message as _;
use proto::{
    google::v1::Profile,
    push::v1::{PushRequest, RawProfileSeries, RawSample},
    types::v1::LabelPair,
};
use serde_json::{Value, json};

const PUSH: &str = "push.v1.PusherService/Push";

/// A process with every component and a folder for its data.
struct Server {
    node: Node,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let node = Node::start(fresh_address(), dir.path(), args);
        node.ready().await;
        Self { node, _dir: dir }
    }

    /// Pushes and returns status and body.
    async fn push(&self, body: &Value) -> (u16, Value) {
        self.node.call(PUSH, body).await
    }

    /// Asserts that a push is stored.
    async fn takes(&self, what: &str, body: &Value) {
        let answer = self.push(body).await;
        assert_eq!(answer, (200, json!({})), "{what}\n{}", self.node.log());
    }

    /// Asserts that a push is refused with just this text.
    async fn refuses(&self, what: &str, body: &Value, message: &str) {
        let (status, answer) = self.push(body).await;
        assert_eq!(
            (status, &answer["code"], &answer["message"]),
            (400, &json!("invalid_argument"), &json!(message)),
            "{what}: {answer}"
        );
    }
}

/// Returns a series of one pprof under these labels.
fn one_series(labels: &[(&str, &str)], raw: &[u8]) -> Value {
    let labels: Vec<Value> = labels
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({"labels": labels, "samples": [{"rawProfile": STANDARD.encode(raw)}]})
}

/// Returns a push of one series.
fn push_of(labels: &[(&str, &str)], raw: &[u8]) -> Value {
    json!({"series": [one_series(labels, raw)]})
}

/// Returns a push of one profile under the labels of a service.
fn push_as(service: &str, raw: &[u8]) -> Value {
    push_of(
        &[("__name__", "process_cpu"), ("service_name", service)],
        raw,
    )
}

/// Returns the message for protocols that have no JSON.
fn message_of(service: &str, raw: &[u8]) -> PushRequest {
    let label = |name: &str, value: &str| LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    PushRequest {
        series: vec![RawProfileSeries {
            labels: vec![
                label("__name__", "process_cpu"),
                label("service_name", service),
            ],
            samples: vec![RawSample {
                raw_profile: raw.to_vec().into(),
                ..RawSample::default()
            }],
            annotations: Vec::new(),
        }],
    }
}

/// Returns a valid pprof, changed.
fn changed(change: impl FnOnce(&mut Profile)) -> Vec<u8> {
    let mut profile = good();
    change(&mut profile);
    profile.encode_to_vec()
}

fn good() -> Profile {
    pprof("work", 4, 0)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
