//! Speedscope.

use super::*;

fn speedscope(unit: &str, weight: f64) -> Vec<u8> {
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": "a"}, {"name": "b"}]},
        "profiles": [{"type": "sampled", "name": "main", "unit": unit, "startValue": 0,
            "endValue": weight, "samples": [[0, 1]], "weights": [weight]}],
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn speedscope_keeps_the_shortest_sample() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    for (name, unit, total) in [
        ("s1", "nanoseconds", 3),
        ("s2.cpu", "seconds", 3_000_000_000),
    ] {
        let path = format!("/ingest?format=speedscope&name={name}");
        let answer = post(&node, &path, &[], &speedscope(unit, 3.0)).await;
        assert_eq!(answer.0, 200, "{answer:?}");
        let service = name.trim_end_matches(".cpu");
        let selector = format!("{{service_name=\"{service}\", profile_name=\"main\"}}");
        expect(&node, CPU, &selector, total, "b").await;
    }
}
