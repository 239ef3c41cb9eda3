//! What is reported of a cluster: plain functions from what was found to the
//! status, without I/O.

use std::collections::{BTreeMap, BTreeSet};

use crds::{ComponentStatus, Phase, PyroscopeCluster, PyroscopeClusterStatus, RingStatus};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};

use crate::conditions::{Finding, Holds, conditions};
use crate::object::Kind;
use crate::observe::typed;
use crate::plan::{Found, Key};
use crate::poll::Seen;
use crate::render::{self, Component, Platform};

/// Everything that a status is made of.
pub(crate) struct Facts<'a> {
    pub(crate) cluster: &'a PyroscopeCluster,
    pub(crate) platform: &'a Platform,
    pub(crate) found: &'a Found,
    /// Objects that have changed since they were found.
    pub(crate) stale: BTreeSet<Key>,
    pub(crate) seen: &'a Seen,
    /// Why the specification could not be carried out.
    pub(crate) failure: Option<Failure>,
}

/// Why a specification could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It does not render; objects stay as they were.
    Config(String),
    /// The API server refused a write.
    Apply(String),
}

/// Pods of a component as its Deployment or StatefulSet reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Workload {
    desired: i32,
    existing: i32,
    ready: i32,
    updated: i32,
    /// Whether the numbers are those of the newest specification.
    current: bool,
}

impl Workload {
    fn is_ready(self) -> bool {
        self.current && self.ready >= self.desired && self.existing == self.desired
    }

    /// Whether pods of an older specification are left.
    fn is_outdated(self) -> bool {
        self.updated < self.existing
    }
}

/// Returns the status of a cluster at `now`. It equals the one before when nothing
/// but time has passed.
pub(crate) fn status(facts: &Facts<'_>, now: Timestamp) -> PyroscopeClusterStatus {
    let cluster = facts.cluster;
    let before = cluster.status.clone().unwrap_or_default();
    let workloads: BTreeMap<Component, Workload> = Component::of(cluster.spec.mode)
        .iter()
        .map(|component| (*component, workload(facts, *component)))
        .collect();
    let in_ring = Component::in_ring(cluster.spec.mode);
    let phase = phase(&workloads, &before, facts.failure.as_ref());
    let findings = findings(facts, &workloads, phase);
    let image = render::image_reference(&facts.platform.default_image, &cluster.spec.image);
    PyroscopeClusterStatus {
        observed_generation: cluster.metadata.generation,
        phase,
        version: facts.seen.version.clone().unwrap_or(before.version),
        replicas: workloads.get(&in_ring).map_or(0, |it| it.existing),
        selector: render::selector(cluster, in_ring),
        components: workloads
            .iter()
            .map(|(component, workload)| {
                (component.as_str().to_owned(), reported(*workload, &image))
            })
            .collect(),
        ring: facts.seen.ring.clone(),
        endpoints: Some(render::endpoints(cluster)),
        conditions: conditions(
            findings,
            &before.conditions,
            cluster.metadata.generation,
            now,
        ),
    }
}

fn reported(workload: Workload, image: &str) -> ComponentStatus {
    ComponentStatus {
        desired: workload.desired,
        ready: workload.ready,
        updated: workload.updated,
        image: image.to_owned(),
    }
}

fn workload(facts: &Facts<'_>, component: Component) -> Workload {
    let name = render::component_name(facts.cluster, component);
    let desired = component.replicas(facts.cluster);
    let keys = [Kind::StatefulSet, Kind::Deployment].map(|kind| (kind, name.clone()));
    let stale = keys.iter().any(|key| facts.stale.contains(key));
    let [stateful_set, deployment] = keys.map(|key| facts.found.get(&key));
    let found = stateful_set
        .and_then(typed)
        .map(|it| of_stateful_set(&it))
        .or_else(|| deployment.and_then(typed).map(|it| of_deployment(&it)))
        .unwrap_or_default();
    Workload {
        desired,
        current: found.current && found.desired == desired && !stale,
        ..found
    }
}

fn of_stateful_set(object: &StatefulSet) -> Workload {
    let status = object.status.clone().unwrap_or_default();
    Workload {
        desired: object
            .spec
            .as_ref()
            .and_then(|it| it.replicas)
            .unwrap_or_default(),
        existing: status.replicas,
        ready: status.ready_replicas.unwrap_or_default(),
        updated: updated(&status),
        current: status.observed_generation >= object.metadata.generation,
    }
}

/// After an update the controller moves the count of updated pods over to that of
/// current pods.
fn updated(status: &k8s_openapi::api::apps::v1::StatefulSetStatus) -> i32 {
    if status.update_revision == status.current_revision {
        status.replicas
    } else {
        status.updated_replicas.unwrap_or_default()
    }
}

fn of_deployment(object: &Deployment) -> Workload {
    let status = object.status.clone().unwrap_or_default();
    Workload {
        desired: object
            .spec
            .as_ref()
            .and_then(|it| it.replicas)
            .unwrap_or_default(),
        existing: status.replicas.unwrap_or_default(),
        ready: status.ready_replicas.unwrap_or_default(),
        updated: status.updated_replicas.unwrap_or_default(),
        current: status.observed_generation >= object.metadata.generation,
    }
}

/// Returns what a cluster is doing.
///
/// ```text
/// Pending ──▶ Running ◀──▶ Scaling, Updating
///               ▲  │
///               │  ▼
///             Degraded
/// ```
/// Scaling and Updating last until everything is ready, so that the last pod of an
/// update is not taken for a failure.
fn phase(
    workloads: &BTreeMap<Component, Workload>,
    before: &PyroscopeClusterStatus,
    failure: Option<&Failure>,
) -> Phase {
    let any = |check: fn(Workload) -> bool| workloads.values().any(|it| check(*it));
    let rescaled = workloads.iter().any(|(component, workload)| {
        let before = before.components.get(component.as_str());
        before.is_some_and(|before| before.desired != workload.desired)
    });
    match before.phase {
        _ if !any(|it| !it.is_ready() || it.is_outdated()) => match failure {
            None => Phase::Running,
            Some(_) => Phase::Degraded,
        },
        Phase::Pending => Phase::Pending,
        _ if rescaled => Phase::Scaling,
        phase @ (Phase::Scaling | Phase::Updating) => phase,
        _ if any(|it| !it.current || it.is_outdated()) => Phase::Updating,
        Phase::Running | Phase::Degraded => Phase::Degraded,
    }
}

fn findings(
    facts: &Facts<'_>,
    workloads: &BTreeMap<Component, Workload>,
    phase: Phase,
) -> Vec<Finding> {
    vec![
        ready(facts, workloads),
        progressing(phase),
        ring_healthy(facts),
        replication_satisfied(facts),
        config_valid(facts),
    ]
}

fn ready(facts: &Facts<'_>, workloads: &BTreeMap<Component, Workload>) -> Finding {
    let kind = "Ready";
    let missing: Vec<_> = workloads
        .iter()
        .filter(|(_, it)| !it.is_ready())
        .map(|(component, it)| format!("{} {}/{}", component.as_str(), it.ready, it.desired))
        .collect();
    match (&facts.failure, missing.is_empty()) {
        (Some(Failure::Apply(message)), _) => Finding {
            kind,
            holds: Holds::No,
            reason: "ApplyFailed",
            message: message.clone(),
        },
        (_, false) => Finding {
            kind,
            holds: Holds::No,
            reason: "ComponentsNotReady",
            message: format!("waiting for pods: {}", missing.join(", ")),
        },
        (_, true) => Finding {
            kind,
            holds: Holds::Yes,
            reason: "AllReady",
            message: "every component serves".to_owned(),
        },
    }
}

fn progressing(phase: Phase) -> Finding {
    let (holds, reason, message) = match phase {
        Phase::Running => (Holds::No, "Idle", "the cluster is as it should be"),
        Phase::Degraded => (Holds::No, "Idle", "nothing is being changed"),
        Phase::Pending => (
            Holds::Yes,
            "RolloutInProgress",
            "pods start for the first time",
        ),
        Phase::Scaling => (
            Holds::Yes,
            "RolloutInProgress",
            "the number of pods changes",
        ),
        Phase::Updating => (Holds::Yes, "RolloutInProgress", "pods are replaced"),
    };
    Finding {
        kind: "Progressing",
        holds,
        reason,
        message: message.to_owned(),
    }
}

fn ring_healthy(facts: &Facts<'_>) -> Finding {
    let (holds, reason, message) = match &facts.seen.ring {
        None => (
            Holds::Unknown,
            "Unknown",
            "no pod has reported the ring".to_owned(),
        ),
        Some(ring) => judge_ring(facts.cluster, ring),
    };
    Finding {
        kind: "RingHealthy",
        holds,
        reason,
        message,
    }
}

fn judge_ring(cluster: &PyroscopeCluster, ring: &RingStatus) -> (Holds, &'static str, String) {
    let component = Component::in_ring(cluster.spec.mode);
    let wanted = component.replicas(cluster);
    let prefix = format!("{}-", render::component_name(cluster, component));
    if let Some(foreign) = ring.instances.iter().find(|it| !it.id.starts_with(&prefix)) {
        let message = format!("{} is a member and no pod of this cluster", foreign.id);
        return (Holds::No, "ForeignMember", message);
    }
    if ring.members.active < wanted || ring.members.unhealthy > 0 {
        let (active, unhealthy) = (ring.members.active, ring.members.unhealthy);
        let message = format!("{active} of {wanted} members are active, {unhealthy} are unhealthy");
        return (Holds::No, "UnhealthyMembers", message);
    }
    if ring.agreeing < ring.asked {
        let message = format!("{} of {} pods see this ring", ring.agreeing, ring.asked);
        return (Holds::No, "Partitioned", message);
    }
    let message = format!("all {wanted} members are active and every pod sees the same ring");
    (Holds::Yes, "Converged", message)
}

fn replication_satisfied(facts: &Facts<'_>) -> Finding {
    let factor = facts.cluster.spec.replication_factor;
    let active = facts.seen.ring.as_ref().map(|ring| ring.members.active);
    let (holds, reason, message) = match active {
        None => (
            Holds::Unknown,
            "Unknown",
            "no pod has reported the ring".to_owned(),
        ),
        Some(active) if active >= factor => (
            Holds::Yes,
            "Satisfied",
            format!("each profile is written to {factor} ingesters"),
        ),
        Some(active) => (
            Holds::No,
            "TooFewIngesters",
            format!("{active} ingesters are active and each profile needs {factor}"),
        ),
    };
    Finding {
        kind: "ReplicationSatisfied",
        holds,
        reason,
        message,
    }
}

fn config_valid(facts: &Facts<'_>) -> Finding {
    let (holds, reason, message) = match &facts.failure {
        Some(Failure::Config(message)) => (Holds::No, "InvalidOverride", message.clone()),
        _ => (Holds::Yes, "Valid", "the configuration is valid".to_owned()),
    };
    Finding {
        kind: "ConfigValid",
        holds,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests;
