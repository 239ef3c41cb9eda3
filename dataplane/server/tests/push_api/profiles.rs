//! The rows about what is in a profile.

use proto::google::v1::{Label, Sample};

use super::*;

#[tokio::test]
async fn what_is_no_profile() {
    let server = Server::start(&[]).await;
    let starts = async |what: &str, raw: &[u8], says: &str| {
        let (status, answer) = server.push(&push_as("app", raw)).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("invalid_argument")),
            "{what}: {answer}"
        );
        let text = answer["message"].as_str().expect("a message");
        assert!(text.starts_with(says), "{what}: {text}");
    };
    starts(
        "garbage",
        b"\xff\xff\xff not a profile",
        "failed to parse profile: ",
    )
    .await;
    starts(
        "an absurd length",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "failed to parse profile: ",
    )
    .await;
    starts(
        "half a gzip",
        &gzip(&good().encode_to_vec())[..20],
        "failed to decompress profile: ",
    )
    .await;
    starts(
        "gzip of garbage",
        &gzip(b"\xff\xff\xff"),
        "failed to parse profile: ",
    )
    .await;
    starts(
        "a head of gzip",
        b"\x1f\x8b\x08\x00\x00\x00",
        "failed to decompress profile: ",
    )
    .await;
    starts("nothing", b"", "empty profile").await;
    let mut bytes = good().encode_to_vec();
    let at = bytes
        .windows(4)
        .position(|four| four == b"work")
        .expect("the function's name");
    bytes[at] = 0xff;
    starts("text that is not UTF-8", &bytes, "").await;
}

#[tokio::test]
async fn rules_of_the_tables() {
    let server = Server::start(&[]).await;
    let refuses = async |raw: Vec<u8>, says: &str| {
        server.refuses(says, &push_as("app", &raw), says).await;
    };
    refuses(changed(|p| p.sample_type.clear()), "empty profile").await;
    refuses(
        changed(|p| p.sample[0].value.push(1)),
        "sample value length mismatch",
    )
    .await;
    refuses(
        changed(|p| p.string_table[0] = "x".into()),
        "string 0 should be empty string",
    )
    .await;
    refuses(
        changed(|p| p.function[0].name = 99),
        "function name string index out of range",
    )
    .await;
    refuses(changed(|p| p.location[0].id = 0), "location id is 0").await;
    refuses(changed(|p| p.function[0].id = 0), "function id is 0").await;
    refuses(
        changed(|p| p.string_table[1] = "c-pu".into()),
        "sample type \"c-pu\" contains '-' or ':'",
    )
    .await;
    // The original takes it, under a type that nobody can name.
    refuses(
        changed(|p| p.sample_type[0].r#type = 99),
        "sample type string index out of range",
    )
    .await;
}

#[tokio::test]
async fn broken_samples_are_dropped_and_the_others_kept() {
    let server = Server::start(&[]).await;
    let raw = changed(|p| {
        p.sample.push(Sample {
            location_id: vec![77],
            value: vec![1000],
            label: Vec::new(),
        });
    });
    server
        .takes("an unknown location", &push_as("app", &raw))
        .await;
    assert_eq!(server.node.total("app").await, Ok(4));
}

#[tokio::test]
async fn times() {
    let server = Server::start(&[]).await;
    let raw = changed(|p| p.time_nanos = 0);
    server.takes("no time", &push_as("now", &raw)).await;
    assert_eq!(server.node.total("now").await, Ok(4));
    for (what, age_ms) in [("old", 3_700_000), ("new", -700_000)] {
        let raw = pprof("work", 1, age_ms).encode_to_vec();
        let (status, answer) = server.push(&push_as("app", &raw)).await;
        assert_eq!(status, 400, "{what}: {answer}");
        let text = answer["message"].as_str().expect("a message");
        let start = "profile with labels '{__name__=\"process_cpu\", service_name=\"app\"}' \
                     is outside of ingestion window (profile timestamp: 20";
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.contains("Z, the ingestion window starts at 20"),
            "{text}"
        );
        assert!(text.contains("Z and ends at 20"), "{text}");
        assert!(text.ends_with("Z)"), "{text}");
    }
    for age_ms in [3_500_000, -500_000] {
        let raw = pprof("work", 1, age_ms).encode_to_vec();
        server.takes("within", &push_as("app", &raw)).await;
    }
}

#[tokio::test]
async fn sizes() {
    let server = Server::start(&["-distributor.ingestion-burst-size-mb=64"]).await;
    let large = changed(|p| p.comment = vec![1; 4 << 20]);
    let too_large = "uncompressed profile payload size exceeds limit of 4.2 MB";
    server
        .refuses("4 MiB", &push_as("app", &large), too_large)
        .await;
    server
        .refuses("4 MiB, gzip", &push_as("app", &gzip(&large)), too_large)
        .await;

    let many = |count| changed(|p| p.sample = vec![p.sample[0].clone(); count]);
    let labels = "{__name__=\"process_cpu\", service_name=\"app\"}";
    let want = format!(
        "profile with labels '{labels}' exceeds the samples count limit \
         (max_profile_stacktrace_samples, actual: 16001, limit: 16000)"
    );
    server
        .refuses("samples", &push_as("app", &many(16_001)), &want)
        .await;
    server
        .takes("samples", &push_as("samples", &many(16_000)))
        .await;
    assert_eq!(server.node.total("samples").await, Ok(64_000));

    let labelled = |count| {
        changed(|p| {
            p.sample[0].label = vec![
                Label {
                    key: 3,
                    num: 1,
                    ..Label::default()
                };
                count
            ];
        })
    };
    let want = format!(
        "profile with labels '{labels}' exceeds the sample labels limit \
         (max_profile_stacktrace_sample_labels, actual: 101, limit: 100)"
    );
    server
        .refuses("sample labels", &push_as("app", &labelled(101)), &want)
        .await;
    server
        .takes("sample labels", &push_as("app", &labelled(100)))
        .await;
}

#[tokio::test]
async fn long_stacks_and_texts_are_cut() {
    let server = Server::start(&[]).await;
    // From the leaf, which is the second function, to the root.
    let deep = changed(|p| {
        p.sample[0].location_id = vec![1; 1500];
        p.sample[0].location_id[0] = 2;
    });
    server.takes("a deep stack", &push_as("deep", &deep)).await;
    let body = harness::select_body("{service_name=\"deep\"}");
    let answer = server.node.query("SelectMergeStacktraces", &body).await;
    let graph = &answer["flamegraph"];
    assert_eq!(graph["levels"].as_array().map(Vec::len), Some(1001));
    assert_eq!(
        graph["names"],
        json!(["total", "main"]),
        "the leaf is cut off"
    );

    let name = format!("{}{}", "a".repeat(10), "b".repeat(65_535));
    let long = changed(|p| p.string_table[4] = name);
    server.takes("a long text", &push_as("long", &long)).await;
    let body = harness::select_body("{service_name=\"long\"}");
    let answer = server.node.query("SelectMergeStacktraces", &body).await;
    let names = answer["flamegraph"]["names"].as_array().expect("names");
    let kept = "b".repeat(65_535);
    assert!(
        names.iter().any(|name| name == kept.as_str()),
        "the end is kept"
    );
}
