//! The store's handle for the components of a process.

use std::fmt;
use std::sync::Arc;

use proto::ring::Desc;
use thiserror::Error;
use tokio::sync::watch;

use super::shared::{ChangeError, Shared};
use super::store::{EntryStatus, StoreError};

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
        self.shared.read(|store| store.view(key))
    }

    /// Returns the value of a key with LEFT instances. Holding on to it for
    /// long makes the next change copy the value.
    pub fn get_with_tombstones(&self, key: &str) -> Option<Arc<Desc>> {
        self.shared.read(|store| store.value(key))
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
        let metrics = self.shared.metrics();
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
        result.map_err(|error| explain(key, error, 1))
    }

    /// Marks a key deleted on every node. Does nothing when there is none.
    ///
    /// # Errors
    ///
    /// [`CasError::Stopped`] only.
    pub fn delete(&self, key: &str) -> Result<(), CasError> {
        let result = self
            .shared
            .change_locally(|store, now_ms| store.delete(key, now_ms).ok_or(StoreError::NoChange));
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
        self.shared.watch(key)
    }

    /// Describes every key.
    pub fn entries(&self) -> Vec<EntryStatus> {
        self.shared.read(|store| store.status().collect())
    }

    fn try_cas(
        &self,
        key: &str,
        edit: &mut impl FnMut(Option<&Desc>) -> Option<Desc>,
    ) -> Result<bool, CasError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let snapshot = self.shared.read(|store| store.snapshot(key));
            let Some(updated) = edit(snapshot.view.as_deref()) else {
                return Ok(false);
            };
            let result = self.shared.change_locally(|store, now_ms| {
                store.compare_and_set(key, snapshot.version, updated, now_ms)
            });
            match result {
                Ok(()) => return Ok(true),
                Err(ChangeError::Store(StoreError::Conflict)) if attempts < CAS_ATTEMPTS => {}
                Err(error) => return Err(explain(key, error, attempts)),
            }
        }
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").finish_non_exhaustive()
    }
}

fn explain(key: &str, error: ChangeError, attempts: u32) -> CasError {
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
