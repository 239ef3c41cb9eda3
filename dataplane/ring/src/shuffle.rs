use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};

use crate::go_rand::GoRand;
use crate::ring::{Slot, lap};
use crate::{Instance, Ring};

impl Ring {
    /// Returns the part of the ring that a tenant writes to: at least `size`
    /// instances, spread evenly over zones when zones are on; 0 means all.
    ///
    /// The choice depends on the tenant and the ring alone, is the same in
    /// every process and in Grafana dskit, and an instance more or less changes
    /// it by at most one instance. Read-only instances are not in it. Building
    /// it costs as much as building a ring, so a caller keeps it until the ring
    /// changes.
    #[must_use]
    pub fn shuffle_shard(&self, tenant: &str, size: usize) -> Self {
        self.shard(tenant, size, None)
    }

    /// Returns the part of the ring that may hold what a tenant wrote since
    /// `now - lookback` (Unix seconds): its shard, extended over the instances
    /// that came, or became or ceased to be read-only, within that time.
    #[must_use]
    pub fn shuffle_shard_with_lookback(
        &self,
        tenant: &str,
        size: usize,
        lookback: Duration,
        now: i64,
    ) -> Self {
        let lookback = i64::try_from(lookback.as_secs()).unwrap_or(i64::MAX);
        let since = now.saturating_sub(lookback);
        if lookback == 0 {
            return self.shard(tenant, size, None);
        }
        let is_new = |instance: &Arc<Instance>| instance.registered_timestamp >= since;
        if size > 0 && self.instances().iter().all(is_new) {
            return self.clone();
        }
        self.shard(tenant, size, Some(since))
    }

    fn shard(&self, tenant: &str, size: usize, since: Option<i64>) -> Self {
        let mut chosen = BTreeSet::new();
        if size == 0 {
            chosen.extend(self.eligible("", false, since));
        } else if self.config().zone_awareness {
            let per_zone = size.div_ceil(self.zone_count().max(1));
            for (zone, count) in self.zones() {
                if per_zone >= count {
                    chosen.extend(self.eligible(zone, true, since));
                    continue;
                }
                let slots = self.zone_slots(zone);
                self.draw(&slots, seed(tenant, zone), per_zone, since, &mut chosen);
            }
        } else {
            self.draw(self.slots(), seed(tenant, ""), size, since, &mut chosen);
        }
        let instances = chosen
            .into_iter()
            .map(|index| Arc::clone(&self.instances()[index]))
            .collect();
        Self::of_instances(instances, self.config().clone())
    }

    /// Returns the indices of all instances, or those of one zone, that may be
    /// in a shard.
    fn eligible(
        &self,
        zone: &str,
        zone_only: bool,
        since: Option<i64>,
    ) -> impl Iterator<Item = usize> {
        self.instances()
            .iter()
            .enumerate()
            .filter(move |(_, instance)| !zone_only || instance.zone == zone)
            .filter(move |(_, instance)| !is_excluded(instance, since))
            .map(|(index, _)| index)
    }

    /// Draws `count` more instances from the slots of a ring or zone.
    fn draw(
        &self,
        slots: &[Slot],
        seed: i64,
        count: usize,
        since: Option<i64>,
        chosen: &mut BTreeSet<usize>,
    ) {
        let mut random = GoRand::new(seed);
        for _ in 0..count {
            let mut found = false;
            for slot in lap(slots, random.uint32()) {
                let instance = &self.instances()[slot.owner];
                if chosen.contains(&slot.owner) || is_excluded(instance, since) {
                    continue;
                }
                chosen.insert(slot.owner);
                if !since.is_some_and(|since| changed_since(instance, since)) {
                    found = true;
                    break;
                }
            }
            if !found {
                return;
            }
        }
    }
}

/// Whether an instance has had no part in the shard since then: read-only, and
/// with a lookback, known to be so for longer than that.
fn is_excluded(instance: &Instance, since: Option<i64>) -> bool {
    let updated = instance.read_only_updated_timestamp;
    instance.read_only && since.is_none_or(|since| updated > 0 && updated < since)
}

/// Whether the shard may have been another one before this instance changed,
/// or writes go past it now.
fn changed_since(instance: &Instance, since: i64) -> bool {
    instance.registered_timestamp >= since
        || instance.read_only
        || instance.read_only_updated_timestamp >= since
}

/// The seed of a tenant's draw: the first eight bytes of MD5(tenant), or of
/// MD5(tenant, NUL, zone), big endian.
fn seed(tenant: &str, zone: &str) -> i64 {
    let mut hash = Md5::new_with_prefix(tenant);
    if !zone.is_empty() {
        hash.update([0]);
        hash.update(zone);
    }
    let digest = hash.finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Seed {
        identifier: String,
        zone: String,
        seed: String,
        uint32: Vec<u32>,
    }

    #[test]
    fn seeds_are_those_of_dskit() {
        let vectors: Vec<Seed> =
            serde_json::from_str(include_str!("../tests/vectors/shuffle_seed.json")).unwrap();
        assert_eq!(vectors.len(), 6);
        for v in vectors {
            let got = seed(&v.identifier, &v.zone);
            assert_eq!(got.to_string(), v.seed, "{} in {}", v.identifier, v.zone);
            let mut random = GoRand::new(got);
            let drawn: Vec<u32> = v.uint32.iter().map(|_| random.uint32()).collect();
            assert_eq!(drawn, v.uint32);
        }
    }
}
