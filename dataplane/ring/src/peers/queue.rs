//! What waits to be delivered to one instance.

use std::collections::VecDeque;
use std::time::Duration;

use super::Limits;

/// Something to deliver, and what it counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel<T> {
    /// What is delivered.
    pub content: T,
    /// Memory that it takes, in bytes.
    pub bytes: u64,
    /// Profiles in it.
    pub profiles: u64,
    /// When it was handed off.
    pub since: Duration,
}

/// Parcels, oldest first.
#[derive(Debug)]
pub(super) struct Queue<T> {
    parcels: VecDeque<Parcel<T>>,
    /// Bytes in the queue and on their way out of it.
    bytes: u64,
    profiles: u64,
    is_delivering: bool,
    /// When the next delivery may start.
    paused_until: Duration,
    /// The pause after the next delivery that fails.
    pause: Duration,
}

impl<T> Queue<T> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            parcels: VecDeque::new(),
            bytes: 0,
            profiles: 0,
            is_delivering: false,
            paused_until: Duration::ZERO,
            pause: limits.first_probe,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn profiles(&self) -> u64 {
        self.profiles
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.parcels.is_empty() && !self.is_delivering
    }

    /// Returns when the next delivery may start, if there is one.
    pub(super) fn deliverable_at(&self) -> Option<Duration> {
        (!self.parcels.is_empty() && !self.is_delivering).then_some(self.paused_until)
    }

    /// Takes a parcel if there is room; tells whether there was.
    pub(super) fn push(&mut self, parcel: Parcel<T>, limits: &Limits) -> bool {
        if self.bytes + parcel.bytes > limits.queue_bytes {
            return false;
        }
        self.bytes += parcel.bytes;
        self.profiles += parcel.profiles;
        self.parcels.push_back(parcel);
        true
    }

    /// Drops what has waited for too long; returns how many profiles.
    pub(super) fn expire(&mut self, limits: &Limits, now: Duration) -> u64 {
        let mut expired = 0;
        while self.expires_at(limits).is_some_and(|at| at <= now) {
            if let Some(parcel) = self.parcels.pop_front() {
                self.forget(&parcel);
                expired += parcel.profiles;
            }
        }
        expired
    }

    pub(super) fn expires_at(&self, limits: &Limits) -> Option<Duration> {
        let oldest = self.parcels.front()?;
        Some(oldest.since + limits.queue_age)
    }

    /// Takes out the next delivery: the oldest parcels, one at least. Another
    /// one follows when this one has [ended](Self::delivered).
    pub(super) fn next_delivery(&mut self, limits: &Limits) -> Vec<Parcel<T>> {
        let mut bytes = 0;
        let fits = |parcel: &&Parcel<T>| {
            bytes += parcel.bytes;
            bytes <= limits.delivery_bytes
        };
        let count = self.parcels.iter().take_while(fits).count().max(1);
        self.is_delivering = true;
        self.parcels
            .drain(..count.min(self.parcels.len()))
            .collect()
    }

    /// Ends a delivery: `returned` of it wait again, `gone` do not.
    pub(super) fn delivered(
        &mut self,
        gone: &[Parcel<T>],
        returned: Vec<Parcel<T>>,
        limits: &Limits,
        now: Duration,
    ) {
        self.is_delivering = false;
        if returned.is_empty() {
            self.pause = limits.first_probe;
        } else {
            self.paused_until = now + self.pause;
            self.pause = (self.pause * 2).min(limits.longest_probe);
        }
        gone.iter().for_each(|parcel| self.forget(parcel));
        for parcel in returned.into_iter().rev() {
            self.parcels.push_front(parcel);
        }
    }

    /// Drops everything that waits; returns how many profiles.
    pub(super) fn clear(&mut self) -> u64 {
        let mut dropped = 0;
        while let Some(parcel) = self.parcels.pop_front() {
            self.forget(&parcel);
            dropped += parcel.profiles;
        }
        dropped
    }

    fn forget(&mut self, parcel: &Parcel<T>) {
        self.bytes -= parcel.bytes;
        self.profiles -= parcel.profiles;
    }
}
