//! The rows about requests, series and labels.

use super::*;

#[tokio::test]
async fn requests_and_identifiers() {
    let server = Server::start(&[]).await;
    let plain = good().encode_to_vec();
    server.takes("plain", &push_as("plain", &plain)).await;
    server.takes("gzip", &push_as("gzip", &gzip(&plain))).await;
    for id in ["734FD599-6865-419E-9475-932762D8F469", "any text", ""] {
        let mut body = push_as(&format!("id-{}", id.len()), &plain);
        body["series"][0]["samples"][0]["ID"] = json!(id);
        server.takes(id, &body).await;
    }
    for service in ["plain", "gzip", "id-36", "id-8", "id-0"] {
        assert_eq!(server.node.total(service).await, Ok(4), "{service}");
    }
    for body in [
        json!({}),
        json!({"series": []}),
        json!({"series": [{"labels": [], "samples": []}]}),
    ] {
        server
            .refuses("nothing", &body, "no profiles received")
            .await;
    }
}

#[tokio::test]
async fn services_and_metric_names() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let unnamed = push_of(&[("__name__", "process_cpu")], &raw);
    server.takes("no service", &unnamed).await;
    assert_eq!(server.node.total("unknown_service").await, Ok(4));
    server
        .refuses(
            "no labels",
            &push_of(&[], &raw),
            "invalid labels '{service_name=\"unknown_service\"}' with error: invalid metric name",
        )
        .await;
    server
        .refuses(
            "no metric name",
            &push_of(&[("service_name", "a")], &raw),
            "invalid labels '{service_name=\"a\"}' with error: invalid metric name",
        )
        .await;
}

#[tokio::test]
async fn labels_that_break_a_limit() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    let with = |name: &str, value: &str| {
        let labels = [
            ("__name__", "process_cpu"),
            ("service_name", "a"),
            (name, value),
        ];
        push_of(&labels, &raw)
    };
    let shown = |text: &str| format!("{{__name__=\"process_cpu\", {text}}}");
    let long = "n".repeat(1025);
    let labels = shown(&format!("{long}=\"v\", service_name=\"a\""));
    let want = format!("profile with labels '{labels}' has label name too long: '{long}'");
    server.refuses("label name", &with(&long, "v"), &want).await;
    server.takes("label name", &with(&long[1..], "v")).await;

    let long = "v".repeat(2049);
    let labels = shown(&format!("env=\"{long}\", service_name=\"a\""));
    let want = format!("profile with labels '{labels}' has label value too long: '{long}'");
    server
        .refuses("label value", &with("env", &long), &want)
        .await;
    server.takes("label value", &with("env", &long[1..])).await;

    let labels = shown("service_name=\"a\", service_name=\"b\"");
    let want = format!("profile with labels '{labels}' has duplicate label name: 'service_name'");
    server
        .refuses("twice", &with("service_name", "b"), &want)
        .await;

    let labels = "{=\"v\", __name__=\"process_cpu\", service_name=\"a\"}";
    let want = format!("invalid labels '{labels}' with error: invalid label name ''");
    server.refuses("empty name", &with("", "v"), &want).await;
    server.takes("empty value", &with("env", "")).await;

    let names: Vec<String> = (10..39).map(|n| format!("l{n}")).collect();
    let mut many = vec![("__name__", "process_cpu"), ("service_name", "many")];
    many.extend(names.iter().map(|name| (name.as_str(), "v")));
    let text: Vec<String> = names.iter().map(|name| format!("{name}=\"v\"")).collect();
    let labels = shown(&format!("{}, service_name=\"many\"", text.join(", ")));
    let want = format!("profile series '{labels}' has 31 label names; limit 30");
    server
        .refuses("31 labels", &push_of(&many, &raw), &want)
        .await;
    many.pop();
    server.takes("30 labels", &push_of(&many, &raw)).await;
}

#[tokio::test]
async fn label_names_of_any_kind_are_kept() {
    let server = Server::start(&[]).await;
    let raw = good().encode_to_vec();
    for name in ["k8s.pod", "with space", "größe"] {
        let labels = [
            ("__name__", "process_cpu"),
            ("service_name", "any"),
            (name, "y"),
        ];
        server.takes(name, &push_of(&labels, &raw)).await;
        let mut body = harness::select_body(&format!("{{\"{name}\"=\"y\"}}"));
        body["profileTypeID"] = json!(harness::CPU);
        let answer = server.node.query("SelectMergeStacktraces", &body).await;
        assert_eq!(answer["flamegraph"]["total"], "4", "{name}");
    }
}

#[tokio::test]
async fn rules_change_and_drop_series() {
    let rules = r#"[{"action":"drop","source_labels":["env"],"regex":"secret"},
        {"action":"replace","source_labels":["env"],"target_label":"service_name","regex":"(p.*)","replacement":"app-$1"},
        {"action":"labeldrop","regex":"pod"}]"#;
    let flag = format!("-distributor.ingestion-relabeling-rules={rules}");
    let server = Server::start(&[&flag, "-validation.max-sessions-per-series=1"]).await;
    let raw = good().encode_to_vec();
    let of = |env: &str, pod: &str| {
        let labels = [
            ("__name__", "process_cpu"),
            ("service_name", "a"),
            ("env", env),
            ("pod", pod),
        ];
        push_of(&labels, &raw)
    };
    server.takes("dropped", &of("secret", "1")).await;
    server.takes("renamed", &of("prod", "1")).await;
    server.takes("as it is", &of("dev", "1")).await;
    assert_eq!(server.node.total("a").await, Ok(4));
    assert_eq!(server.node.total("app-prod").await, Ok(4));
    let deltas = [
        ("__name__", "godeltaprof_process_cpu"),
        ("service_name", "delta"),
    ];
    server.takes("godeltaprof", &push_of(&deltas, &raw)).await;
    assert_eq!(server.node.total("delta").await, Ok(4));
    for session in ["0400000000000000", "0500000000000000"] {
        let labels = [
            ("__name__", "process_cpu"),
            ("service_name", "s"),
            ("__session_id__", session),
        ];
        server.takes("session", &push_of(&labels, &raw)).await;
    }
    let body = json!({"name": "__session_id__"});
    let answer = server.node.query("LabelValues", &body).await;
    assert_eq!(answer["names"], json!(["0000000000000000"]));
}
