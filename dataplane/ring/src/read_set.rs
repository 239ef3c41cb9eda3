use std::collections::BTreeSet;

use contract::tolerated_misses;

use crate::{Op, Ring, RingError};

/// The instances that a read asks, and which of them it may miss and still see
/// every acknowledged write.
///
/// Whatever its state, an instance that has not left may hold the only reachable
/// copy, so all are asked. An acknowledged write is on a quorum of instances, and
/// with zones on, of zones: one less than that may be missed, instances or whole
/// zones. Instances with a stale heartbeat count as missed already. So do those
/// at an address that another one has, because only one answers there, and those
/// that a ring with fewer instances than replicas must still lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSet {
    members: Vec<Member>,
    /// Instances that are not known yet.
    unknown: usize,
    /// How many failure domains may be missed.
    tolerated: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    addr: String,
    /// The zone, or the instance alone.
    domain: usize,
    is_asked: bool,
}

impl Ring {
    /// Finds whom a read asks at `now` (Unix seconds).
    ///
    /// # Errors
    /// Fails when the ring is empty or when the answers of all that are healthy
    /// would not be complete.
    pub fn read_set(&self, now: i64) -> Result<ReadSet, RingError> {
        if self.instances().is_empty() {
            return Err(RingError::Empty);
        }
        let replicas = self.config().replication_factor;
        let mut addrs = BTreeSet::new();
        let mut zones: Vec<&str> = Vec::new();
        let mut members = Vec::with_capacity(self.instances().len());
        for (index, instance) in self.instances().iter().enumerate() {
            let is_zoned = self.config().zone_awareness && !instance.zone.is_empty();
            let domain = match zones.iter().position(|zone| *zone == instance.zone) {
                Some(zone) if is_zoned => zone,
                _ => index,
            };
            // Each zone stands at the index of its first instance.
            zones.push(if is_zoned { &instance.zone } else { "" });
            let is_healthy = self.is_healthy(instance, Op::Reporting, now);
            members.push(Member {
                addr: instance.addr.clone(),
                domain,
                is_asked: is_healthy && addrs.insert(instance.addr.as_str()),
            });
        }
        let set = ReadSet {
            unknown: replicas.saturating_sub(members.len()),
            tolerated: tolerated_misses(replicas),
            members,
        };
        if set.is_complete(|_| true) {
            return Ok(set);
        }
        let left_out = set.members.iter().filter(|member| !member.is_asked);
        Err(RingError::TooManyUnhealthy {
            tolerated: set.tolerated,
            unhealthy: left_out.map(|member| member.addr.clone()).collect(),
        })
    }
}

impl ReadSet {
    /// Iterates over the addresses to ask, each once.
    pub fn addrs(&self) -> impl Iterator<Item = &str> {
        let asked = self.members.iter().filter(|member| member.is_asked);
        asked.map(|member| member.addr.as_str())
    }

    /// Whether the answers of the addresses for which `answered` is true show
    /// every acknowledged write. An answer of nobody is none.
    pub fn is_complete(&self, answered: impl Fn(&str) -> bool) -> bool {
        let is_here = |member: &&Member| member.is_asked && answered(&member.addr);
        let missed: BTreeSet<usize> = self
            .members
            .iter()
            .filter(|member| !is_here(member))
            .map(|member| member.domain)
            .collect();
        missed.len() + self.unknown <= self.tolerated && self.members.iter().any(|m| is_here(&m))
    }

    /// Returns how many instances, or with zones on whole zones, may be missed.
    pub fn tolerated(&self) -> usize {
        self.tolerated
    }
}
