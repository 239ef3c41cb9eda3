//! Limits of single tenants, which change while the process runs.

use super::*;

async fn page(server: &Server, path: &str, tenant: &str) -> String {
    let request = reqwest::Client::new().get(server.node.url(path));
    let answer = request
        .header("x-scope-orgid", tenant)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.expect("text")
}

async fn push(server: &Server, tenant: &str, body: &Value) -> u16 {
    let request = reqwest::Client::new().post(server.node.url(&format!("/{PUSH}")));
    let request = request.header("x-scope-orgid", tenant).json(body);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_tenant_has_limits_of_its_own_and_new_ones_without_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("overrides.yaml");
    let write = |text: &str| std::fs::write(&file, text).expect("a file");
    write("overrides:\n  small:\n    max_label_value_length: 5\n");
    let flag = format!("-runtime-config.file={}", file.display());
    let period = "-runtime-config.reload-period=100ms";
    let server = Server::start(&[&flag, period, "-auth.multitenancy-enabled"]).await;
    let body = push_as("service", &good().encode_to_vec());
    assert_eq!(push(&server, "small", &body).await, 400);
    assert_eq!(push(&server, "other", &body).await, 200);
    let differences = page(&server, "/runtime_config?mode=diff", "any").await;
    assert_eq!(
        differences,
        "overrides:\n  small:\n    max_label_value_length: 5\n"
    );
    let all = page(&server, "/runtime_config", "any").await;
    assert!(all.contains("max_label_name_length: 1024"), "{all}");
    let own: Value =
        serde_json::from_str(&page(&server, "/api/v1/tenant_limits", "small").await).expect("JSON");
    assert_eq!(own["max_label_value_length"], 5);

    write("overrides:\n  small:\n    max_label_value_length: five\n");
    let failed = async || {
        let metrics = page(&server, "/metrics", "any").await;
        let line = "pyroscope_runtime_config_last_reload_successful 0";
        metrics.lines().any(|found| found == line).then_some(())
    };
    harness::eventually("a bad file is noticed", failed).await;
    let log = server.node.log();
    assert!(
        log.contains("overrides.small.max_label_value_length"),
        "{log}"
    );
    assert_eq!(
        push(&server, "small", &body).await,
        400,
        "the old limits stay"
    );

    write("overrides:\n  small:\n    max_label_value_length: 50\n");
    harness::eventually("the new limits are in use", async || {
        (push(&server, "small", &body).await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_files_there_are_no_pages() {
    let server = Server::start(&[]).await;
    for path in ["/runtime_config", "/api/v1/tenant_limits"] {
        let answer = reqwest::get(server.node.url(path))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[test]
fn a_bad_file_at_the_start_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("overrides.yaml");
    std::fs::write(&file, "overrides: {a: {max_label_value_length: five}}").expect("a file");
    let address = fresh_address();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pyroscope"))
        .arg(format!("-runtime-config.file={}", file.display()))
        .arg(format!("-pyroscopedb.data-path={}", dir.path().display()))
        .arg(format!("-server.http-listen-address={address}"))
        .arg(format!("-memberlist.bind-addr={address}"))
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("overrides.a.max_label_value_length"),
        "{text}"
    );
}
