//! The store as handles and the driver share it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use memberlist::Broadcast;
use parking_lot::Mutex;
use proto::ring::Desc;
use tokio::sync::{Notify, watch};

use super::store::{Retention, Store, StoreError, Update};
use crate::metrics::ClientMetrics;

/// What handles and the driver share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Tells the driver that `State::outbox` is not empty.
    pub(crate) changed: Notify,
    metrics: ClientMetrics,
}

struct State {
    store: Store,
    watchers: HashMap<String, watch::Sender<Arc<Desc>>>,
    /// Changes of this node that the driver has not fetched yet: one per key
    /// and set of instances, because later ones replace earlier ones.
    outbox: Vec<Broadcast>,
    stopped: bool,
}

/// Why a local change was not made.
pub(super) enum ChangeError {
    Store(StoreError),
    Stopped,
}

impl Shared {
    pub(crate) fn new(retention: Retention, metrics: ClientMetrics) -> Self {
        Self {
            state: Mutex::new(State {
                store: Store::new(retention),
                watchers: HashMap::new(),
                outbox: Vec::new(),
                stopped: false,
            }),
            changed: Notify::new(),
            metrics,
        }
    }

    pub(super) fn metrics(&self) -> &ClientMetrics {
        &self.metrics
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.state.lock().store)
    }

    pub(super) fn watch(&self, key: &str) -> watch::Receiver<Arc<Desc>> {
        let mut state = self.state.lock();
        if let Some(sender) = state.watchers.get(key) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(state.store.view(key).unwrap_or_default());
        state.watchers.insert(key.to_owned(), sender);
        receiver
    }

    /// Takes the changes of this node that peers have not been told.
    pub(crate) fn take_outbox(&self) -> Vec<Broadcast> {
        std::mem::take(&mut self.state.lock().outbox)
    }

    /// Refuses local changes from now on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
    }

    pub(crate) fn full_state(&self) -> Bytes {
        let state = self.state.lock().store.full_state();
        self.metrics.state_pulls.inc();
        self.metrics.state_pulls_bytes.inc_by(state.len() as u64);
        state
    }

    /// Takes a peer's user message and returns what to send on.
    pub(crate) fn receive(&self, message: &[u8]) -> Option<Broadcast> {
        self.metrics.received.inc();
        self.metrics.received_bytes.inc_by(message.len() as u64);
        let mut state = self.state.lock();
        match state.store.receive(message, unix_ms()) {
            Ok(update) => update.map(|update| state.publish(update, &self.metrics)),
            Err(error) => {
                self.metrics.received_invalid.inc();
                tracing::debug!(%error, "dropped a user message");
                None
            }
        }
    }

    /// Takes a peer's full state and returns what to send on.
    pub(crate) fn receive_state(&self, bytes: Bytes) -> Vec<Broadcast> {
        self.metrics.state_pushes.inc();
        self.metrics.state_pushes_bytes.inc_by(bytes.len() as u64);
        let mut state = self.state.lock();
        let mut broadcasts = Vec::new();
        for result in state.store.receive_state(bytes, unix_ms()) {
            match result {
                Ok(update) => broadcasts.push(state.publish(update, &self.metrics)),
                Err(error) => {
                    self.metrics.received_invalid.inc();
                    tracing::debug!(%error, "dropped a pair of a full state");
                }
            }
        }
        broadcasts
    }

    pub(crate) fn forget_deleted(&self) {
        self.state.lock().store.forget_deleted(unix_ms());
    }

    pub(super) fn change_locally(
        &self,
        change: impl FnOnce(&mut Store, i64) -> Result<Update, StoreError>,
    ) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        if state.stopped {
            return Err(ChangeError::Stopped);
        }
        let update = change(&mut state.store, unix_ms()).map_err(ChangeError::Store)?;
        let broadcast = state.publish(update, &self.metrics);
        state.outbox.retain(|queued| !replaces(&broadcast, queued));
        state.outbox.push(broadcast);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }
}

impl State {
    fn publish(&self, update: Update, metrics: &ClientMetrics) -> Broadcast {
        metrics.set_tombstones(&update.key, update.tombstones, update.expired);
        if let Some(watcher) = self.watchers.get(&update.key) {
            watcher.send_replace(update.view);
        }
        Broadcast::new(
            update.key,
            update.instances,
            update.version,
            update.broadcast,
        )
    }
}

fn replaces(new: &Broadcast, old: &Broadcast) -> bool {
    new.key == old.key && new.version >= old.version && old.ids.is_subset(&new.ids)
}

/// Returns the wall clock in Unix milliseconds.
fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        })
}
