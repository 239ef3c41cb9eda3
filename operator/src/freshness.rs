//! Tells whether the caches still follow the API server: a watch can stop to
//! deliver without an error, and the operator would look healthy and do nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crds::PyroscopeCluster;
use kube::api::{Api, ListParams};
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::observe::Scope;

const INTERVAL: Duration = Duration::from_secs(60);

/// Why the caches are behind, if they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness(Arc<RwLock<HashMap<String, String>>>);

/// Names and versions of clusters, as a list of the API server shows them.
type Versions = HashMap<String, String>;

impl Freshness {
    /// Returns why a cache is behind.
    pub(crate) fn stale(&self) -> Option<String> {
        self.0.read().values().next().cloned()
    }

    /// Compares the cache of clusters with the API server from time to time, until
    /// `stop` is cancelled. A cache that does not hold at the second look what the
    /// first saw has stopped following.
    pub(crate) async fn watch(
        self,
        client: Client,
        scope: Scope,
        store: Store<PyroscopeCluster>,
        stop: CancellationToken,
    ) {
        let api: Api<PyroscopeCluster> = scope.api(&client);
        let mut missing = Versions::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            // An API server that does not answer is not the cache's fault.
            let Ok(listed) = list(&api).await else {
                continue;
            };
            let cached = versions(store.state().iter().map(|it| &**it));
            let still = still_missing(&missing, &listed, &cached);
            let key = format!("{scope:?}");
            match still {
                Some(name) => {
                    let reason =
                        format!("the cache does not follow the API server: {name} is outdated");
                    tracing::error!(reason, "watch is stuck");
                    self.0.write().insert(key, reason);
                }
                None => {
                    self.0.write().remove(&key);
                }
            }
            missing = behind(&listed, &cached);
        }
    }
}

async fn list(api: &Api<PyroscopeCluster>) -> Result<Versions, kube::Error> {
    let list = api.list_metadata(&ListParams::default()).await?;
    Ok(versions(&list.items))
}

fn versions<'a, K: kube::Resource + 'a>(objects: impl IntoIterator<Item = &'a K>) -> Versions {
    objects
        .into_iter()
        .map(|it| {
            let namespace = it.namespace().unwrap_or_default();
            let key = format!("{namespace}/{}", it.name_any());
            (key, it.resource_version().unwrap_or_default())
        })
        .collect()
}

/// Returns the versions that are listed and not cached.
fn behind(listed: &Versions, cached: &Versions) -> Versions {
    let outdated = listed
        .iter()
        .filter(|(name, version)| cached.get(*name) != Some(version));
    outdated
        .map(|(name, version)| (name.clone(), version.clone()))
        .collect()
}

/// Returns an object that was missing at the last look, has not changed since, and
/// is missing still.
fn still_missing(missing: &Versions, listed: &Versions, cached: &Versions) -> Option<String> {
    let now = behind(listed, cached);
    let mut still = missing
        .iter()
        .filter(|(name, version)| now.get(*name) == Some(version));
    still.next().map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(pairs: &[(&str, &str)]) -> Versions {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn cache_that_catches_up_is_fresh() {
        let missing = versions(&[("a", "2")]);
        let now = versions(&[("a", "2")]);
        assert_eq!(still_missing(&missing, &now, &now), None);
        let changed_since = versions(&[("a", "3")]);
        assert_eq!(still_missing(&missing, &changed_since, &now), None);
    }

    #[test]
    fn cache_that_stands_still_is_stale() {
        let missing = versions(&[("a", "2")]);
        let listed = versions(&[("a", "2")]);
        let cached = versions(&[("a", "1")]);
        assert_eq!(
            still_missing(&missing, &listed, &cached).as_deref(),
            Some("a")
        );
        assert_eq!(
            still_missing(&missing, &listed, &Versions::new()).as_deref(),
            Some("a")
        );
    }
}
