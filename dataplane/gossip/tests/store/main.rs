//! The key-value store, by itself and between nodes.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod handles;
mod heartbeats;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod values;

use std::sync::Arc;
use std::time::Duration;

use proto::ring::{Desc, InstanceDesc, InstanceState};
use pyroscope_gossip::kv::{Retention, Store, StoreError, Update};
use support::{RING, instance};

pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const START: i64 = START_MS / 1000;
pub(crate) const MINUTE_MS: i64 = 60_000;

pub(crate) fn store() -> Store {
    Store::new(Retention {
        tombstones: Duration::from_secs(300),
        deleted_keys: Duration::from_secs(30),
    })
}

pub(crate) fn desc(instances: impl IntoIterator<Item = InstanceDesc>) -> Desc {
    let ingesters = instances.into_iter();
    Desc {
        ingesters: ingesters
            .map(|instance| (instance.id.clone(), instance))
            .collect(),
    }
}

pub(crate) fn active(id: &str, timestamp: i64) -> InstanceDesc {
    instance(id, InstanceState::Active, timestamp, &[timestamp as u32])
}

pub(crate) fn left(id: &str, timestamp: i64) -> InstanceDesc {
    instance(id, InstanceState::Left, timestamp, &[])
}

/// Writes as a component does, from what it reads.
pub(crate) fn set(store: &mut Store, updated: Desc, now_ms: i64) -> Result<Update, StoreError> {
    let version = store.snapshot::<Desc>(RING).version;
    store.compare_and_set(RING, version, updated, now_ms)
}

pub(crate) fn view(store: &Store) -> Arc<Desc> {
    store.view(RING).unwrap()
}

pub(crate) fn value(store: &Store) -> Arc<Desc> {
    store.value(RING).unwrap()
}
