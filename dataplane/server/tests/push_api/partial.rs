//! Requests of which a part is valid.

use proto::rejection::v1::Rejections;

use super::*;

/// Decodes the details of an answer.
pub(super) fn rejections(answer: &Value) -> Rejections {
    let detail = &answer["details"][0];
    assert_eq!(detail["type"], "rejection.v1.Rejections", "{answer}");
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let value = engine
        .decode(detail["value"].as_str().expect("a text"))
        .expect("base64");
    Rejections::decode(value.as_slice()).expect("a message")
}

fn series(service: &str, raw: &[u8]) -> Value {
    one_series(
        &[("__name__", "process_cpu"), ("service_name", service)],
        raw,
    )
}

#[tokio::test]
async fn what_is_valid_is_stored_and_all_else_is_listed() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let long = "v".repeat(2049);
    let named = |value| {
        one_series(
            &[
                ("__name__", "process_cpu"),
                ("service_name", "x"),
                ("env", value),
            ],
            &raw,
        )
    };
    let body = json!({"series": [
        series("good-0", &raw),
        named(&long),
        series("malformed", b"\xff\xff\xff"),
        series("good-3", &raw),
        series("empty", b""),
        one_series(&[("service_name", "nameless")], &raw),
        {"labels": [
            {"name": "__name__", "value": "process_cpu"},
            {"name": "service_name", "value": "half"},
        ], "samples": [
            {"rawProfile": STANDARD.encode(&raw)},
            {"rawProfile": STANDARD.encode(b"\x1f\x8b")},
        ]},
    ]});
    let (status, answer) = server.push(&body).await;
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("invalid_argument")),
        "{answer}"
    );
    for service in ["good-0", "good-3", "half"] {
        assert_eq!(server.node.total(service).await, Ok(4), "{service}");
    }
    let details = rejections(&answer);
    let told: Vec<_> = details
        .rejections
        .iter()
        .map(|one| (one.series, one.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "label_value_too_long"),
            (2, "malformed_profile"),
            (4, "malformed_profile"),
            (5, "missing_labels"),
            (6, "malformed_profile"),
        ]
    );
    assert_eq!(details.omitted, 0);
    let service = details.rejections[1]
        .labels
        .iter()
        .find(|pair| pair.name == "service_name");
    assert_eq!(service.map(|pair| pair.value.as_str()), Some("malformed"));
    let text = answer["message"].as_str().expect("a message");
    for (one, separator) in details.rejections.iter().zip(["", "; ", "; ", "; ", "; "]) {
        let told = format!("{separator}series {}: {}", one.series, one.message);
        assert!(text.contains(&told), "{told} is not in {text}");
    }
    assert_eq!(answer["details"][0]["debug"]["rejections"][0]["series"], 1);

    let answer = server.push(&body).await;
    assert_eq!(answer.0, 400);
    assert_eq!(
        server.node.total("good-0").await,
        Ok(4),
        "a retry counts once"
    );
}

#[tokio::test]
async fn a_flood_of_bad_series_is_counted() {
    let server = Server::start(&[]).await;
    let bad = series("bad", b"\xff");
    let body = json!({"series": vec![bad; 10_000]});
    let (status, answer) = server.push(&body).await;
    assert_eq!(status, 400);
    let text = answer["message"].as_str().expect("a message");
    assert!(text.len() < 20_000 && text.ends_with(" more"), "{text}");
    let details = rejections(&answer);
    assert!(details.rejections.len() > 100);
    assert_eq!(details.rejections.len() + details.omitted as usize, 10_000);
}
