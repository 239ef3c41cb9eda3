use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::ring::{Desc, InstanceDesc};

use crate::{Op, State};

/// How a ring is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// On how many instances a series is kept.
    pub replication_factor: usize,
    /// How old a heartbeat may be before its instance counts as unhealthy;
    /// zero means that it never does.
    pub heartbeat_timeout: Duration,
    /// Whether the replicas of a series are put in distinct zones.
    pub zone_awareness: bool,
    /// Zones whose instances are not used at all.
    pub excluded_zones: Vec<String>,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            replication_factor: 1,
            heartbeat_timeout: Duration::from_secs(60),
            zone_awareness: false,
            excluded_zones: Vec::new(),
        }
    }
}

/// One instance of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name, unique in the ring.
    pub id: String,
    /// host:port of the RPC server.
    pub addr: String,
    /// The availability zone; empty when there is none.
    pub zone: String,
    /// What the instance says about itself; see [`Ring::is_healthy`].
    pub state: State,
    /// Unix seconds of the last heartbeat or change.
    pub timestamp: i64,
    /// Unix seconds; 0 when unknown.
    pub registered_timestamp: i64,
    /// Whether the instance takes no new series.
    pub read_only: bool,
    /// Unix seconds of the last change of `read_only`; 0 when it never was.
    pub read_only_updated_timestamp: i64,
    /// Versions of what the instance runs, by component; for people.
    pub versions: BTreeMap<u64, u64>,
    /// Ascending; shared by the records of one instance over time.
    pub tokens: Arc<[u32]>,
}

impl Instance {
    /// Reads a record; takes the tokens of the `known` one if they are equal.
    fn new(id: &str, desc: &InstanceDesc, known: Option<&Self>) -> Self {
        let same = known.filter(|known| *known.tokens == *desc.tokens);
        Self {
            id: id.to_owned(),
            addr: desc.addr.clone(),
            zone: desc.zone.clone(),
            state: State::of(desc),
            timestamp: desc.timestamp,
            registered_timestamp: desc.registered_timestamp,
            read_only: desc.read_only,
            read_only_updated_timestamp: desc.read_only_updated_timestamp,
            versions: desc.versions.clone(),
            tokens: same.map_or_else(
                || desc.tokens.as_slice().into(),
                |known| Arc::clone(&known.tokens),
            ),
        }
    }

    fn is(&self, desc: &InstanceDesc) -> bool {
        self.timestamp == desc.timestamp
            && self.state == State::of(desc)
            && self.addr == desc.addr
            && self.zone == desc.zone
            && self.registered_timestamp == desc.registered_timestamp
            && self.read_only == desc.read_only
            && self.read_only_updated_timestamp == desc.read_only_updated_timestamp
            && self.versions == desc.versions
            && *self.tokens == *desc.tokens
    }
}

/// An immutable view of a descriptor, built once per change and looked up
/// often.
#[derive(Clone, Debug)]
pub struct Ring {
    config: RingConfig,
    /// Ascending by id.
    instances: Vec<Arc<Instance>>,
    table: Arc<Table>,
}

/// What heartbeats and states do not change; shared by the views between two
/// changes of it.
#[derive(Debug)]
struct Table {
    /// Ascending by token.
    slots: Vec<Slot>,
    /// How many instances each zone has; the key "" is for those without one.
    zones: BTreeMap<String, usize>,
}

/// A token and the index of the instance that owns it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) token: u32,
    pub(crate) owner: usize,
}

impl Ring {
    /// Builds the view of a descriptor. Tombstones and instances of excluded
    /// zones are not part of it.
    pub fn new(desc: &Desc, config: RingConfig) -> Self {
        Self::of_instances(Vec::new(), config).updated(desc)
    }

    /// Builds the next view of the same ring. What did not change is shared
    /// with this one: a heartbeat costs one record, and only instances that
    /// come, go or change more than state and address cost a new table.
    #[must_use]
    pub fn updated(&self, desc: &Desc) -> Self {
        let read = |(id, desc): (&String, &InstanceDesc)| match self.instance(id) {
            Some(known) if known.is(desc) => Arc::clone(known),
            known => Arc::new(Instance::new(id, desc, known.map(Arc::as_ref))),
        };
        let instances: Vec<Arc<Instance>> = desc
            .ingesters
            .iter()
            .filter(|(_, desc)| State::of(desc) != State::Left)
            .filter(|(_, desc)| !self.config.excluded_zones.contains(&desc.zone))
            .map(read)
            .collect();
        if !same_table(&self.instances, &instances) {
            return Self::of_instances(instances, self.config.clone());
        }
        Self {
            config: self.config.clone(),
            instances,
            table: Arc::clone(&self.table),
        }
    }

    /// Builds a view of instances that are in ascending order of their ids.
    pub(crate) fn of_instances(instances: Vec<Arc<Instance>>, config: RingConfig) -> Self {
        Self {
            table: Arc::new(Table::new(&instances)),
            config,
            instances,
        }
    }

    /// Returns how the ring is read.
    pub fn config(&self) -> &RingConfig {
        &self.config
    }

    /// Returns the instances in ascending order of their ids.
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// Finds an instance by its id.
    pub fn instance(&self, id: &str) -> Option<&Arc<Instance>> {
        self.instances
            .binary_search_by(|instance| instance.id.as_str().cmp(id))
            .ok()
            .map(|index| &self.instances[index])
    }

    /// Whether no instance owns a token.
    pub fn is_empty(&self) -> bool {
        self.table.slots.is_empty()
    }

    /// Whether this view and `other` have one table of tokens: between them
    /// only timestamps, states and addresses have changed, and every tenant's
    /// shard consists of the same instances.
    pub fn shares_table_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }

    /// Returns this shard with the records that its instances have in `whole`,
    /// a view that shares its table with the one that the shard is of.
    #[must_use]
    pub fn refreshed(&self, whole: &Self) -> Self {
        let find = |instance: &Arc<Instance>| whole.instance(&instance.id).cloned();
        let instances: Vec<Arc<Instance>> = self.instances.iter().filter_map(find).collect();
        if !same_table(&self.instances, &instances) {
            return Self::of_instances(instances, self.config.clone());
        }
        Self {
            config: self.config.clone(),
            instances,
            table: Arc::clone(&self.table),
        }
    }

    /// Returns how many tokens the instances own together.
    pub fn token_count(&self) -> usize {
        self.table.slots.len()
    }

    /// Whether an instance serves an operation at `now` (Unix seconds): its
    /// state does and its heartbeat is not older than the timeout.
    pub fn is_healthy(&self, instance: &Instance, op: Op, now: i64) -> bool {
        op.serves(instance.state)
            && is_fresh(instance.timestamp, self.config.heartbeat_timeout, now)
    }

    /// Returns the instances that serve an operation at `now` (Unix seconds).
    pub fn healthy(&self, op: Op, now: i64) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances
            .iter()
            .filter(move |instance| self.is_healthy(instance, op, now))
    }

    /// Returns the share of the token space that each of
    /// [`instances`](Self::instances) owns; the shares sum to 1 unless the
    /// ring is empty.
    ///
    /// A token owns the keys from its predecessor up to itself, itself
    /// excluded. With zones on, each zone is a ring of its own, because each
    /// holds a replica of every key, and the shares sum to the number of zones.
    pub fn ownership(&self) -> Vec<f64> {
        let mut owned = vec![0_u64; self.instances.len()];
        if self.config.zone_awareness {
            for (zone, _) in self.zones() {
                add_ownership(&mut owned, &self.zone_slots(zone));
            }
        } else {
            add_ownership(&mut owned, self.slots());
        }
        owned
            .iter()
            .map(|&keys| keys as f64 / TOKEN_SPACE as f64)
            .collect()
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.table.slots
    }

    /// Returns the slots of one zone's instances.
    pub(crate) fn zone_slots(&self, zone: &str) -> Vec<Slot> {
        let in_zone = |slot: &&Slot| self.instances[slot.owner].zone == zone;
        self.slots().iter().filter(in_zone).copied().collect()
    }

    /// Iterates over the zones, and how many instances each has.
    pub(crate) fn zones(&self) -> impl Iterator<Item = (&str, usize)> {
        self.table
            .zones
            .iter()
            .map(|(zone, &count)| (zone.as_str(), count))
    }

    pub(crate) fn zone_count(&self) -> usize {
        self.table.zones.len()
    }

    /// Walks the ring clockwise from a token, at most one lap, and gathers the
    /// replica set before its health is looked at.
    pub(crate) fn walk(&self, token: u32, op: Op) -> Vec<Arc<Instance>> {
        let mut size = self.config.replication_factor;
        let mut found: Vec<Arc<Instance>> = Vec::with_capacity(size.min(self.instances.len()));
        for slot in lap(self.slots(), token) {
            if found.len() >= size.min(self.instances.len()) {
                break;
            }
            let instance = &self.instances[slot.owner];
            if found.iter().any(|known| Arc::ptr_eq(known, instance)) {
                continue;
            }
            let zoned = self.config.zone_awareness && !instance.zone.is_empty();
            if zoned && has_replica_in(&found, &instance.zone, op) {
                continue;
            }
            found.push(Arc::clone(instance));
            if op.extends(instance.state) {
                size += 1;
            }
            if zoned && self.zones_exhausted(&found, op) {
                break;
            }
        }
        found
    }

    /// Whether every zone has its replica or nobody left to ask, so that the
    /// rest of the lap is in vain.
    fn zones_exhausted(&self, found: &[Arc<Instance>], op: Op) -> bool {
        self.zones().all(|(zone, count)| {
            !zone.is_empty()
                && (has_replica_in(found, zone, op)
                    || found.iter().filter(|i| i.zone == zone).count() == count)
        })
    }
}

impl Table {
    fn new(instances: &[Arc<Instance>]) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for (owner, instance) in instances.iter().enumerate() {
            slots.extend(instance.tokens.iter().map(|&token| Slot { token, owner }));
        }
        slots.sort_unstable_by_key(|slot| (slot.token, slot.owner));
        slots.dedup_by_key(|slot| slot.token);
        let mut zones = BTreeMap::new();
        for instance in instances {
            *zones.entry(instance.zone.clone()).or_insert(0) += 1;
        }
        Self { slots, zones }
    }
}

/// Whether a heartbeat is not older than the timeout; zero is no timeout.
pub(crate) fn is_fresh(timestamp: i64, timeout: Duration, now: i64) -> bool {
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    timeout.is_zero() || now.saturating_sub(timestamp) <= seconds
}

/// Whether both are the same instances in all that tokens, zones and tenants'
/// shards depend on.
fn same_table(before: &[Arc<Instance>], after: &[Arc<Instance>]) -> bool {
    let same = |(a, b): (&Arc<Instance>, &Arc<Instance>)| {
        Arc::ptr_eq(a, b)
            || (a.id == b.id
                && a.zone == b.zone
                && a.registered_timestamp == b.registered_timestamp
                && a.read_only == b.read_only
                && a.read_only_updated_timestamp == b.read_only_updated_timestamp
                && Arc::ptr_eq(&a.tokens, &b.tokens))
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}

/// The number of keys on the ring.
const TOKEN_SPACE: u64 = 1 << 32;

/// Adds to each owner's keys those that these slots give it.
fn add_ownership(owned: &mut [u64], slots: &[Slot]) {
    let Some(last) = slots.last() else {
        return;
    };
    if slots.len() == 1 {
        owned[last.owner] += TOKEN_SPACE;
        return;
    }
    let mut previous = last.token;
    for slot in slots {
        owned[slot.owner] += u64::from(slot.token.wrapping_sub(previous));
        previous = slot.token;
    }
}

fn has_replica_in(found: &[Arc<Instance>], zone: &str, op: Op) -> bool {
    found
        .iter()
        .any(|instance| instance.zone == zone && !op.extends(instance.state))
}

/// One lap over slots, from the first token strictly greater.
pub(crate) fn lap(slots: &[Slot], token: u32) -> impl Iterator<Item = &Slot> {
    let start = slots.partition_point(|slot| slot.token <= token);
    slots[start..].iter().chain(&slots[..start])
}
