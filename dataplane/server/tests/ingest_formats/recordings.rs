//! Recordings of Java.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

#[tokio::test]
async fn recordings_of_java_become_all_their_profiles() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../profile/tests/ingest/busy.jfr.gz"
    );
    let recording = std::fs::read(recording).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(&recording[..])
        .read_to_end(&mut plain)
        .unwrap();
    let query = "/ingest?format=jfr&spyName=javaspy&sampleRate=100";
    // As the agent sends it: parts compressed, and nothing that says so.
    let path = format!("{query}&name=j1");
    let body = form(&[("jfr", &recording)]);
    let answer = post(&node, &path, &[FORM], &body).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let answer = post(&node, &format!("{query}&name=j2"), &[], &plain).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    for service in ["j1", "j2"] {
        let selector = format!("{{service_name=\"{service}\", pyroscope_spy=\"javaspy\"}}");
        for (profile_type, total, function) in [
            (CPU, 220_000_000, "Busy.spin"),
            (
                "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
                230_314_864,
                "Busy.allocate",
            ),
            (
                "memory:alloc_sample_objects:count:space:bytes",
                66,
                "Busy.allocate",
            ),
            ("mutex:contentions:count:mutex:count", 21, "Busy.contend"),
            ("block:contentions:count:block:count", 27, "Busy.main"),
        ] {
            expect(&node, profile_type, &selector, total, function).await;
        }
    }
    for (headers, body) in [
        (&[][..], b"garbage".to_vec()),
        (&[FORM][..], form(&[("profile", b"x")])),
        (&[FORM][..], b"no parts".to_vec()),
    ] {
        let (status, text) = post(&node, &path, headers, &body).await;
        assert_eq!(status, 422, "{text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(error["code"], "unknown");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("parsing IngestInput-jfr failed"),
            "{message}"
        );
    }
}
