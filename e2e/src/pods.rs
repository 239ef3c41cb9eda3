//! Pods and their sudden ends.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};

/// Lists the pods of `namespace` that match a label selector.
///
/// # Errors
///
/// Fails when the API server does.
pub async fn list(client: &Client, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    Ok(api
        .list(&ListParams::default().labels(selector))
        .await?
        .items)
}

/// Deletes a pod as `kubectl delete pod` does: it gets its grace period.
///
/// # Errors
///
/// Fails when the API server does.
pub async fn delete(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Sends SIGKILL to every process of the pods at once, as a power failure
/// would end them.
///
/// # Errors
///
/// Fails when the embedded Kubernetes cannot find or kill them.
pub fn kill(pods: &[Pod]) -> Result<()> {
    let cluster = std::env::var("CLUSTER").context("CLUSTER is not set; run by `make e2e`")?;
    let names = pods.iter().map(|pod| {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        format!(
            "{namespace}/{}",
            pod.metadata.name.as_deref().unwrap_or_default()
        )
    });
    let output = Command::new(cluster).arg("kill").args(names).output()?;
    ensure!(
        output.status.success(),
        "cluster kill: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
