//! Following keys: what changed is told at once or in batches, what it is now
//! is read when somebody looks.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use proto::ring::Desc;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use super::mergeable::Mergeable;
use super::shared::Shared;

/// Gossip has ended: nothing changes any more.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("gossip has ended")]
pub struct Closed;

/// Follows one key. Changes that come while nobody waits are seen as one.
///
/// Its values are without LEFT instances, and empty when there is no such key.
pub struct Watch<V = Desc> {
    shared: Arc<Shared>,
    key: Arc<str>,
    changes: watch::Receiver<()>,
    value: PhantomData<fn() -> V>,
}

impl<V: Mergeable> Watch<V> {
    pub(super) fn new(shared: Arc<Shared>, key: &str, changes: watch::Receiver<()>) -> Self {
        Self {
            shared,
            key: key.into(),
            changes,
            value: PhantomData,
        }
    }

    /// Returns the value as it is now.
    pub fn borrow(&self) -> Arc<V> {
        let view = self.shared.read(|store| store.view(&self.key));
        view.unwrap_or_default()
    }

    /// Returns the value as it is now; [`Self::changed`] waits for the next
    /// change.
    pub fn borrow_and_update(&mut self) -> Arc<V> {
        self.changes.borrow_and_update();
        self.borrow()
    }

    /// Waits for a change since the last call of this or of
    /// [`Self::borrow_and_update`].
    ///
    /// # Errors
    ///
    /// Fails when gossip has ended.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.changes.changed().await.map_err(|_| Closed)
    }

    /// Waits until the value satisfies `condition`, which may be at once.
    ///
    /// # Errors
    ///
    /// Fails when gossip has ended.
    pub async fn wait_for(
        &mut self,
        mut condition: impl FnMut(&Arc<V>) -> bool,
    ) -> Result<Arc<V>, Closed> {
        loop {
            let value = self.borrow_and_update();
            if condition(&value) {
                return Ok(value);
            }
            drop(value);
            self.changed().await?;
        }
    }
}

impl<V> fmt::Debug for Watch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("key", &self.key).finish()
    }
}

/// Follows the keys of a prefix.
///
/// A key that changes again before it is read is reported once. Of more keys
/// than [`crate::Config::watch_prefix_buffer_size`] the further ones are not
/// reported, but counted in a metric.
pub struct PrefixWatch<V = Desc> {
    shared: Arc<Shared>,
    queue: Arc<PrefixQueue>,
    value: PhantomData<fn() -> V>,
}

impl<V: Mergeable> PrefixWatch<V> {
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<PrefixQueue>) -> Self {
        Self {
            shared,
            queue,
            value: PhantomData,
        }
    }

    /// Waits for a change and returns its key with the value as it is now;
    /// `None` when gossip has ended. Keys of other types are passed over.
    pub async fn next(&mut self) -> Option<(Arc<str>, Arc<V>)> {
        loop {
            let ready = self.queue.ready.notified();
            while let Some(key) = self.queue.pop() {
                if let Some(value) = self.shared.read(|store| store.view(&key)) {
                    return Some((key, value));
                }
            }
            if self.queue.keys.lock().closed {
                return None;
            }
            ready.await;
        }
    }
}

impl<V> fmt::Debug for PrefixWatch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrefixWatch")
            .field("prefix", &self.queue.prefix)
            .finish()
    }
}

/// The changed keys that a [`PrefixWatch`] has not reported yet.
#[derive(Debug)]
pub(super) struct PrefixQueue {
    prefix: String,
    capacity: usize,
    keys: Mutex<PendingKeys>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct PendingKeys {
    keys: VecDeque<Arc<str>>,
    closed: bool,
}

impl PrefixQueue {
    /// Returns whether there was room.
    fn push(&self, key: &Arc<str>) -> bool {
        let mut pending = self.keys.lock();
        if pending.keys.contains(key) {
            return true;
        }
        let has_room = pending.keys.len() < self.capacity;
        if has_room {
            pending.keys.push_back(key.clone());
        }
        drop(pending);
        self.ready.notify_one();
        has_room
    }

    fn pop(&self) -> Option<Arc<str>> {
        self.keys.lock().keys.pop_front()
    }

    fn close(&self) {
        self.keys.lock().closed = true;
        self.ready.notify_one();
    }
}

/// Everybody who follows keys.
#[derive(Debug)]
pub(super) struct Watchers {
    keys: HashMap<Arc<str>, watch::Sender<()>>,
    prefixes: Vec<Weak<PrefixQueue>>,
    prefix_capacity: usize,
    /// Keys whose change is told with the next batch; `None` tells at once.
    batch: Option<BTreeSet<Arc<str>>>,
    closed: bool,
}

impl Watchers {
    /// With `batched`, changes are told by [`Self::flush`] only.
    pub(super) fn new(prefix_capacity: usize, batched: bool) -> Self {
        Self {
            keys: HashMap::new(),
            prefixes: Vec::new(),
            prefix_capacity: prefix_capacity.max(1),
            batch: batched.then(BTreeSet::new),
            closed: false,
        }
    }

    pub(super) fn watch(&mut self, key: &str) -> watch::Receiver<()> {
        if self.closed {
            return watch::channel(()).1;
        }
        self.keys.retain(|_, sender| sender.receiver_count() > 0);
        let sender = self.keys.entry(key.into());
        sender.or_insert_with(|| watch::channel(()).0).subscribe()
    }

    pub(super) fn watch_prefix(&mut self, prefix: &str) -> Arc<PrefixQueue> {
        let queue = Arc::new(PrefixQueue {
            prefix: prefix.to_owned(),
            capacity: self.prefix_capacity,
            keys: Mutex::default(),
            ready: Notify::new(),
        });
        if self.closed {
            queue.close();
        }
        self.prefixes.retain(|queue| queue.strong_count() > 0);
        self.prefixes.push(Arc::downgrade(&queue));
        queue
    }

    /// Tells that a key changed. Returns the prefixes whose watchers were too
    /// slow to be told.
    pub(super) fn notify(&mut self, key: &Arc<str>) -> Vec<String> {
        match &mut self.batch {
            Some(batch) => {
                batch.insert(key.clone());
                Vec::new()
            }
            None => self.tell(key),
        }
    }

    /// Returns how many keys wait for the next batch.
    pub(super) fn pending(&self) -> usize {
        self.batch.as_ref().map_or(0, BTreeSet::len)
    }

    /// Tells the batched changes; returns what [`Self::notify`] does.
    pub(super) fn flush(&mut self) -> Vec<String> {
        let batch = self.batch.as_mut().map(std::mem::take);
        let keys = batch.unwrap_or_default();
        keys.iter().flat_map(|key| self.tell(key)).collect()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.keys.clear();
        for queue in self.prefixes.drain(..) {
            if let Some(queue) = queue.upgrade() {
                queue.close();
            }
        }
    }

    fn tell(&self, key: &Arc<str>) -> Vec<String> {
        if let Some(sender) = self.keys.get(key) {
            sender.send_replace(());
        }
        let queues = self.prefixes.iter().filter_map(Weak::upgrade);
        queues
            .filter(|queue| key.starts_with(&queue.prefix) && !queue.push(key))
            .map(|queue| queue.prefix.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn a_batch_tells_each_key_once() {
        let mut watchers = Watchers::new(8, true);
        let mut changes = watchers.watch("a");
        let queue = watchers.watch_prefix("");
        for _ in 0..3 {
            assert!(watchers.notify(&key("a")).is_empty());
        }
        assert_eq!(watchers.pending(), 1);
        assert!(!changes.has_changed().unwrap());
        assert!(watchers.flush().is_empty());
        assert!(changes.has_changed().unwrap());
        changes.borrow_and_update();
        assert_eq!(queue.pop(), Some(key("a")));
        assert_eq!(queue.pop(), None);
        watchers.flush();
        assert!(!changes.has_changed().unwrap());
    }

    #[test]
    fn a_slow_prefix_watcher_loses_only_what_does_not_fit() {
        let mut watchers = Watchers::new(2, false);
        let queue = watchers.watch_prefix("rings/");
        let dropped: Vec<String> = ["rings/a", "rings/b", "rings/a", "other", "rings/c"]
            .iter()
            .flat_map(|name| watchers.notify(&key(name)))
            .collect();
        assert_eq!(dropped, ["rings/"]);
        assert_eq!(queue.pop(), Some(key("rings/a")));
        assert_eq!(queue.pop(), Some(key("rings/b")));
        drop(queue);
        assert!(watchers.notify(&key("rings/a")).is_empty());
    }

    #[test]
    fn nobody_waits_for_a_store_that_has_ended() {
        let mut watchers = Watchers::new(2, false);
        let mut early = watchers.watch("a");
        let queue = watchers.watch_prefix("");
        watchers.close();
        assert!(early.has_changed().is_err());
        assert!(watchers.watch("a").has_changed().is_err());
        assert!(queue.keys.lock().closed);
        assert!(watchers.watch_prefix("").keys.lock().closed);
        early.mark_unchanged();
    }
}
