use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Instance, Op, Ring};

/// What the ring page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RingStatus {
    /// The instances in ascending order of their ids.
    pub members: Vec<Member>,
    /// Unix seconds at which `state` was judged.
    pub now: i64,
}

/// One instance as the ring page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The name, unique in the ring.
    pub id: String,
    /// The state, or "UNHEALTHY" when the heartbeat is stale.
    pub state: String,
    /// host:port of the RPC server.
    pub address: String,
    /// Unix seconds of the last heartbeat or change.
    pub timestamp: i64,
    /// Unix seconds; 0 when unknown.
    pub registered_timestamp: i64,
    /// The availability zone; empty when there is none.
    pub zone: String,
    /// Whether the instance takes no new series.
    pub read_only: bool,
    /// Unix seconds of the last change of `read_only`; 0 when it never was.
    pub read_only_updated_timestamp: i64,
    /// Versions of what the instance runs, by component.
    pub versions: BTreeMap<u64, u64>,
    /// Ascending.
    pub tokens: Vec<u32>,
    /// The share of the token space, 0 to 1; see [`Ring::ownership`].
    pub ownership: f64,
}

impl Ring {
    /// Describes every instance at `now` (Unix seconds).
    pub fn status(&self, now: i64) -> RingStatus {
        let member = |(instance, ownership): (&std::sync::Arc<Instance>, f64)| Member {
            id: instance.id.clone(),
            state: self.shown_state(instance, now),
            address: instance.addr.clone(),
            timestamp: instance.timestamp,
            registered_timestamp: instance.registered_timestamp,
            zone: instance.zone.clone(),
            read_only: instance.read_only,
            read_only_updated_timestamp: instance.read_only_updated_timestamp,
            versions: instance.versions.clone(),
            tokens: instance.tokens.to_vec(),
            ownership,
        };
        RingStatus {
            members: self
                .instances()
                .iter()
                .zip(self.ownership())
                .map(member)
                .collect(),
            now,
        }
    }

    /// Counts the instances by the state that [`status`](Self::status) shows
    /// at `now` (Unix seconds).
    pub fn counts(&self, now: i64) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for instance in self.instances() {
            *counts.entry(self.shown_state(instance, now)).or_insert(0) += 1;
        }
        counts
    }

    /// Returns the state of an instance as pages and metrics show it at `now`
    /// (Unix seconds): "UNHEALTHY" when the heartbeat is stale.
    pub fn shown_state(&self, instance: &Instance, now: i64) -> String {
        if self.is_healthy(instance, Op::Reporting, now) {
            instance.state.to_string()
        } else {
            "UNHEALTHY".to_owned()
        }
    }
}
