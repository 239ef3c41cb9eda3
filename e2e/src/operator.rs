//! The operator as users install it.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{kubectl, pods, wait};

/// The namespace that `manifests/install` creates.
pub const NAMESPACE: &str = "pyroscope-operator";

/// Installs the operator with kustomize and waits until it runs; does nothing
/// when it is there.
///
/// # Errors
///
/// Fails when it does not become available.
pub fn install() -> Result<()> {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/install");
    kubectl::must(
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            manifests,
        ],
        "",
    )?;
    available(NAMESPACE)
}

/// Waits until every Deployment of `namespace` is available.
///
/// # Errors
///
/// Fails with the state of the pods when one is not within two minutes.
pub fn available(namespace: &str) -> Result<()> {
    let wait = [
        "wait",
        "-n",
        namespace,
        "--for=condition=Available",
        "deployment",
        "--all",
    ];
    let args: Vec<&str> = wait.into_iter().chain(["--timeout=120s"]).collect();
    kubectl::must(&args, "").map(|_| ()).or_else(|error| {
        let pods = kubectl::must(&["describe", "pods", "-n", namespace], "")?;
        Err(error.context(pods))
    })
}

/// Reads how many objects the operator has written since it started.
///
/// # Errors
///
/// Fails when the operator's metrics cannot be read.
pub async fn writes(client: &kube::Client) -> Result<u64> {
    let pods = pods::list(
        client,
        NAMESPACE,
        "app.kubernetes.io/name=pyroscope-operator",
    )
    .await?;
    let ip = pods
        .iter()
        .find_map(|pod| pod.status.as_ref()?.pod_ip.clone())
        .context("the operator has no pod with an address")?;
    let metrics = reqwest::get(format!("http://{ip}:8080/metrics"))
        .await?
        .text()
        .await?;
    let values = metrics
        .lines()
        .filter(|line| line.starts_with("pyroscope_operator_writes_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(values.sum())
}

/// Waits until the operator has written nothing for `quiet`.
///
/// # Errors
///
/// Fails when it never rests.
pub async fn rests(client: &kube::Client, quiet: Duration) -> Result<()> {
    wait::until(
        "the operator writes nothing",
        Duration::from_secs(60),
        async || {
            let before = writes(client).await?;
            tokio::time::sleep(quiet).await;
            let after = writes(client).await?;
            if before == after {
                Ok(())
            } else {
                Err(anyhow::anyhow!("{} writes", after - before))
            }
        },
    )
    .await
}
