//! The ingesters as all pushes of this process see them, and what waits for
//! those that missed some.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use ring::peers::{Answer, Counts, Limits, Peers};
use tokio::sync::Notify;

use super::shipment::Shipment;
use crate::rpc::TenantId;

/// Profiles that an ingester missed.
#[derive(Debug, Clone)]
pub(super) struct Missed {
    /// Whose they are.
    pub tenant: TenantId,
    /// An encoded `push.v1.PushRequest`.
    pub message: Bytes,
}

/// [`Peers`] with a lock and a clock. Whoever changes what is to be done wakes
/// the courier, who does it.
#[derive(Debug)]
pub(super) struct Outbox {
    peers: Mutex<Peers<Missed>>,
    wake: Notify,
    opened: Instant,
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            peers: Mutex::new(Peers::new(limits)),
            wake: Notify::new(),
            opened: Instant::now(),
        }
    }

    /// Returns the time that the outbox and writes go by.
    pub(super) fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Returns the instant of a time.
    pub(super) fn instant(&self, at: Duration) -> tokio::time::Instant {
        (self.opened + at).into()
    }

    /// Tells for each ingester whether it is worth a call of so many bytes now.
    pub(super) fn are_open<'a>(
        &self,
        calls: impl Iterator<Item = (&'a str, u64)>,
        now: Duration,
    ) -> Vec<bool> {
        let mut peers = self.peers.lock();
        let open: Vec<bool> = calls
            .map(|(id, bytes)| peers.is_open(id, bytes, now))
            .collect();
        drop(peers);
        if open.contains(&false) {
            self.wake.notify_one();
        }
        open
    }

    /// As [`Peers::send`].
    pub(super) fn send(&self, id: &str, bytes: u64) -> Option<u64> {
        self.peers.lock().send(id, bytes, self.now())
    }

    /// As [`Peers::answered`].
    pub(super) fn answered(&self, id: &str, ticket: u64, answer: Answer) {
        self.peers.lock().answered(id, ticket, answer, self.now());
        if answer == Answer::Failed {
            self.wake.notify_one();
        }
    }

    /// Keeps a shipment for an ingester that missed it.
    pub(super) fn hand_off(&self, id: &str, tenant: &TenantId, shipment: &Shipment) {
        let missed = Missed {
            tenant: tenant.clone(),
            message: shipment.message(),
        };
        let (bytes, profiles) = (shipment.bytes(), shipment.items().len() as u64);
        self.peers
            .lock()
            .hand_off(id, missed, bytes, profiles, self.now());
        self.wake.notify_one();
    }

    /// Changes the peers and wakes the courier.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Peers<Missed>, Duration) -> T) -> T {
        let changed = change(&mut self.peers.lock(), self.now());
        self.wake.notify_one();
        changed
    }

    /// Reads the peers.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Peers<Missed>, Duration) -> T) -> T {
        read(&mut self.peers.lock(), self.now())
    }

    /// Waits until something has changed.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Whether it is stopped and nothing waits any more.
    pub(super) fn is_finished(&self) -> bool {
        self.peers.lock().is_finished()
    }

    pub(super) fn counts(&self) -> Counts {
        self.peers.lock().counts()
    }
}
