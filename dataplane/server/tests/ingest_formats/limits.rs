//! The limits of rate and series, as clients of `/ingest` and OTLP meet them.

use prost::Message as _;

use super::{harness::pprof, *};

/// An answer whose body may be JSON.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    text: String,
}

impl Answer {
    async fn to(node: &Node, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut request = Client::new().post(node.url(path)).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("the process answers");
        let wait = response.headers().get("retry-after");
        Self {
            retry_after: wait.map(|wait| wait.to_str().unwrap().to_owned()),
            status: response.status().as_u16(),
            text: response.text().await.expect("the answer is text"),
        }
    }

    fn is_to_be_retried(&self) {
        assert_eq!(self.status, 429, "{}", self.text);
        let wait = self.retry_after.as_deref().expect("a Retry-After");
        assert!(wait.parse::<u64>().unwrap() >= 1, "{wait}");
    }

    /// Asserts that it is the error of a refused push, with a text that begins
    /// so.
    fn says(&self, start: &str) {
        self.is_to_be_retried();
        let error: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(error["code"], "resource_exhausted", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(start), "{message}");
    }
}

#[tokio::test]
async fn a_rate_that_is_exceeded_is_429_in_the_words_that_clients_know() {
    let dir = tempfile::tempdir().unwrap();
    let flags = [
        "-distributor.ingestion-rate-limit-mb=0.00001",
        "-distributor.ingestion-burst-size-mb=0.002",
    ];
    let node = start(&dir, &flags).await;
    let mut profile = pprof("leaf", 7, 0);
    profile.comment = vec![1; 1500];
    let raw = profile.encode_to_vec();
    let path = "/ingest?name=a&format=pprof";
    assert_eq!(post(&node, path, &[], &raw).await, (200, String::new()));
    let refused = "failed push series with index 0 and id  failed: resource_exhausted: \
                   push rate limit (10 B) exceeded while adding 1.";
    let answer = Answer::to(&node, path, &[], &raw).await;
    answer.says(&format!("pushing IngestInput-pprof {refused}"));
    let form = form(&[("profile", &raw)]);
    let answer = Answer::to(&node, "/pyroscope/ingest?name=a", &[FORM], &form).await;
    answer.says(&format!("pushing IngestInput-pprof {refused}"));
    let stacks = format!("{};b 3", "a".repeat(1500));
    let answer = Answer::to(&node, "/ingest?name=a", &[], stacks.as_bytes()).await;
    answer.says(&format!("pushing IngestInput-groups {refused}"));
}

#[tokio::test]
async fn series_that_are_too_many_are_429_in_the_words_that_clients_know() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &["-ingester.max-local-series-per-tenant=1"]).await;
    let raw = pprof("leaf", 7, 0).encode_to_vec();
    let path = |name: &str| format!("/ingest?name={name}&format=pprof");
    assert_eq!(post(&node, &path("a"), &[], &raw).await.0, 200);
    let answer = Answer::to(&node, &path("b"), &[], &raw).await;
    answer.says(
        "pushing IngestInput-pprof failed push series with index 0 and id  failed: \
         resource_exhausted: Maximum active series limit exceeded (1/1), reduce the number of \
         active streams",
    );
    expect(&node, CPU, "{service_name=\"a\"}", 7, "leaf").await;
    assert_eq!(find(&node, CPU, "{service_name=\"b\"}").await.0, 0);

    let export = otlp::export(Some("c")).encode_to_vec();
    let headers = [("content-type", "application/x-protobuf")];
    let answer = Answer::to(&node, otlp::OTLP_HTTP, &headers, &export).await;
    answer.is_to_be_retried();
    let says = "Maximum active series limit exceeded (1/1)";
    assert!(answer.text.starts_with(says), "{}", answer.text);
}
