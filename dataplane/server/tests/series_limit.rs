//! The limit of series in a ring of processes that all have every component.

mod harness;

use std::net::Ipv4Addr;

use harness::{Node, fresh_address, pprof, push_body};
use prost::Message as _;
use serde_json::json;

const PUSH: &str = "push.v1.PusherService/Push";

/// Starts three processes that keep each profile three times.
async fn ring(dir: &std::path::Path, flag: &str) -> Vec<Node> {
    let addresses: Vec<Ipv4Addr> = (0..3).map(|_| fresh_address()).collect();
    let start = |number: usize| {
        let id = format!("-ingester.lifecycler.ID=ingester-{number}");
        let join = format!("-memberlist.join={}:7946", addresses[0]);
        let args = [&id, &join, "-distributor.replication-factor=3", flag];
        Node::start(addresses[number], &dir.join(number.to_string()), &args)
    };
    let nodes: Vec<Node> = (0..3).map(start).collect();
    for node in &nodes {
        node.sees_active(3).await;
    }
    nodes
}

#[tokio::test]
async fn a_series_is_refused_by_a_quorum_of_its_ingesters_and_listed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nodes = ring(dir.path(), "-ingester.max-local-series-per-tenant=2").await;
    let raw = pprof("work", 4, 0).encode_to_vec();
    let series = |service: &str| push_body(service, &raw)["series"][0].take();
    // One ingester has room for one other series.
    let (status, answer) = nodes[0]
        .call("ingester.v1.IngesterService/Push", &push_body("c", &raw))
        .await;
    assert_eq!(status, 200, "{answer}");
    let four = ["a", "b", "c", "d"].map(series);
    let (status, answer) = nodes[2].call(PUSH, &json!({"series": four})).await;
    assert_eq!(status, 429, "{answer}");
    let rejections = &answer["details"][0]["debug"]["rejections"];
    let rejections = rejections.as_array().expect("a list");
    let told: Vec<_> = rejections
        .iter()
        .map(|one| (&one["series"], &one["reason"]))
        .collect();
    let reason = json!("series_limit");
    assert_eq!(
        told,
        [(&json!(2), &reason), (&json!(3), &reason)],
        "{answer}"
    );
    for (service, total) in [("a", 4), ("b", 4), ("d", 0)] {
        assert_eq!(nodes[1].total(service).await, Ok(total), "{service}");
    }

    // The positions of a thousand fit into the answers of ingesters.
    let mut many: Vec<_> = (0..1000).map(|n| series(&format!("s{n}"))).collect();
    many[700] = series("a");
    let (status, answer) = nodes[2].call(PUSH, &json!({"series": many})).await;
    assert_eq!(status, 429, "{answer}");
    let detail = &answer["details"][0]["debug"];
    let rejections = detail["rejections"].as_array().expect("a list");
    let omitted = detail["omitted"].as_u64().unwrap_or(0) as usize;
    assert_eq!(rejections.len() + omitted, 999);
    assert!(rejections.iter().all(|one| one["series"] != 700));
}
