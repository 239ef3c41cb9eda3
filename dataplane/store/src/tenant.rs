//! One tenant: its head, and the profiles on their way into it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use profile::Labels;
use profile::pprof::View;
use tokio::sync::watch;

use crate::admission::{ActiveSeries, SeriesLimit};
use crate::budget::{Budget, Reservation};
use crate::digest::Digest;
use crate::head::{Head, NewProfile, Place};
use crate::push::RejectReason;

/// What tells profiles of a tenant apart.
pub(crate) type ProfileKey = (Labels, [u8; 16]);

/// A tenant's part of the database.
///
/// Locks are taken in this order: `admission`, those of the head. None is held
/// while the disk works.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) head: Head,
    pub(crate) admission: Mutex<Admission>,
}

/// What decides whether a profile may be written.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pub(crate) active: ActiveSeries,
    /// Profiles whose first write is not durable yet.
    pending: HashMap<ProfileKey, watch::Receiver<bool>>,
}

/// How a profile was admitted.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// It is stored already.
    Stored,
    /// Another push writes it; the value becomes true when it is stored.
    Pending(watch::Receiver<bool>),
    /// It is to be written.
    Claimed(Claim),
}

/// The right to write a profile. Dropped without [`fulfil`](Self::fulfil), the
/// write has failed, and the next push of the profile may claim it.
#[derive(Debug)]
pub(crate) struct Claim {
    tenant: Arc<Tenant>,
    key: ProfileKey,
    stored: watch::Sender<bool>,
    reservation: Option<Reservation>,
}

impl Tenant {
    /// Creates a tenant without profiles; the key, which is secret, is that of
    /// the hashes of stacks.
    pub(crate) fn new(key: u64) -> Self {
        Self {
            head: Head::new(key),
            admission: Mutex::default(),
        }
    }

    /// Decides about one profile at `now`, milliseconds on the clock of
    /// [`ActiveSeries`]. Until it is stored, the most bytes that it may need
    /// count against the budget.
    pub(crate) fn admit(
        self: &Arc<Self>,
        place: &Place,
        bound: u64,
        max_series: usize,
        budget: &Arc<Budget>,
        now: u64,
    ) -> Result<Admitted, RejectReason> {
        let mut admission = self.admission.lock();
        let Admission { active, pending } = &mut *admission;
        let key = (place.labels.clone(), place.id);
        let vacant = match pending.entry(key.clone()) {
            Entry::Occupied(other) => return Ok(Admitted::Pending(other.get().clone())),
            Entry::Vacant(vacant) => vacant,
        };
        if self.head.contains(&place.labels, &place.id) {
            return Ok(Admitted::Stored);
        }
        let room = budget.reserve(bound)?;
        let series = place.series.iter().map(|series| &series.labels);
        active.admit(series, max_series, now)?;
        let (stored, receiver) = watch::channel(false);
        vacant.insert(receiver);
        Ok(Admitted::Claimed(Claim {
            tenant: self.clone(),
            key,
            stored,
            reservation: Some(room),
        }))
    }
}

impl Claim {
    /// Stores the symbols of the profile. Those of one that is never written stay
    /// and are counted: the next write of it needs them.
    pub(crate) fn intern(&mut self, view: &View, digest: &Digest) -> NewProfile {
        let new = self.tenant.head.intern(view, digest);
        if let Some(room) = &mut self.reservation {
            room.spend(new.symbol_bytes);
        }
        new
    }

    /// Makes the profile, which is durable now, visible. Returns the series that
    /// are new.
    pub(crate) fn fulfil(mut self, place: &Place, new: NewProfile) -> usize {
        let added = self.tenant.head.insert(place, new).unwrap_or_default();
        if let Some(room) = self.reservation.take() {
            room.settle(added.bytes);
        }
        self.stored.send_replace(true);
        added.series
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.tenant.admission.lock().pending.remove(&self.key);
    }
}

impl From<SeriesLimit> for RejectReason {
    fn from(SeriesLimit { active, limit }: SeriesLimit) -> Self {
        Self::SeriesLimit { active, limit }
    }
}

impl From<crate::budget::Full> for RejectReason {
    fn from(crate::budget::Full { used, max }: crate::budget::Full) -> Self {
        Self::Full { used, max }
    }
}
