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

    /// Waits until every process sees three ACTIVE instances with all tokens.
    async fn settled(&self) {
        for node in self
            .ingesters
            .iter()
            .chain([&self.distributor, &self.querier])
        {
            node.ready().await;
            node.sees_active(3).await;
            let tokens = "pyroscope_ring_tokens_total{name=\"ingester\"}";
            eventually(&format!("{} sees all tokens", node.http), async || {
                (node.metric(tokens).await == Some(3.0 * 128.0)).then_some(())
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
async fn replicas_do_not_read_what_the_distributor_has_read() {
    let cluster = Cluster::start().await;
    let digested = "pyroscope_head_digested_profiles_total";
    let mut pushed = 0;
    for node in &cluster.ingesters {
        // Keys agree with the first pushes, and then a stack is to be known.
        while node.metric(digested).await.expect("it is counted") == 0.0 {
            assert!(pushed < 1000, "{} reads every profile", node.http);
            pushed += 1;
            let profile = pprof("work", 1, pushed);
            assert_eq!(cluster.distributor.push("app", &profile).await.0, 200);
        }
    }
    assert_eq!(cluster.querier.total("app").await, Ok(pushed));
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

/// The default of `-distributor.push.timeout`.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Pushes profiles, each of which must succeed; returns the longest time that
/// one took.
async fn push_all(cluster: &Cluster, numbers: std::ops::Range<i64>) -> Duration {
    let mut longest = Duration::ZERO;
    for number in numbers {
        let started = Instant::now();
        let profile = pprof(&format!("work-{number}"), 1, 0);
        let (status, answer) = cluster.distributor.push("app", &profile).await;
        assert_eq!(status, 200, "push {number}: {answer}");
        longest = longest.max(started.elapsed());
    }
    longest
}

#[tokio::test]
async fn an_ingester_that_was_away_gets_what_it_missed() {
    let mut cluster = Cluster::start().await;
    cluster.ingesters[1].hang();
    let longest = push_all(&cluster, 0..30).await;
    assert!(longest < PUSH_TIMEOUT / 2, "{longest:?}");
    let up = "pyroscope_distributor_ingester_up{ingester=\"ingester-1\"}";
    eventually("its silence is noticed", async || {
        (cluster.distributor.metric(up).await == Some(0.0)).then_some(())
    })
    .await;
    let longest = push_all(&cluster, 30..60).await;
    assert!(longest < PUSH_TIMEOUT / 2, "{longest:?}");
    let waiting = "pyroscope_distributor_handoff_queue_profiles{ingester=\"ingester-1\"}";
    assert!(cluster.distributor.metric(waiting).await >= Some(30.0));
    cluster.ingesters[1].resume();
    eventually("the ingester that hung has all", async || {
        (held(&cluster.ingesters[1]).await == 60).then_some(())
    })
    .await;

    cluster.ingesters[2].crash();
    push_all(&cluster, 60..80).await;
    cluster.ingesters[2].restart();
    eventually("the ingester that crashed has all", async || {
        (held(&cluster.ingesters[2]).await == 80).then_some(())
    })
    .await;
    for ingester in &cluster.ingesters {
        assert_eq!(held(ingester).await, 80, "each counts once");
    }
    assert_eq!(cluster.querier.total("app").await, Ok(80));
    let of = |outcome: &str| {
        format!("pyroscope_distributor_handoff_profiles_total{{outcome=\"{outcome}\"}}")
    };
    eventually("all that was queued counts as delivered", async || {
        let delivered = cluster.distributor.metric(&of("delivered")).await;
        let queued = cluster.distributor.metric(&of("queued")).await;
        (queued >= Some(50.0) && queued == delivered).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_distributor_that_stops_brings_ingesters_what_they_missed() {
    let mut cluster = Cluster::start().await;
    cluster.ingesters[1].crash();
    push_all(&cluster, 0..10).await;
    // It is back, and the next probe may be seconds away.
    cluster.ingesters[1].restart();
    assert_eq!(cluster.distributor.terminate(), Some(0));
    assert_eq!(held(&cluster.ingesters[1]).await, 10);
}

#[tokio::test]
async fn a_process_writes_to_its_own_ingester_without_a_socket() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &[]);
    node.ready().await;
    assert_eq!(node.push("app", &pprof("work", 7, 0)).await.0, 200);
    assert_eq!(node.total("app").await, Ok(7));
    let answer = reqwest::get(node.url("/metrics")).await;
    let text = answer.expect("the page answers").text().await;
    let text = text.expect("the page is text");
    assert!(text.contains("/push.v1.PusherService/Push"), "{text}");
    assert!(
        !text.contains("/ingester.v1.IngesterService/Push"),
        "{text}"
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
