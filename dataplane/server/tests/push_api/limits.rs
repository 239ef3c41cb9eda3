//! The rows about limits and about what is no fault of the client's.

use super::*;

async fn answer(server: &Server, body: &Value) -> (u16, Option<String>, Value) {
    let request = reqwest::Client::new()
        .post(server.node.url(&format!("/{PUSH}")))
        .json(body);
    let answer = request.send().await.expect("an answer");
    let wait = answer.headers().get("retry-after");
    let wait = wait.map(|value| value.to_str().expect("text").to_owned());
    (
        answer.status().as_u16(),
        wait,
        answer.json().await.expect("JSON"),
    )
}

#[tokio::test]
async fn too_much_at_once_is_429_and_says_when_to_retry() {
    let flags = [
        "-distributor.ingestion-rate-limit-mb=0.0001",
        "-distributor.ingestion-burst-size-mb=0.002",
    ];
    let server = Server::start(&flags).await;
    let raw = changed(|p| p.comment = vec![1; 1500]);
    server.takes("within the burst", &push_as("a", &raw)).await;
    let (status, wait, body) = answer(&server, &push_as("a", &raw)).await;
    assert_eq!(
        (status, &body["code"]),
        (429, &json!("resource_exhausted")),
        "{body}"
    );
    let text = body["message"].as_str().expect("a message");
    assert!(
        text.starts_with("push rate limit (105 B) exceeded while adding 1."),
        "{text}"
    );
    let wait: u64 = wait.expect("a Retry-After").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(body["details"][0]["type"], "google.rpc.RetryInfo");
}

#[tokio::test]
async fn too_many_series_are_429_and_say_when_to_retry() {
    let server = Server::start(&["-ingester.max-local-series-per-tenant=2"]).await;
    let raw = good().encode_to_vec();
    server.takes("the first", &push_as("a", &raw)).await;
    server.takes("the second", &push_as("b", &raw)).await;
    let (status, wait, body) = answer(&server, &push_as("c", &raw)).await;
    assert_eq!(
        (status, &body["code"]),
        (429, &json!("resource_exhausted")),
        "{body}"
    );
    let text = body["message"].as_str().expect("a message");
    let says = "Maximum active series limit exceeded (2/2), reduce the number of active streams";
    assert!(text.starts_with(says), "{text}");
    assert_eq!(wait.as_deref(), Some("30"));
    server.takes("a known one", &push_as("a", &raw)).await;
}

#[tokio::test]
async fn series_within_the_limit_are_stored_and_the_others_listed() {
    let server = Server::start(&["-ingester.max-local-series-per-tenant=2"]).await;
    let raw = good().encode_to_vec();
    let of = |service: &str| {
        let labels = [("__name__", "process_cpu"), ("service_name", service)];
        one_series(&labels, &raw)
    };
    let nameless = one_series(&[("service_name", "nameless")], &raw);
    let body = json!({"series": [of("a"), of("a"), nameless, of("b"), of("c"), of("d")]});
    for attempt in ["first", "again"] {
        let (status, wait, body) = answer(&server, &body).await;
        assert_eq!(
            (status, wait.as_deref(), &body["code"]),
            (429, Some("30"), &json!("resource_exhausted")),
            "{attempt}: {body}"
        );
        let details = partial::rejections(&body);
        let told: Vec<_> = details
            .rejections
            .iter()
            .map(|one| (one.series, one.reason.as_str()))
            .collect();
        let expected = [
            (2, "missing_labels"),
            (4, "series_limit"),
            (5, "series_limit"),
        ];
        assert_eq!(told, expected, "{attempt}");
        let labels = &details.rejections[2].labels;
        assert!(labels.iter().any(|pair| pair.value == "d"), "{labels:?}");
        let text = body["message"].as_str().expect("a message");
        for part in [
            "series 2: invalid labels",
            "; series 4: Maximum active series limit exceeded (2/2)",
            "; series 5: Maximum active series limit exceeded (2/2)",
        ] {
            assert!(text.contains(part), "{text}");
        }
        for (service, total) in [("a", 4), ("b", 4), ("c", 0), ("d", 0)] {
            assert_eq!(
                server.node.total(service).await,
                Ok(total),
                "{attempt}: {service}"
            );
        }
    }
    let metrics = reqwest::get(server.node.url("/metrics"))
        .await
        .expect("metrics");
    let metrics = metrics.text().await.expect("text");
    let counted =
        "pyroscope_discarded_samples_total{reason=\"series_limit\",tenant=\"anonymous\"} 4";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn without_a_quorum_the_answer_is_503() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flag = "-distributor.replication-factor=3";
    let node = Node::start(fresh_address(), dir.path(), &[flag]);
    let server = Server { node, _dir: dir };
    let body = push_as("a", &good().encode_to_vec());
    let says = "at least 2 live replicas required, could only find 1";
    harness::eventually("the ingester is in the ring", async || {
        let (status, answer) = server.push(&body).await;
        assert_eq!(
            (status, &answer["code"]),
            (503, &json!("unavailable")),
            "{answer}"
        );
        answer["message"].as_str()?.contains(says).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_above_the_limit_of_bodies_are_400() {
    let server = Server::start(&["-distributor.ingestion-body-limit-mb=1"]).await;
    let message = message_of("a", &vec![0; 1 << 20]).encode_to_vec();
    for (encoding, body) in [("identity", message.clone()), ("gzip", gzip(&message))] {
        let request = reqwest::Client::new()
            .post(server.node.url(&format!("/{PUSH}")))
            .header("content-type", "application/proto")
            .header("content-encoding", encoding)
            .body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{encoding}");
        let body: Value = answer.json().await.expect("JSON");
        let says = "message is larger than configured max 1048576";
        assert_eq!(body["message"], says, "{encoding}");
    }
}
