//! Zones and shards of tenants, with real processes.

mod harness;

use std::{collections::BTreeSet, net::Ipv4Addr};

use harness::{Node, eventually, fresh_address, pprof, push_body};
use prost::Message as _;
use proto::reader::v1::{SelectRequest, reader_service_client::ReaderServiceClient};
use serde_json::Value;

const ZONES: [&str; 3] = ["a", "b", "c"];
const SERVICES: usize = 12;

/// Two processes in each of three zones; the zone of a process is its number
/// modulo three.
async fn cluster(dir: &std::path::Path, args: &[&str]) -> Vec<Node> {
    let addresses: Vec<Ipv4Addr> = (0..6).map(|_| fresh_address()).collect();
    let start = |number: usize| {
        let own = [
            format!("-ingester.lifecycler.ID=ingester-{number}"),
            format!("-distributor.ring.instance-id=distributor-{number}"),
            format!("-memberlist.join={}:7946", addresses[0]),
            format!("-ingester.availability-zone={}", ZONES[number % 3]),
        ];
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.push("-distributor.replication-factor=3");
        all.push("-distributor.zone-awareness-enabled");
        all.extend(args);
        Node::start(addresses[number], &dir.join(number.to_string()), &all)
    };
    let nodes: Vec<Node> = (0..6).map(start).collect();
    for node in &nodes {
        node.sees_active(6).await;
    }
    nodes
}

fn service(number: usize) -> String {
    format!("app-{number}")
}

async fn push(node: &Node, tenant: &str, service: &str) {
    let raw = pprof("work", 1, 0).encode_to_vec();
    let answer = reqwest::Client::new()
        .post(node.url("/push.v1.PusherService/Push"))
        .header("x-scope-orgid", tenant)
        .json(&push_body(service, &raw))
        .send()
        .await
        .expect("the distributor answers");
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap_or_default();
    assert_eq!(status, 200, "{text}");
}

/// Returns the services of which each process holds profiles.
async fn held(nodes: &[Node], tenant: &str) -> Vec<BTreeSet<String>> {
    let mut all = Vec::new();
    for node in nodes {
        let channel = tonic::transport::Endpoint::from_shared(node.url(""))
            .expect("an address")
            .connect()
            .await
            .expect("the ingester answers");
        let mut request = tonic::Request::new(SelectRequest {
            profile_type: harness::CPU.to_owned(),
            label_selector: "{}".to_owned(),
            end: i64::MAX,
            group_by: vec!["service_name".to_owned()],
            ..SelectRequest::default()
        });
        let tenant = tenant.parse().expect("a tenant ID");
        request.metadata_mut().insert("x-scope-orgid", tenant);
        let answer = ReaderServiceClient::new(channel).select(request).await;
        let answer = answer.expect("an answer").into_inner();
        let values = answer.series.iter().flat_map(|series| &series.values);
        all.push(values.cloned().collect());
    }
    all
}

/// Waits until each service has its three copies; returns who holds what.
async fn copies(nodes: &[Node], tenant: &str) -> Vec<BTreeSet<String>> {
    eventually("three copies of each", async || {
        let held = held(nodes, tenant).await;
        let copies: usize = held.iter().map(BTreeSet::len).sum();
        (copies == 3 * SERVICES).then_some(held)
    })
    .await
}

async fn total(node: &Node, tenant: &str) -> (u16, Value) {
    let body = harness::select_body("{}");
    let answer = reqwest::Client::new()
        .post(node.url("/querier.v1.QuerierService/SelectMergeStacktraces"))
        .header("x-scope-orgid", tenant)
        .json(&body)
        .send()
        .await
        .expect("the querier answers");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("the answer is JSON");
    (status, body["flamegraph"]["total"].clone())
}

#[tokio::test]
async fn replicas_are_in_distinct_zones_and_a_whole_zone_may_fail() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut nodes = cluster(dir.path(), &[]).await;
    for number in 0..SERVICES {
        push(&nodes[0], "any", &service(number)).await;
    }
    let held = copies(&nodes, "any").await;
    for number in 0..SERVICES {
        let has = |node: &usize| held[*node].contains(&service(number));
        let zones: BTreeSet<usize> = (0..6).filter(has).map(|node| node % 3).collect();
        assert_eq!(zones.len(), 3, "{held:?}");
    }
    assert!(held.iter().all(|held| held.len() < SERVICES), "{held:?}");

    nodes[1].crash();
    nodes[4].crash();
    for number in 0..SERVICES {
        push(&nodes[0], "any", &service(100 + number)).await;
    }
    let expected = (200, Value::from((2 * SERVICES).to_string()));
    assert_eq!(total(&nodes[2], "any").await, expected);
    nodes[2].crash();
    assert_eq!(
        total(&nodes[0], "any").await.0,
        503,
        "two zones are missing"
    );
}

#[tokio::test]
async fn a_tenant_writes_to_its_shard_in_each_zone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flags = [
        "-distributor.ingestion-tenant-shard-size=3",
        "-auth.multitenancy-enabled",
    ];
    let nodes = cluster(dir.path(), &flags).await;
    let mut shards = BTreeSet::new();
    for tenant in ["red", "green", "blue", "black"] {
        for number in 0..SERVICES {
            push(&nodes[number % 6], tenant, &service(number)).await;
        }
        let held = copies(&nodes, tenant).await;
        let shard: Vec<usize> = (0..6).filter(|node| !held[*node].is_empty()).collect();
        let zones: BTreeSet<usize> = shard.iter().map(|node| node % 3).collect();
        assert_eq!((shard.len(), zones.len()), (3, 3), "{tenant}: {shard:?}");
        let expected = (200, Value::from(SERVICES.to_string()));
        assert_eq!(total(&nodes[0], tenant).await, expected, "{tenant}");
        shards.insert(shard);
    }
    assert!(shards.len() > 1, "all tenants have one shard: {shards:?}");
}
