//! The store's handle for the components of a process.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use proto::ring::Desc;
use thiserror::Error;

use super::entry::EntryStatus;
use super::history::Messages;
use super::mergeable::Mergeable;
use super::shared::{ChangeError, Shared};
use super::store::{Snapshot, StoreError};
use super::watch::{PrefixWatch, Watch};
use crate::metrics::ClientMetrics;

/// How often a compare-and-set is tried before it gives up.
const CAS_ATTEMPTS: u32 = 10;

/// The replicated key-value store of this node, as the components of the
/// process see it. Cheap to clone; no method blocks on the network.
///
/// Keys are whole, prefix included: `collectors/ring`. A handle reads and
/// writes values of one type, rings unless said otherwise; [`Kv::of`] gives the
/// handle of another.
pub struct Kv<V = Desc> {
    shared: Arc<Shared>,
    value: PhantomData<fn() -> V>,
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
    /// The store is full, or the key holds a value of another type.
    #[error("key {key:?}: {reason}")]
    Refused {
        /// The key.
        key: String,
        /// Why.
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
        Self {
            shared,
            value: PhantomData,
        }
    }
}

impl<V> Kv<V> {
    /// Returns the handle for the keys whose values are of another type.
    pub fn of<W: Mergeable>(&self) -> Kv<W> {
        Kv {
            shared: self.shared.clone(),
            value: PhantomData,
        }
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

    /// Returns the keys that start with `prefix`, of values of all types.
    pub fn keys(&self, prefix: &str) -> Vec<Arc<str>> {
        self.shared
            .read(|store| store.keys(prefix).cloned().collect())
    }

    /// Describes every key, of values of all types.
    pub fn entries(&self) -> Vec<EntryStatus> {
        self.shared.read(|store| store.status().collect())
    }

    /// Shows the value of a key, tombstones included, as the original's JSON
    /// does.
    pub fn value_json(&self, key: &str) -> Option<serde_json::Value> {
        self.shared.value_json(key)
    }

    /// Returns the bytes of a value, tombstones included, as peers get them.
    pub fn encoded(&self, key: &str) -> Option<Bytes> {
        let (_, value) = self.shared.read(|store| store.encoded(key))?;
        Some(value)
    }

    /// Returns the messages of late, if
    /// [`crate::Config::message_history_buffer_bytes`] keeps some.
    pub fn messages(&self) -> Messages {
        self.shared.messages()
    }

    /// Shows the value of one of [`Self::messages`]; `None` when it is no
    /// longer kept or was not understood.
    pub fn message_json(&self, id: u64) -> Option<serde_json::Value> {
        self.shared.message_json(id)
    }

    /// Forgets the messages of late.
    pub fn clear_messages(&self) {
        self.shared.clear_messages();
    }

    pub(super) fn metrics(&self) -> &ClientMetrics {
        self.shared.metrics()
    }
}

impl<V: Mergeable> Kv<V> {
    /// Returns the value of a key without LEFT instances, as known here now.
    /// Holding on to it for long makes the next change copy the value.
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        self.shared.read(|store| store.view(key))
    }

    /// Returns the value of a key with LEFT instances; otherwise as
    /// [`Self::get`].
    pub fn get_with_tombstones(&self, key: &str) -> Option<Arc<V>> {
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
        mut edit: impl FnMut(Option<&V>) -> Option<V>,
    ) -> Result<bool, CasError> {
        let metrics = self.metrics();
        let result = self.try_cas(key, &mut edit);
        if let Ok(true) = result {
            metrics.cas_successes.inc();
        } else if result.is_err() {
            metrics.cas_failures.inc();
        }
        result
    }

    /// Merges records into a value: those that are newer than the stored ones
    /// are taken, others of the value are left alone. This is what a writer of
    /// its own record needs; LEFT records work as tombstones.
    ///
    /// # Errors
    ///
    /// See [`CasError`]; nothing was changed then.
    pub fn merge(&self, key: &str, records: V) -> Result<(), CasError> {
        let result = self
            .shared
            .change_locally(|store, now_ms| store.put(key, records, now_ms));
        result.map_err(|error| explain(key, error, 1))
    }

    /// Follows a key. Its value is made when it is looked at, so watching costs
    /// next to nothing.
    pub fn watch(&self, key: &str) -> Watch<V> {
        Watch::new(self.shared.clone(), key, self.shared.watch(key))
    }

    /// Follows the keys that start with `prefix`, beginning with their next
    /// change.
    pub fn watch_prefix(&self, prefix: &str) -> PrefixWatch<V> {
        PrefixWatch::new(self.shared.clone(), self.shared.watch_prefix(prefix))
    }

    fn try_cas(
        &self,
        key: &str,
        edit: &mut impl FnMut(Option<&V>) -> Option<V>,
    ) -> Result<bool, CasError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.metrics().cas_attempts.inc();
            let Snapshot { view, version } = self.shared.read(|store| store.snapshot::<V>(key));
            let Some(updated) = edit(view.as_deref()) else {
                return Ok(false);
            };
            // Otherwise the change would have to copy the value.
            drop(view);
            let result = self.shared.change_locally(|store, now_ms| {
                store.compare_and_set(key, version, updated, now_ms)
            });
            match result {
                Ok(()) => return Ok(true),
                Err(ChangeError::Store(StoreError::Conflict)) if attempts < CAS_ATTEMPTS => {}
                Err(error) => return Err(explain(key, error, attempts)),
            }
        }
    }
}

impl<V> Clone for Kv<V> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            value: PhantomData,
        }
    }
}

impl<V> fmt::Debug for Kv<V> {
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
        ChangeError::Store(reason) => CasError::Refused { key, reason },
    }
}
