//! The Helm chart installs the same operator as the manifests. Runs alone: it
//! takes the other installation away first.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    cluster_under_test::{ClusterUnderTest, THREE_REPLICAS},
    kubectl, operator,
    pyroscope::unix_nanos,
};

const NAMESPACE: &str = "chart-install";

fn render() -> Result<String> {
    let helm = std::env::var("HELM").context("HELM is not set; run by `make e2e`")?;
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/pyroscope-operator");
    let mut words = helm.split_whitespace();
    let output = Command::new(words.next().context("HELM is empty")?)
        .args(words)
        .args([
            "template",
            "pyroscope-operator",
            chart,
            "--include-crds",
            "--namespace",
            NAMESPACE,
        ])
        .args(["--set", "image.repository=pyroscope-operator,image.tag=dev"])
        .args(["--set", "image.pullPolicy=IfNotPresent"])
        .output()?;
    ensure!(
        output.status.success(),
        "helm: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn the_chart_installs_a_working_operator() -> Result<()> {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/install");
    kubectl::must(
        &["delete", "--ignore-not-found", "--wait", "-k", manifests],
        "",
    )?;

    let rendered = render()?;
    kubectl::must(&["create", "namespace", NAMESPACE], "")?;
    kubectl::must(
        &["apply", "--server-side", "-n", NAMESPACE, "-f", "-"],
        &rendered,
    )?;
    operator::available(NAMESPACE)?;

    let cluster = ClusterUnderTest::start("e2e-chart", THREE_REPLICAS).await?;
    cluster
        .push_client()
        .await?
        .push("chart", 7, unix_nanos())
        .await?;
    ensure!(cluster.query_client().await?.total("chart").await? == 7);

    kubectl::must(
        &["delete", "-n", "e2e-chart", "pyroscopeclusters", "--all"],
        "",
    )?;
    kubectl::must(&["delete", "-f", "-"], &rendered)?;
    kubectl::must(&["delete", "namespace", NAMESPACE], "")?;
    cluster.end().await
}
