//! What the API server has: caches kept by watches, and the streams of changes
//! that wake the controller.

use std::collections::BTreeMap;

use crds::PyroscopeCluster;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, predicates, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::object::Kind;
use crate::plan::Found;
use crate::render::{INSTANCE, MANAGED_BY, MANAGER};

/// Where clusters are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everywhere,
    Namespace(String),
}

impl Scope {
    /// Returns the API of a kind that is known when compiling.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Everywhere => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }

    fn dynamic(&self, client: &Client, resource: &ApiResource) -> Api<DynamicObject> {
        match self {
            Self::Everywhere => Api::all_with(client.clone(), resource),
            Self::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        }
    }
}

/// Changes of one kind of object, to be driven by the controller.
pub(crate) type Changes<K> =
    std::pin::Pin<Box<dyn Stream<Item = Result<K, watcher::Error>> + Send>>;

/// Caches of everything that belongs to clusters.
#[derive(Clone)]
pub(crate) struct Caches {
    pub(crate) clusters: Store<PyroscopeCluster>,
    pub(crate) pods: Store<Pod>,
    pub(crate) children: BTreeMap<Kind, Store<DynamicObject>>,
}

/// The watches that fill [`Caches`].
pub(crate) struct Watches {
    pub(crate) clusters: Changes<PyroscopeCluster>,
    pub(crate) pods: Changes<Pod>,
    pub(crate) children: Vec<(ApiResource, Changes<DynamicObject>)>,
}

/// Starts to watch everything in a scope. Nothing moves until the streams are
/// polled.
pub(crate) fn watch(client: &Client, scope: &Scope) -> (Caches, Watches) {
    let managed = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
    let (clusters, cluster_changes) = cached(scope.api(client), watcher::Config::default(), ());
    let (pods, pod_changes) = cached(scope.api(client), managed.clone(), ());
    let mut caches = Caches {
        clusters,
        pods,
        children: BTreeMap::new(),
    };
    let mut watches = Watches {
        clusters: cluster_changes,
        pods: pod_changes,
        children: Vec::new(),
    };
    for kind in Kind::ALL {
        let resource = kind.resource();
        let api = scope.dynamic(client, &resource);
        let (store, changes) = cached(api, managed.clone(), resource.clone());
        caches.children.insert(kind, store);
        watches.children.push((resource, changes));
    }
    (caches, watches)
}

fn cached<K>(
    api: Api<K>,
    config: watcher::Config,
    resource: K::DynamicType,
) -> (Store<K>, Changes<K>)
where
    K: kube::Resource
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
    K::DynamicType: Clone + Eq + std::hash::Hash + Send + Sync,
{
    let writer = Writer::<K>::new(resource);
    let store = writer.as_reader();
    let changes = watcher(api, config)
        .modify(|object| object.managed_fields_mut().clear())
        .default_backoff()
        .reflect(writer)
        .touched_objects()
        // Deletions change the resource version; they would be lost to a filter by generation.
        .predicate_filter(predicates::resource_version, Default::default())
        .boxed();
    (store, changes)
}

impl Caches {
    /// Waits until every cache has been filled once.
    pub(crate) async fn ready(&self) -> Result<(), kube::runtime::reflector::store::WriterDropped> {
        self.clusters.wait_until_ready().await?;
        for store in self.children.values() {
            store.wait_until_ready().await?;
        }
        Ok(())
    }

    /// Returns the objects that a cluster owns.
    pub(crate) fn children_of(&self, cluster: &PyroscopeCluster) -> Found {
        let uid = cluster.uid();
        let mut found = Found::new();
        for (kind, store) in &self.children {
            for object in store.state() {
                let owned = object.owner_references().iter().any(|owner| {
                    owner.controller == Some(true) && Some(&owner.uid) == uid.as_ref()
                });
                if owned && let Ok(value) = serde_json::to_value(&*object) {
                    found.insert((*kind, object.name_any()), named(value, *kind));
                }
            }
        }
        found
    }

    /// Returns the pods of a cluster.
    pub(crate) fn pods_of(&self, cluster: &PyroscopeCluster) -> Vec<std::sync::Arc<Pod>> {
        let (name, namespace) = (cluster.name_any(), cluster.namespace());
        self.pods.state_filter(|pod| {
            pod.namespace() == namespace && pod.labels().get(INSTANCE) == Some(&name)
        })
    }
}

/// Puts the kind into an object: those that come from a list have none.
fn named(mut object: Value, kind: Kind) -> Value {
    let resource = kind.resource();
    object["apiVersion"] = Value::String(resource.api_version);
    object["kind"] = Value::String(resource.kind);
    object
}

/// Keeps the cache of pods filled; pods wake nobody, because the objects above
/// them change with them.
pub(crate) async fn drive(pods: Changes<Pod>) {
    reported(pods, "Pod".to_owned())
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Returns a typed view of a child object.
pub(crate) fn typed<K: serde::de::DeserializeOwned>(value: &Value) -> Option<K> {
    serde_json::from_value(value.clone()).ok()
}

/// Reports failures of a stream of changes and leaves them out. Each watch pauses
/// by itself; a failure that reached the controller would pause all of them.
pub(crate) fn reported<K: Send + 'static>(changes: Changes<K>, kind: String) -> Changes<K> {
    changes
        .inspect_err(move |error| tracing::warn!(kind, %error, "watch failed, retrying"))
        .filter(|change| std::future::ready(change.is_ok()))
        .boxed()
}
