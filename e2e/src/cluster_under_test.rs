//! A `PyroscopeCluster` in a namespace of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use crds::{Endpoints, PyroscopeCluster};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{kubectl, pods, pyroscope, wait};

/// Longest that a cluster may take to become ready on a small machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The name of every cluster under test.
pub const NAME: &str = "demo";

/// A cluster in a namespace that enforces the restricted Pod Security Standard.
#[derive(Debug)]
pub struct ClusterUnderTest {
    /// The API server.
    pub client: KubeClient,
    /// The namespace, which holds nothing else.
    pub namespace: String,
}

/// [`kube::Client`] with `Debug`.
#[derive(Clone)]
pub struct KubeClient(pub Client);

impl std::fmt::Debug for KubeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeClient")
    }
}

/// Returns a manifest with small resources; `spec` is YAML at two spaces.
#[must_use]
pub fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: pyroscope-operator.dev/v1alpha1\nkind: PyroscopeCluster\n\
         metadata: {{name: {NAME}}}\nspec:\n{spec}"
    )
}

/// The specification of most tests: three replicas of each profile.
pub const THREE_REPLICAS: &str = "  replicationFactor: 3
  ingester: {replicas: 3, persistence: {size: 1Gi, whenDeleted: Delete}}
  distributor: {replicas: 2}
  querier: {replicas: 2}
";

impl ClusterUnderTest {
    /// Creates the namespace, applies the cluster and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Fails when the cluster is refused or does not become ready.
    pub async fn start(namespace: &str, spec: &str) -> Result<Self> {
        let cluster = Self::namespace(namespace).await?;
        let started = Instant::now();
        cluster.apply(&manifest(spec))?;
        cluster.ready().await?;
        println!(
            "{namespace}: apply to Ready {:.1} s",
            started.elapsed().as_secs_f64()
        );
        Ok(cluster)
    }

    /// Creates the namespace only.
    ///
    /// # Errors
    ///
    /// Fails when the API server does.
    pub async fn namespace(namespace: &str) -> Result<Self> {
        let client = Client::try_default()
            .await
            .context("KUBECONFIG does not lead to a cluster")?;
        let api = Api::<Namespace>::all(client.clone());
        let labels = [("pod-security.kubernetes.io/enforce", "restricted")];
        let fresh = Namespace {
            metadata: ObjectMeta {
                name: Some(namespace.to_owned()),
                labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        if api.get_opt(namespace).await?.is_some() {
            api.delete(namespace, &DeleteParams::default()).await?;
            wait::until(
                "the namespace of an earlier run is gone",
                PATIENCE,
                async || {
                    let old = api.get_opt(namespace).await.map_err(anyhow::Error::from)?;
                    old.map_or(Ok(()), |_| Err(anyhow!("still there")))
                },
            )
            .await?;
        }
        api.create(&PostParams::default(), &fresh).await?;
        Ok(Self {
            client: KubeClient(client),
            namespace: namespace.to_owned(),
        })
    }

    /// Applies a manifest as a user does.
    ///
    /// # Errors
    ///
    /// Fails with what `kubectl` says.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        kubectl::must(&["apply", "-n", &self.namespace, "-f", "-"], manifest)
    }

    /// Returns what `kubectl` says to a manifest that must be refused.
    ///
    /// # Errors
    ///
    /// Fails when it is accepted.
    pub fn refused(&self, manifest: &str) -> Result<String> {
        let output = kubectl::run(&["apply", "-n", &self.namespace, "-f", "-"], manifest)?;
        ensure!(!output.success, "accepted:\n{manifest}\n{}", output.text);
        Ok(output.text)
    }

    /// Reads the resource.
    ///
    /// # Errors
    ///
    /// Fails when the API server does.
    pub async fn resource(&self) -> Result<PyroscopeCluster> {
        Ok(self.api::<PyroscopeCluster>().get(NAME).await?)
    }

    /// Returns the API of a kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.0.clone(), &self.namespace)
    }

    /// Waits until the status says Ready for the newest generation, with a ring
    /// as large as the ingester replicas ask.
    ///
    /// # Errors
    ///
    /// Fails with status and pods when that takes too long.
    pub async fn ready(&self) -> Result<()> {
        let ready = wait::until("the cluster is Ready", PATIENCE, async || {
            let resource = self.resource().await?;
            is_ready(&resource)
        });
        ready.await.map_err(|error| {
            let args = ["get", "pods,events", "-n", &self.namespace, "-o", "wide"];
            let seen = kubectl::must(&args, "").unwrap_or_else(|error| error.to_string());
            error.context(seen)
        })
    }

    /// Returns a client of the endpoint where agents push.
    ///
    /// # Errors
    ///
    /// Fails when the status names none.
    pub async fn push_client(&self) -> Result<pyroscope::Client> {
        pyroscope::Client::new(self.endpoints().await?.push)
    }

    /// Returns a client of the endpoint where Grafana queries.
    ///
    /// # Errors
    ///
    /// Fails when the status names none.
    pub async fn query_client(&self) -> Result<pyroscope::Client> {
        pyroscope::Client::new(self.endpoints().await?.query)
    }

    async fn endpoints(&self) -> Result<Endpoints> {
        let status = self.resource().await?.status;
        status
            .and_then(|status| status.endpoints)
            .context("the status has no endpoints")
    }

    /// Lists the pods of a component.
    ///
    /// # Errors
    ///
    /// Fails when the API server does.
    pub async fn pods(&self, component: &str) -> Result<Vec<Pod>> {
        let selector = format!("app.kubernetes.io/component={component}");
        pods::list(&self.client.0, &self.namespace, &selector).await
    }

    /// Deletes the namespace with everything in it, without waiting.
    ///
    /// # Errors
    ///
    /// Fails when the API server does.
    pub async fn end(self) -> Result<()> {
        let api = Api::<Namespace>::all(self.client.0.clone());
        api.delete(&self.namespace, &DeleteParams::default())
            .await?;
        Ok(())
    }
}

fn is_ready(resource: &PyroscopeCluster) -> Result<()> {
    let status = resource.status.as_ref().context("no status yet")?;
    ensure!(
        status.observed_generation == resource.metadata.generation,
        "the status is of an older generation"
    );
    for wanted in ["Ready", "RingHealthy", "ReplicationSatisfied"] {
        let condition = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == wanted)
            .with_context(|| format!("no condition {wanted}"))?;
        ensure!(
            condition.status == "True",
            "{wanted}: {}: {}",
            condition.reason,
            condition.message
        );
    }
    Ok(())
}
