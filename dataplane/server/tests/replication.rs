//! Three ingesters, a distributor and a querier as processes of their own.

mod harness;

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use harness::{Node, eventually, fresh_address, pprof};

/// Every component as a process of its own.
struct Cluster {
    _dir: tempfile::TempDir,
    ingesters: Vec<Node>,
    distributor: Node,
    querier: Node,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let addresses: Vec<Ipv4Addr> = (0..5).map(|_| fresh_address()).collect();
        let join: Vec<String> = addresses[..3]
            .iter()
            .map(|seed| format!("-memberlist.join={seed}:7946"))
            .collect();
        let start = |number: usize, target: &str, id: &str| {
            let target = format!("-target={target}");
            let id = format!("-ingester.lifecycler.ID={id}");
            let mut args = vec![target.as_str(), id.as_str()];
            args.push("-distributor.replication-factor=3");
            args.push("-ingester.unregister-on-shutdown=false");
            args.extend(join.iter().map(String::as_str));
            Node::start(
                addresses[number],
                &dir.path().join(number.to_string()),
                &args,
            )
        };
        let ingesters: Vec<Node> = (0..3)
            .map(|number| start(number, "ingester", &format!("ingester-{number}")))
            .collect();
        let distributor = start(3, "distributor", "");
        let querier = start(4, "querier", "");
        let cluster = Self {
            ingesters,
            distributor,
            querier,
            _dir: dir,
        };
        cluster.settled().await;
        cluster
    }

    /// Waits until every process sees three ACTIVE instances.
    async fn settled(&self) {
        for node in self
            .ingesters
            .iter()
            .chain([&self.distributor, &self.querier])
        {
            node.ready().await;
            eventually(&format!("{} sees 3 ACTIVE", node.http), async || {
                let ring = node.ring().await;
                let active = ring
                    .iter()
                    .filter(|(_, state, tokens)| state == "ACTIVE" && *tokens == 128);
                (active.count() == 3).then_some(())
            })
            .await;
        }
    }
}

/// Counts the profiles that one ingester holds, asked by itself.
async fn held(node: &Node) -> usize {
    use proto::reader::v1::{SelectRequest, reader_service_client::ReaderServiceClient};
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", node.http));
    let channel = endpoint
        .expect("an address")
        .connect()
        .await
        .expect("the ingester answers");
    let request = SelectRequest {
        profile_type: harness::CPU.to_owned(),
        label_selector: "{}".to_owned(),
        start: 0,
        end: i64::MAX,
        ..SelectRequest::default()
    };
    let answer = ReaderServiceClient::new(channel)
        .select(request)
        .await
        .expect("an answer");
    answer.into_inner().timestamps.len()
}

#[tokio::test]
async fn a_profile_is_on_every_replica_and_is_returned_once() {
    let cluster = Cluster::start().await;
    assert_eq!(
        cluster
            .distributor
            .push("app", &pprof("work", 11, 0))
            .await
            .0,
        200
    );
    for node in &cluster.ingesters {
        eventually("each ingester holds the profile", async || {
            (held(node).await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(cluster.querier.total("app").await, Ok(11));
}

#[tokio::test]
async fn one_crashed_ingester_fails_no_push_and_no_query() {
    let mut cluster = Cluster::start().await;
    for number in 0..10 {
        assert_eq!(
            cluster
                .distributor
                .push("app", &pprof("before", 1, number))
                .await
                .0,
            200
        );
    }
    cluster.ingesters[1].crash();
    for number in 10..20 {
        let (status, answer) = cluster
            .distributor
            .push("app", &pprof("after", 1, number))
            .await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(cluster.querier.total("app").await, Ok(20));

    cluster.ingesters[1].crash_and_restart();
    cluster.settled().await;
    assert_eq!(cluster.querier.total("app").await, Ok(20));
}

#[tokio::test]
async fn one_hanging_ingester_holds_up_no_push_and_no_query() {
    let cluster = Cluster::start().await;
    cluster.ingesters[1].hang();
    let read_timeout = Duration::from_secs(30);
    let started = Instant::now();
    let (status, answer) = cluster.distributor.push("app", &pprof("work", 3, 0)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(cluster.querier.total("app").await, Ok(3));
    assert!(
        started.elapsed() < read_timeout / 2,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn without_a_quorum_pushes_and_queries_fail_and_are_never_short() {
    let mut cluster = Cluster::start().await;
    assert_eq!(
        cluster
            .distributor
            .push("app", &pprof("work", 5, 0))
            .await
            .0,
        200
    );
    cluster.ingesters[1].crash();
    cluster.ingesters[2].crash();
    let (status, answer) = cluster.distributor.push("app", &pprof("work", 1, 1)).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (503, Some("unavailable")),
        "{answer}"
    );
    let (status, answer) = cluster
        .querier
        .total("app")
        .await
        .expect_err("no silent short answer");
    assert_eq!(
        (status, answer["code"].as_str()),
        (503, Some("unavailable")),
        "{answer}"
    );

    cluster.ingesters[1].crash_and_restart();
    cluster.ingesters[2].crash_and_restart();
    cluster.settled().await;
    let total = cluster.querier.total("app").await.expect("all are back");
    assert!(total >= 5, "acknowledged: 5, read: {total}");
}

#[tokio::test]
async fn all_ingesters_crashing_at_once_lose_nothing_acknowledged() {
    let mut cluster = Cluster::start().await;
    for number in 0..25 {
        assert_eq!(
            cluster
                .distributor
                .push("app", &pprof("work", 1, number))
                .await
                .0,
            200
        );
    }
    for node in &mut cluster.ingesters {
        node.crash();
    }
    for node in &mut cluster.ingesters {
        node.crash_and_restart();
    }
    cluster.settled().await;
    assert_eq!(cluster.querier.total("app").await, Ok(25));
}
