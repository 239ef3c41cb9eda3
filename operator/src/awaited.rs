use std::collections::{BTreeSet, HashMap};

use crds::PyroscopeCluster;
use kube::ResourceExt;

use crate::plan::{Found, Key, version};

/// Objects that were written and that the caches do not show yet, by the UID of
/// their cluster. What an old version says about pods is not true of the new
/// specification: without this a cluster would be ready in the moment in which its
/// update begins.
#[derive(Debug, Default)]
pub(crate) struct Awaited(HashMap<String, HashMap<Key, String>>);

impl Awaited {
    /// Remembers which versions of the changed objects are old.
    pub(crate) fn note(&mut self, cluster: &PyroscopeCluster, changed: Vec<Key>, found: &Found) {
        if changed.is_empty() {
            return;
        }
        let old = changed.into_iter().map(|key| {
            let version = version(found.get(&key)).to_owned();
            (key, version)
        });
        let uid = cluster.uid().unwrap_or_default();
        self.0.entry(uid).or_default().extend(old);
    }

    /// Returns the objects of which the caches still show an old version, and
    /// forgets the others.
    pub(crate) fn stale(&mut self, cluster: &PyroscopeCluster, found: &Found) -> BTreeSet<Key> {
        let uid = cluster.uid().unwrap_or_default();
        let Some(old) = self.0.get_mut(&uid) else {
            return BTreeSet::new();
        };
        old.retain(|key, old| version(found.get(key)) == old.as_str());
        let stale: BTreeSet<Key> = old.keys().cloned().collect();
        if stale.is_empty() {
            self.forget(&uid);
        }
        stale
    }

    /// Forgets a cluster.
    pub(crate) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Kind;

    fn cluster() -> PyroscopeCluster {
        let mut cluster = PyroscopeCluster::new("a", serde_json::from_value(json!({})).unwrap());
        cluster.metadata.uid = Some("uid".to_owned());
        cluster
    }

    fn key() -> Key {
        (Kind::StatefulSet, "a".to_owned())
    }

    fn at(version: &str) -> Found {
        Found::from([(key(), json!({"metadata": {"resourceVersion": version}}))])
    }

    #[test]
    fn object_is_stale_until_the_cache_shows_another_version() {
        let mut awaited = Awaited::default();
        awaited.note(&cluster(), vec![key()], &at("1"));
        assert_eq!(awaited.stale(&cluster(), &at("1")), BTreeSet::from([key()]));
        assert_eq!(awaited.stale(&cluster(), &at("2")), BTreeSet::new());
        assert_eq!(awaited.stale(&cluster(), &at("1")), BTreeSet::new());
    }

    #[test]
    fn new_object_is_stale_until_it_is_cached() {
        let mut awaited = Awaited::default();
        awaited.note(&cluster(), vec![key()], &Found::new());
        assert_eq!(
            awaited.stale(&cluster(), &Found::new()),
            BTreeSet::from([key()])
        );
        assert_eq!(awaited.stale(&cluster(), &at("1")), BTreeSet::new());
    }
}
