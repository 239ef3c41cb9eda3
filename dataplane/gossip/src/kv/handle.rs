//! The store's handle for the components of a process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use memberlist::Broadcast;
use parking_lot::Mutex;
use proto::ring::Desc;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use super::store::{EntryStatus, Retention, Store, StoreError, Update};
use crate::metrics::ClientMetrics;

/// How often a compare-and-set is tried before it gives up.
const CAS_ATTEMPTS: u32 = 10;

/// The replicated key-value store of this node, as the components of the
/// process see it. Cheap to clone; no method blocks on the network.
///
/// Keys are whole, prefix included: `collectors/ring`.
#[derive(Clone)]
pub struct Kv {
    shared: Arc<Shared>,
}

/// Why a local change was not made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CasError {
    /// Nothing in the new value is newer than what is stored. A changed
    /// instance needs a greater timestamp than the stored one: at least one
    /// second later.
    #[error("key {key:?}: nothing in the new value is newer than the stored one")]
    NoChange {
        /// The key.
        key: String,
    },
    /// The value changed between reading and writing each time.
    #[error("key {key:?}: value kept changing, gave up after {attempts} attempts")]
    Conflict {
        /// The key.
        key: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The store is full.
    #[error("key {key:?}: {reason}")]
    TooManyKeys {
        /// The key.
        key: String,
        /// The limit.
        reason: StoreError,
    },
    /// The node is leaving: a change would not reach anybody.
    #[error("key {key:?}: gossip has stopped")]
    Stopped {
        /// The key.
        key: String,
    },
}

impl Kv {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the value of a key without LEFT instances, as known here now.
    pub fn get(&self, key: &str) -> Option<Arc<Desc>> {
        self.shared.state.lock().store.view(key)
    }

    /// Returns the value of a key with LEFT instances. Holding on to it for
    /// long makes the next change copy the value.
    pub fn get_with_tombstones(&self, key: &str) -> Option<Arc<Desc>> {
        self.shared.state.lock().store.value(key)
    }

    /// Replaces a value by what `edit` makes of it.
    ///
    /// `edit` gets the value without LEFT instances, `None` when there is no
    /// such key, and may be called again when the value changes meanwhile.
    /// It returns `None` to leave everything as it is, which makes the result
    /// `Ok(false)`. Instances that it leaves out become tombstones.
    ///
    /// # Errors
    ///
    /// See [`CasError`]; nothing was changed then.
    pub fn cas(
        &self,
        key: &str,
        mut edit: impl FnMut(Option<&Desc>) -> Option<Desc>,
    ) -> Result<bool, CasError> {
        let metrics = &self.shared.metrics;
        metrics.cas_attempts.inc();
        let result = self.try_cas(key, &mut edit);
        if let Ok(true) = result {
            metrics.cas_successes.inc();
        } else if result.is_err() {
            metrics.cas_failures.inc();
        }
        result
    }

    /// Merges records into a value: those with a greater timestamp than the
    /// stored ones are taken, others of the value are left alone. This is what
    /// a writer of its own record needs; LEFT records work as tombstones.
    ///
    /// # Errors
    ///
    /// See [`CasError`]; nothing was changed then.
    pub fn merge(&self, key: &str, records: Desc) -> Result<(), CasError> {
        let result = self
            .shared
            .change_locally(|store, now_ms| store.put(key, records, now_ms));
        result.map_err(|error| self.explain(key, error, 1))
    }

    /// Marks a key deleted on every node. Does nothing when there is none.
    ///
    /// # Errors
    ///
    /// [`CasError::Stopped`] only.
    pub fn delete(&self, key: &str) -> Result<(), CasError> {
        let result = self.shared.change_locally(|store, now_ms| {
            store.delete(key, now_ms).ok_or(StoreError::NoChange)
        });
        match result {
            Err(ChangeError::Stopped) => Err(CasError::Stopped {
                key: key.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Follows a key: the receiver holds the current value without LEFT
    /// instances, empty when there is no such key, and sees the latest change.
    pub fn watch(&self, key: &str) -> watch::Receiver<Arc<Desc>> {
        let mut state = self.shared.state.lock();
        if let Some(sender) = state.watchers.get(key) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(state.store.view(key).unwrap_or_default());
        state.watchers.insert(key.to_owned(), sender);
        receiver
    }

    /// Describes every key.
    pub fn entries(&self) -> Vec<EntryStatus> {
        self.shared.state.lock().store.status().collect()
    }

    fn try_cas(
        &self,
        key: &str,
        edit: &mut impl FnMut(Option<&Desc>) -> Option<Desc>,
    ) -> Result<bool, CasError> {
        for attempt in 1..=CAS_ATTEMPTS {
            let snapshot = self.shared.state.lock().store.snapshot(key);
            let Some(updated) = edit(snapshot.view.as_deref()) else {
                return Ok(false);
            };
            let result = self.shared.change_locally(|store, now_ms| {
                store.compare_and_set(key, snapshot.version, updated, now_ms)
            });
            match result {
                Ok(()) => return Ok(true),
                Err(ChangeError::Store(StoreError::Conflict)) if attempt < CAS_ATTEMPTS => {}
                Err(error) => return Err(self.explain(key, error, attempt)),
            }
        }
        Ok(false)
    }

    fn explain(&self, key: &str, error: ChangeError, attempts: u32) -> CasError {
        let key = key.to_owned();
        match error {
            ChangeError::Stopped => CasError::Stopped { key },
            ChangeError::Store(StoreError::Conflict) => CasError::Conflict { key, attempts },
            ChangeError::Store(StoreError::NoChange) => CasError::NoChange { key },
            ChangeError::Store(reason @ StoreError::TooManyKeys) => {
                CasError::TooManyKeys { key, reason }
            }
        }
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").finish_non_exhaustive()
    }
}

enum ChangeError {
    Store(StoreError),
    Stopped,
}

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

    fn change_locally(
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
        Broadcast {
            key: update.key.into(),
            ids: update.instances.into_iter().map(Arc::from).collect(),
            version: update.version,
            payload: update.broadcast,
        }
    }
}

fn replaces(new: &Broadcast, old: &Broadcast) -> bool {
    let covers = |new: &BTreeSet<Arc<str>>, old: &BTreeSet<Arc<str>>| old.is_subset(new);
    new.key == old.key && new.version >= old.version && covers(&new.ids, &old.ids)
}

/// Returns the wall clock in Unix milliseconds.
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
