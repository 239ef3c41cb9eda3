//! Whose request it is.

use super::*;

async fn push(server: &Server, tenant: Option<&str>) -> (u16, Value) {
    let body = push_as("a", &good().encode_to_vec());
    let mut request = reqwest::Client::new()
        .post(server.node.url(&format!("/{PUSH}")))
        .json(&body);
    if let Some(tenant) = tenant {
        request = request.header("x-scope-orgid", tenant);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn without_multitenancy_the_header_says_nothing() {
    let server = Server::start(&[]).await;
    for tenant in [None, Some("a"), Some("a|b"), Some("no/such")] {
        assert_eq!(push(&server, tenant).await.0, 200, "{tenant:?}");
    }
    let total = server.node.total("a").await;
    assert_eq!(total, Ok(16), "all are one tenant");
}

#[tokio::test]
async fn with_multitenancy_the_header_must_name_a_tenant() {
    let server = Server::start(&["-auth.multitenancy-enabled"]).await;
    let longest = "x".repeat(150);
    for tenant in ["a", "team-1", "!-_.*'()", &longest] {
        assert_eq!(push(&server, Some(tenant)).await.0, 200, "{tenant}");
    }
    let refused = async |tenant: Option<&str>, says: &str| {
        let (status, answer) = push(&server, tenant).await;
        assert_eq!(
            (status, &answer["code"]),
            (401, &json!("unauthenticated")),
            "{tenant:?}"
        );
        let text = answer["message"].as_str().expect("a message");
        assert!(text.contains(says), "{tenant:?}: {text}");
    };
    refused(None, "no org id").await;
    refused(Some(""), "no org id").await;
    refused(Some("a|b"), "multiple org IDs present").await;
    refused(Some("a/b"), "unsupported character '/'").await;
    refused(Some("."), "'.'").await;
    refused(Some(".."), "'..'").await;
    refused(Some(&"x".repeat(151)), "too long").await;

    let ingest = reqwest::Client::new().post(server.node.url("/ingest?name=a&format=pprof"));
    let answer = ingest
        .body(good().encode_to_vec())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 401);
    for path in ["/ready", "/metrics", "/ring"] {
        let answer = reqwest::get(server.node.url(path))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{path} is nobody's");
    }
    let client = reqwest::Client::new();
    let never_seen = client
        .post(server.node.url("/querier.v1.QuerierService/LabelNames"))
        .header("x-scope-orgid", "never-seen")
        .json(&json!({}));
    let answer = never_seen.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("text"), "{}");
}
