//! What name, tags and parts of a request say.

use prost::Message as _;

use super::{harness::pprof, *};

#[tokio::test]
async fn names_tags_and_compressed_bodies_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let query = "/ingest?name=app.cpu%7Bregion%3Deu,service_name%3Dother%7D&spyName=rbspy";
    let gzipped = [("content-encoding", "gzip")];
    let answer = post(&node, query, &gzipped, &gzip(b"a;b 3")).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let selector =
        "{service_name=\"other\", app_name=\"app\", region=\"eu\", pyroscope_spy=\"rbspy\"}";
    expect(&node, CPU, selector, 30_000_000, "b").await;

    // A raw pprof, and one in parts with a name for its type.
    let profile = pprof("leaf", 7, 0).encode_to_vec();
    let path = "/ingest?name=p1&format=pprof";
    assert_eq!(post(&node, path, &gzipped, &gzip(&profile)).await.0, 200);
    expect(&node, CPU, "{service_name=\"p1\"}", 7, "leaf").await;
    let config = br#"{"cpu": {"units": "samples", "display-name": "wall"}}"#;
    let body = form(&[("profile", &gzip(&profile)), ("sample_type_config", config)]);
    assert_eq!(post(&node, "/ingest?name=p2", &[FORM], &body).await.0, 200);
    let wall = "wall:cpu:nanoseconds:cpu:nanoseconds";
    expect(&node, wall, "{service_name=\"p2\"}", 7, "leaf").await;
    let mut parts = vec![FORM];
    parts.extend(gzipped);
    let path = "/ingest?name=p3";
    assert_eq!(post(&node, path, &parts, &gzip(&body)).await.0, 200);
    expect(&node, wall, "{service_name=\"p3\"}", 7, "leaf").await;
}
