//! The only writer of clusters' objects: server-side apply and deletion.

use crds::PyroscopeCluster;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
    PropagationPolicy,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::object::{Kind, Object};
use crate::plan::{self, Found, Key, Step};

/// Field manager of the objects that make up a cluster.
const MANAGER: &str = "pyroscope-operator";
/// Field manager of the status.
const STATUS_MANAGER: &str = "pyroscope-operator-status";

/// Why a write failed. Earlier steps of the plan have been carried out; the next
/// reconciliation plans the rest again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("cannot {verb} {kind} {name}: {}", reason(source))]
    Api {
        verb: &'static str,
        kind: &'static str,
        name: String,
        source: Box<kube::Error>,
    },
    #[error(
        "{kind} {name} exists and does not belong to this cluster; delete it or give the cluster another name"
    )]
    Foreign { kind: &'static str, name: String },
}

/// Carries out plans.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    metrics: Metrics,
}

impl Writer {
    pub(crate) fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    /// Carries out the steps in order. One that fails does not hold up the rest;
    /// the first failure is returned, beside the objects that have changed.
    pub(crate) async fn carry_out(
        &self,
        cluster: &PyroscopeCluster,
        steps: &[Step],
        found: &Found,
    ) -> (Vec<Key>, Result<(), ApplyError>) {
        let (mut changed, mut result) = (Vec::new(), Ok(()));
        for step in steps {
            let key = step.key();
            let before = plan::version(found.get(&key));
            match self.step(cluster, step).await {
                Ok(after) if after.as_deref() == Some(before) => {}
                Ok(_) => changed.push(key),
                Err(error) => result = result.and(Err(error)),
            }
        }
        (changed, result)
    }

    /// Returns the object's new resource version, if it still exists.
    async fn step(
        &self,
        cluster: &PyroscopeCluster,
        step: &Step,
    ) -> Result<Option<String>, ApplyError> {
        match step {
            Step::Create(object) => {
                self.check_owner(cluster, object).await?;
                self.apply(cluster, object).await
            }
            Step::Update(object) => self.apply(cluster, object).await,
            Step::Regrow { object, uid } => {
                self.regrow(cluster, object, uid).await?;
                Ok(None)
            }
            Step::Delete { kind, name, uid } => {
                let params = DeleteParams::background();
                self.delete(cluster, *kind, name, uid, params).await?;
                Ok(None)
            }
        }
    }

    /// Replaces the status. The caller compares before, so that a status which
    /// stays the same is not written.
    pub(crate) async fn write_status(
        &self,
        cluster: &PyroscopeCluster,
        status: &crds::PyroscopeClusterStatus,
    ) -> Result<(), ApplyError> {
        let name = cluster.name_any();
        let api: Api<PyroscopeCluster> = Api::namespaced(
            self.client.clone(),
            &cluster.namespace().unwrap_or_default(),
        );
        let body = json!({
            "apiVersion": "pyroscope-operator.dev/v1alpha1",
            "kind": "PyroscopeCluster",
            "metadata": {"name": name},
            "status": status,
        });
        self.metrics.wrote("PyroscopeCluster", "apply_status");
        let params = PatchParams::apply(STATUS_MANAGER).force();
        api.patch_status(&name, &params, &Patch::Apply(&body))
            .await
            .map_err(|source| failed("apply", "status of PyroscopeCluster", &name, source))?;
        Ok(())
    }

    /// Refuses to take over an object that somebody else made. The caches hold
    /// only objects with our label, so that this has to ask.
    async fn check_owner(
        &self,
        cluster: &PyroscopeCluster,
        object: &Object,
    ) -> Result<(), ApplyError> {
        let found = self
            .api(cluster, object.kind)
            .get_opt(&object.name)
            .await
            .map_err(|source| failed("get", object.kind.as_str(), &object.name, source))?;
        let uid = cluster.uid();
        match found {
            Some(found)
                if !found
                    .owner_references()
                    .iter()
                    .any(|it| Some(&it.uid) == uid.as_ref()) =>
            {
                Err(ApplyError::Foreign {
                    kind: object.kind.as_str(),
                    name: object.name.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    async fn apply(
        &self,
        cluster: &PyroscopeCluster,
        object: &Object,
    ) -> Result<Option<String>, ApplyError> {
        self.metrics.wrote(object.kind.as_str(), "apply");
        tracing::info!(kind = object.kind.as_str(), name = object.name, "applying");
        let params = PatchParams::apply(MANAGER).force();
        let applied = self
            .api(cluster, object.kind)
            .patch(&object.name, &params, &Patch::Apply(&object.body))
            .await
            .map_err(|source| failed("apply", object.kind.as_str(), &object.name, source))?;
        Ok(applied.resource_version())
    }

    async fn delete(
        &self,
        cluster: &PyroscopeCluster,
        kind: Kind,
        name: &str,
        uid: &str,
        mut params: DeleteParams,
    ) -> Result<(), ApplyError> {
        self.metrics.wrote(kind.as_str(), "delete");
        tracing::info!(kind = kind.as_str(), name, "deleting");
        params.preconditions = Some(Preconditions {
            uid: Some(uid.to_owned()),
            ..Preconditions::default()
        });
        match self.api(cluster, kind).delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(failed("delete", kind.as_str(), name, source)),
        }
    }

    /// Grows every claim first: when the storage class refuses, the StatefulSet
    /// and its pods stay as they are.
    async fn regrow(
        &self,
        cluster: &PyroscopeCluster,
        object: &Object,
        uid: &str,
    ) -> Result<(), ApplyError> {
        let size = plan::claim_size(&object.body).unwrap_or_default();
        self.grow_claims(cluster, object, size).await?;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        self.delete(cluster, object.kind, &object.name, uid, params)
            .await
    }

    async fn grow_claims(
        &self,
        cluster: &PyroscopeCluster,
        object: &Object,
        size: &str,
    ) -> Result<(), ApplyError> {
        const KIND: &str = "PersistentVolumeClaim";
        let api: Api<PersistentVolumeClaim> = Api::namespaced(
            self.client.clone(),
            &cluster.namespace().unwrap_or_default(),
        );
        let claims = api
            .list(&ListParams::default().labels(&claim_selector(&object.body)))
            .await
            .map_err(|source| failed("list", KIND, &object.name, source))?;
        for claim in claims {
            if !is_smaller(&claim, size) {
                continue;
            }
            let name = claim.name_any();
            self.metrics.wrote(KIND, "patch");
            let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map_err(|source| failed("grow", KIND, &name, source))?;
        }
        Ok(())
    }

    fn api(&self, cluster: &PyroscopeCluster, kind: Kind) -> Api<DynamicObject> {
        let namespace = cluster.namespace().unwrap_or_default();
        Api::namespaced_with(self.client.clone(), &namespace, &kind.resource())
    }
}

fn is_smaller(claim: &PersistentVolumeClaim, size: &str) -> bool {
    let requested = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"));
    requested.is_some_and(|requested| {
        plan::compare_quantities(&requested.0, size) == Some(std::cmp::Ordering::Less)
    })
}

/// Returns the selector of a StatefulSet's claims, which carry the labels of its
/// pods.
fn claim_selector(stateful_set: &Value) -> String {
    let labels = stateful_set.pointer("/spec/selector/matchLabels");
    let pairs: Vec<_> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    pairs.join(",")
}

/// Returns what the API server says, without the envelope it comes in.
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

fn failed(verb: &'static str, kind: &'static str, name: &str, source: kube::Error) -> ApplyError {
    ApplyError::Api {
        verb,
        kind,
        name: name.to_owned(),
        source: Box::new(source),
    }
}
