//! Every format of `/ingest` and OTLP, sent to a real process and found by query.

#![allow(clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;
mod limits;
mod names;
mod otlp;
mod recordings;
mod refusals;
mod speedscope;
mod stacks;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use harness::{Node, fresh_address, select_body};
use reqwest::{Client, Response};
use serde_json::{Value, json};

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const WALL: &str = "wall:wall:nanoseconds:cpu:nanoseconds";

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
