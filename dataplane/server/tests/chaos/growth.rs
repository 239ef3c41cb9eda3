//! Counters that grow from profile to profile, and a replica that has missed one
//! of them.

use base64::Engine as _;
use prost::Message as _;
use proto::{
    google::v1::Profile,
    reader::v1::{SelectRequest, reader_service_client::ReaderServiceClient},
};
use serde_json::json;

use crate::{
    cluster::{Cluster, Shape},
    harness::{Node, eventually, pprof, select_body},
};

const ALLOCATED: &str = "memory:alloc_space:bytes:alloc_space:bytes";

const SHAPE: Shape = Shape {
    ingesters: 3,
    distributors: 1,
    queriers: 1,
    replication: 3,
    links: false,
    // What the replica has missed must stay missed.
    flags: &["-distributor.handoff.max-bytes=0"],
};

/// Starts a cluster, each of whose ingesters has the first of the profiles.
async fn with_the_first_everywhere() -> Cluster {
    let cluster = Cluster::start(SHAPE).await;
    push(&cluster, &allocated(10, 3000)).await;
    for node in &cluster.ingesters {
        eventually("each has the first", async || {
            (held(node).await == 1).then_some(())
        })
        .await;
    }
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growth_that_a_replica_has_missed_counts_once() {
    let mut cluster = with_the_first_everywhere().await;
    cluster.ingesters[0].crash();
    push(&cluster, &allocated(25, 2000)).await;
    cluster.ingesters[0].restart();
    cluster.ingesters[0].ready().await;
    // The same again and again, until the replica gets profiles again.
    let last = allocated(45, 1000);
    eventually("the replica with the gap has the last", async || {
        push(&cluster, &last).await;
        (growth(&cluster.ingesters[0]).await == [0, 35]).then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(sums(&cluster).await, (35, 35.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growth_since_what_only_another_replica_has_counts_once() {
    let mut cluster = with_the_first_everywhere().await;
    // Each is on two of three, and no two of these have both.
    for (away, bytes, age) in [(1, 25, 2000), (0, 45, 1000)] {
        cluster.crash(&[away]);
        push(&cluster, &allocated(bytes, age)).await;
        cluster.restart(&[away]);
        cluster.ingesters[away].ready().await;
    }
    assert_eq!(held(&cluster.ingesters[0]).await, 2);
    assert_eq!(held(&cluster.ingesters[1]).await, 2);
    cluster.crash(&[2]);
    assert_eq!(sums(&cluster).await, (35, 35.0));
    cluster.restart(&[2]);
    cluster.ingesters[2].ready().await;
    assert_eq!(sums(&cluster).await, (35, 35.0));
}

/// Asks for all growth, as a flame graph and as a time series.
async fn sums(cluster: &Cluster) -> (i64, f64) {
    let mut body = select_body("{service_name=\"app\"}");
    body["profileTypeID"] = ALLOCATED.into();
    body["step"] = 1_000_000.into();
    let ask = async |method: &str| {
        let method = format!("querier.v1.QuerierService/{method}");
        eventually("the querier answers", async || {
            let (status, answer) = cluster.queriers[0].call(&method, &body).await;
            (status == 200).then_some(answer)
        })
        .await
    };
    let graph = ask("SelectMergeStacktraces").await;
    let total = graph["flamegraph"]["total"].as_str();
    let series = ask("SelectSeries").await;
    let sum = series["series"][0]["points"][0]["value"].as_f64();
    (
        total.and_then(|total| total.parse().ok()).unwrap_or(0),
        sum.unwrap_or(0.0),
    )
}

/// Returns how much was allocated since the start, as of `age_ms` ago.
fn allocated(bytes: i64, age_ms: i64) -> Profile {
    let mut profile = pprof("work", bytes, age_ms);
    profile.string_table[1] = "alloc_space".to_owned();
    profile.string_table[2] = "bytes".to_owned();
    profile
}

async fn push(cluster: &Cluster, profile: &Profile) {
    let raw = base64::engine::general_purpose::STANDARD.encode(profile.encode_to_vec());
    let body = json!({"series": [{
        "labels": [
            {"name": "__name__", "value": "memory"},
            {"name": "service_name", "value": "app"},
        ],
        "samples": [{"rawProfile": raw}],
    }]});
    let (status, answer) = cluster.distributors[0]
        .call("push.v1.PusherService/Push", &body)
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// Returns how many profiles an ingester has.
async fn held(node: &Node) -> u64 {
    let answer = reqwest::get(node.url("/metrics")).await;
    let text = answer.expect("it answers").text().await.expect("text");
    let line = text
        .lines()
        .find(|line| line.starts_with("pyroscope_head_profiles"));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    count.unwrap_or(0)
}

/// Asks one ingester how much each of its profiles has grown.
async fn growth(node: &Node) -> Vec<i64> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", node.http));
    let channel = endpoint.expect("an address").connect().await;
    let request = SelectRequest {
        profile_type: ALLOCATED.to_owned(),
        label_selector: "{}".to_owned(),
        end: i64::MAX,
        ..SelectRequest::default()
    };
    let answer = ReaderServiceClient::new(channel.expect("it answers"))
        .select(request)
        .await;
    answer.expect("an answer").into_inner().totals
}
