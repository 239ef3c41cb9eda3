use std::collections::BTreeSet;
use std::sync::Arc;

use contract::quorum;

use crate::{Instance, Op, Ring};

/// The instances that an operation asks, and how many of them may fail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicationSet {
    /// Distinct instances with a fresh heartbeat, in the order of the walk.
    pub instances: Vec<Arc<Instance>>,
    /// Instances that take no part now and that nobody stands in for: what is
    /// written is to be handed off to them.
    pub absent: Vec<Arc<Instance>>,
    /// How many of `instances` may fail without failing the operation.
    pub max_errors: usize,
    /// How many whole zones may fail instead; used when zones are on.
    pub max_unavailable_zones: usize,
}

impl ReplicationSet {
    /// Returns how many instances have to succeed.
    pub fn min_success(&self) -> usize {
        self.instances.len().saturating_sub(self.max_errors)
    }
}

/// Why the ring cannot serve an operation now. All of these pass when
/// instances come back, so a caller answers "unavailable, retry".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// No instance owns a token.
    #[error("empty ring")]
    Empty,
    /// Too few of a series' replicas take part.
    #[error(
        "at least {needed} live replicas required{}, could only find {found}{}",
        zone_clause(*.zone_aware),
        unhealthy_clause(.unhealthy)
    )]
    TooFewReplicas {
        /// The quorum.
        needed: usize,
        /// Live replicas.
        found: usize,
        /// Addresses of the replicas that were left out.
        unhealthy: Vec<String>,
        /// Whether replicas are in distinct zones.
        zone_aware: bool,
    },
    /// More instances or zones are unhealthy than the replication tolerates.
    #[error(
        "too many unhealthy instances in the ring, {tolerated} tolerated{}",
        unhealthy_clause(.unhealthy)
    )]
    TooManyUnhealthy {
        /// How many instances (with zones: how many zones) may be unhealthy.
        tolerated: usize,
        /// Addresses of the unhealthy instances.
        unhealthy: Vec<String>,
    },
}

fn zone_clause(zone_aware: bool) -> &'static str {
    if zone_aware {
        " across different availability zones"
    } else {
        ""
    }
}

fn unhealthy_clause(addresses: &[String]) -> String {
    if addresses.is_empty() {
        return String::new();
    }
    format!(" - unhealthy instances: {}", addresses.join(","))
}

impl Ring {
    /// Finds the replicas of a token at `now` (Unix seconds).
    ///
    /// The walk starts at the first token strictly greater and gathers
    /// distinct instances (and distinct zones, when zones are on). Those whose
    /// heartbeat is stale or whose state does not serve `op` use up the error
    /// budget.
    ///
    /// A write needs a quorum of the replication factor, however far the walk
    /// went past instances that take none: that many copies are what a read
    /// relies on. Grafana dskit asks for a majority of all instances met, so
    /// that one LEAVING instance among them leaves no error to tolerate.
    ///
    /// # Errors
    /// Fails when the ring is empty or fewer than a quorum are live.
    pub fn get(&self, token: u32, op: Op, now: i64) -> Result<ReplicationSet, RingError> {
        let found = self.walk(token, op);
        if found.is_empty() {
            return Err(RingError::Empty);
        }
        let replicas = self.config().replication_factor;
        let needed = match op {
            Op::Write | Op::WriteNoExtend => quorum(replicas),
            Op::Read | Op::Reporting => quorum(replicas.max(found.len())),
        };
        let is_absent = |instance: &&Arc<Instance>| !self.is_healthy(instance, op, now);
        let absent: Vec<_> = found.iter().filter(is_absent).cloned().collect();
        let set = self
            .tolerate(found, needed, op, now)
            .map_err(|(found, unhealthy)| RingError::TooFewReplicas {
                needed,
                found,
                unhealthy,
                zone_aware: self.config().zone_awareness,
            })?;
        let lacking = replicas.saturating_sub(set.instances.len());
        Ok(ReplicationSet {
            absent: absent.into_iter().take(lacking).collect(),
            ..set
        })
    }

    /// Finds the instances that answer for the whole ring at `now` (Unix
    /// seconds), by the rule of dskit: each series' quorum is among them.
    ///
    /// # Errors
    /// Fails when the ring is empty or too many instances or zones are
    /// unhealthy.
    pub fn replication_set(&self, op: Op, now: i64) -> Result<ReplicationSet, RingError> {
        if self.is_empty() {
            return Err(RingError::Empty);
        }
        if self.config().zone_awareness {
            return self.whole_zones(op, now);
        }
        let replicas = self.config().replication_factor;
        let count = self.instances().len();
        let needed = count.max(replicas) - replicas / 2;
        self.tolerate(self.instances().to_vec(), needed, op, now)
            .map_err(|(_, unhealthy)| RingError::TooManyUnhealthy {
                tolerated: count.saturating_sub(needed),
                unhealthy,
            })
    }

    /// Keeps the healthy instances, of which all but `needed` may fail.
    ///
    /// Fails with their number and the addresses of the others when there are
    /// fewer.
    fn tolerate(
        &self,
        mut instances: Vec<Arc<Instance>>,
        needed: usize,
        op: Op,
        now: i64,
    ) -> Result<ReplicationSet, (usize, Vec<String>)> {
        let is_healthy = |instance: &Arc<Instance>| self.is_healthy(instance, op, now);
        let live = instances.iter().filter(|i| is_healthy(i)).count();
        let Some(max_errors) = live.checked_sub(needed) else {
            instances.retain(|instance| !is_healthy(instance));
            return Err((live, addresses(&instances)));
        };
        instances.retain(is_healthy);
        Ok(ReplicationSet {
            instances,
            max_errors,
            ..ReplicationSet::default()
        })
    }

    /// Leaves out every zone with an unhealthy instance.
    fn whole_zones(&self, op: Op, now: i64) -> Result<ReplicationSet, RingError> {
        let tolerated = self.zone_count().min(self.config().replication_factor) / 2;
        let (mut healthy, unhealthy): (Vec<_>, Vec<_>) = self
            .instances()
            .iter()
            .cloned()
            .partition(|instance| self.is_healthy(instance, op, now));
        let failing: BTreeSet<&str> = unhealthy.iter().map(|i| i.zone.as_str()).collect();
        let Some(max_unavailable_zones) = tolerated.checked_sub(failing.len()) else {
            return Err(RingError::TooManyUnhealthy {
                tolerated,
                unhealthy: addresses(&unhealthy),
            });
        };
        healthy.retain(|instance| !failing.contains(instance.zone.as_str()));
        Ok(ReplicationSet {
            instances: healthy,
            max_unavailable_zones,
            ..ReplicationSet::default()
        })
    }
}

fn addresses(instances: &[Arc<Instance>]) -> Vec<String> {
    instances.iter().map(|i| i.addr.clone()).collect()
}
