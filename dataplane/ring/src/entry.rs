use std::collections::BTreeMap;

use proto::ring::{Desc, InstanceDesc};

use crate::{Now, State};

/// The record that an instance keeps of itself in the ring: what it has
/// published, what has become of it, and what to publish next.
///
/// Timestamps never go back: a record is dated now, but never before the last
/// one published or the one in the ring. Peers take only newer records.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    addr: String,
    zone: String,
    versions: BTreeMap<u64, u64>,
    read_only: bool,
    /// Unix seconds of the last change of `read_only`; 0 when it never was.
    read_only_updated: i64,
    /// The last record given out; `None` before the first.
    published: Option<InstanceDesc>,
}

impl Entry {
    pub(crate) fn new(id: &str, addr: &str, zone: &str, versions: BTreeMap<u64, u64>) -> Self {
        Self {
            id: id.to_owned(),
            addr: addr.to_owned(),
            zone: zone.to_owned(),
            versions,
            read_only: false,
            read_only_updated: 0,
            published: None,
        }
    }

    /// Takes over what outlives a restart from the record in the ring, and
    /// returns that record.
    pub(crate) fn take_over<'d>(&mut self, desc: &'d Desc) -> Option<&'d InstanceDesc> {
        let live = self.live(desc)?;
        self.read_only = live.read_only;
        self.read_only_updated = live.read_only_updated_timestamp;
        Some(live)
    }

    pub(crate) fn is_published(&self) -> bool {
        self.published.is_some()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Changes whether the instance takes new series; returns whether that is
    /// a change.
    pub(crate) fn set_read_only(&mut self, read_only: bool, now: Now) -> bool {
        if self.read_only == read_only {
            return false;
        }
        self.read_only = read_only;
        self.read_only_updated = now.unix.max(self.read_only_updated);
        true
    }

    /// Returns the record in the ring unless it has left.
    pub(crate) fn live<'d>(&self, desc: &'d Desc) -> Option<&'d InstanceDesc> {
        desc.ingesters
            .get(&self.id)
            .filter(|entry| State::of(entry) != State::Left)
    }

    /// Returns the record in the ring unless the last one published got lost
    /// or was overwritten.
    pub(crate) fn intact<'d>(&self, desc: &'d Desc, state: State) -> Option<&'d InstanceDesc> {
        let published = self.published.as_ref()?;
        self.live(desc).filter(|entry| {
            State::of(entry) == state
                && entry.timestamp >= published.timestamp
                && entry.addr == self.addr
                && entry.zone == self.zone
                && entry.read_only == self.read_only
        })
    }

    /// Gives out a record that supersedes the one in the ring.
    pub(crate) fn publish(
        &mut self,
        desc: &Desc,
        state: State,
        tokens: &[u32],
        now: Now,
    ) -> InstanceDesc {
        let record = self.record(desc, state, tokens, now, 1);
        self.published = Some(record.clone());
        record
    }

    /// Dates the record anew; `None` when the one in the ring is as new.
    pub(crate) fn heartbeat(
        &mut self,
        desc: &Desc,
        state: State,
        tokens: &[u32],
        now: Now,
    ) -> Option<InstanceDesc> {
        let record = self.record(desc, state, tokens, now, 0);
        let known = self.live(desc).map(|entry| entry.timestamp);
        self.published = Some(record.clone());
        (known < Some(record.timestamp)).then_some(record)
    }

    /// Builds a record at least `step` seconds newer than the last.
    fn record(
        &self,
        desc: &Desc,
        state: State,
        tokens: &[u32],
        now: Now,
        step: i64,
    ) -> InstanceDesc {
        let known = desc.ingesters.get(&self.id);
        let last = [known, self.published.as_ref()]
            .into_iter()
            .flatten()
            .map(|record| record.timestamp.saturating_add(step))
            .max();
        // An instance that was missing has changed the shards of tenants, so
        // it counts as new.
        let registered = self
            .live(desc)
            .map_or(now.unix, |entry| entry.registered_timestamp);
        InstanceDesc {
            id: self.id.clone(),
            addr: self.addr.clone(),
            zone: self.zone.clone(),
            state: state.into(),
            timestamp: now.unix.max(last.unwrap_or(i64::MIN)),
            registered_timestamp: registered,
            tokens: tokens.to_vec(),
            read_only: self.read_only,
            read_only_updated_timestamp: self.read_only_updated,
            versions: self.versions.clone(),
        }
    }
}
