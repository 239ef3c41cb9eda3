//! The store as handles and the driver share it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use memberlist::Broadcast;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::codec;
use super::entry::Update;
use super::history::{History, Messages};
use super::mergeable::Codecs;
use super::store::{ReceiveError, Retention, Store, StoreError};
use super::tracking;
use super::watch::{PrefixQueue, Watchers};
use crate::Config;
use crate::config::PropagationDelayTracker;
use crate::metrics::ClientMetrics;

/// What handles and the driver share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Tells the driver that `State::outbox` is not empty.
    pub(crate) changed: Arc<Notify>,
    metrics: ClientMetrics,
    settings: Settings,
    codecs: Codecs,
}

/// The settings of a store and its surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    retention: Retention,
    notify_interval: Duration,
    message_history_buffer_bytes: usize,
    watch_prefix_buffer_size: usize,
    propagation: PropagationDelayTracker,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            retention: config.into(),
            notify_interval: config.notify_interval,
            message_history_buffer_bytes: config.message_history_buffer_bytes,
            watch_prefix_buffer_size: config.watch_prefix_buffer_size,
            propagation: config.propagation_delay_tracker,
        }
    }
}

struct State {
    store: Store,
    watchers: Watchers,
    history: History,
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
    pub(crate) fn new(settings: Settings, metrics: ClientMetrics) -> Self {
        let batched = !settings.notify_interval.is_zero();
        let codecs = Codecs::default();
        Self {
            state: Mutex::new(State {
                store: Store::with_codecs(settings.retention, codecs.clone()),
                watchers: Watchers::new(settings.watch_prefix_buffer_size, batched),
                history: History::new(settings.message_history_buffer_bytes),
                outbox: Vec::new(),
                stopped: false,
            }),
            changed: Arc::default(),
            metrics,
            settings,
            codecs,
        }
    }

    /// Does what is due periodically for the node of this name: tells batched
    /// changes, tracks propagation. Watchers end with it.
    pub(crate) async fn run(self: Arc<Self>, node: String) {
        let _end = EndOfWatching(&self);
        tokio::join!(
            self.notify_in_batches(),
            tracking::run(&self, self.settings.propagation, node),
            std::future::pending::<()>()
        );
    }

    pub(super) fn metrics(&self) -> &ClientMetrics {
        &self.metrics
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.state.lock().store)
    }

    pub(super) fn watch(&self, key: &str) -> watch::Receiver<()> {
        self.state.lock().watchers.watch(key)
    }

    pub(super) fn watch_prefix(&self, prefix: &str) -> Arc<PrefixQueue> {
        self.state.lock().watchers.watch_prefix(prefix)
    }

    /// Takes the changes of this node that peers have not been told.
    pub(crate) fn take_outbox(&self) -> Vec<Broadcast> {
        std::mem::take(&mut self.state.lock().outbox)
    }

    /// Returns, once, whether exchanging full states with some peer would help.
    pub(crate) fn take_push_pull_request(&self) -> bool {
        self.state.lock().store.take_push_pull_request()
    }

    /// Refuses local changes from now on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
    }

    pub(crate) fn full_state(&self) -> Bytes {
        let mut state = self.state.lock();
        let full = state.store.full_state();
        self.metrics.state_pulls.inc();
        self.metrics.state_pulls_bytes.inc_by(full.len() as u64);
        if state.history.is_on() {
            let now_ms = unix_ms();
            for pair in codec::pairs(full.clone()).flatten() {
                state.history.add_sent_pair(&pair, now_ms);
            }
        }
        full
    }

    /// Takes a peer's user message and returns what to send on.
    pub(crate) fn receive(&self, message: Bytes) -> Option<Broadcast> {
        self.metrics.received.inc();
        self.metrics.received_bytes.inc_by(message.len() as u64);
        self.state.lock().receive(message, &self.metrics)
    }

    /// Takes a peer's full state and returns what to send on.
    pub(crate) fn receive_state(&self, bytes: Bytes) -> Vec<Broadcast> {
        self.metrics.state_pushes.inc();
        self.metrics.state_pushes_bytes.inc_by(bytes.len() as u64);
        let mut state = self.state.lock();
        let mut broadcasts = Vec::new();
        for pair in codec::pairs(bytes) {
            match pair {
                Ok(pair) => broadcasts.extend(state.receive(pair, &self.metrics)),
                Err(error) => refuse(&error.into(), &self.metrics),
            }
        }
        broadcasts
    }

    /// Forgets keys that were deleted long enough ago.
    pub(crate) fn forget_deleted(&self) {
        let mut state = self.state.lock();
        for key in state.store.forget_deleted(unix_ms()) {
            self.metrics.forget_key(&key);
        }
        self.metrics.set_keys(state.store.len());
    }

    pub(super) fn messages(&self) -> Messages {
        self.state.lock().history.messages()
    }

    /// Shows a value. It is decoded after the lock is given back: the JSON of a
    /// large ring takes longer than gossip may wait.
    pub(super) fn value_json(&self, key: &str) -> Option<serde_json::Value> {
        let (codec, value) = self.read(|store| store.encoded(key))?;
        self.codecs.json_of(codec, &value).ok()
    }

    /// Shows the value of a message; see [`Self::value_json`].
    pub(super) fn message_json(&self, id: u64) -> Option<serde_json::Value> {
        let (codec, value) = self.state.lock().history.value(id)?;
        self.codecs.json_of(&codec, &value).ok()
    }

    pub(super) fn clear_messages(&self) {
        self.state.lock().history.clear();
    }

    pub(super) fn change_locally(
        &self,
        change: impl FnOnce(&mut Store, i64) -> Result<Update, StoreError>,
    ) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        if state.stopped {
            return Err(ChangeError::Stopped);
        }
        let now_ms = unix_ms();
        let update = change(&mut state.store, now_ms).map_err(ChangeError::Store)?;
        let broadcast = state.publish(update, now_ms, &self.metrics);
        state.queue(broadcast);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    async fn notify_in_batches(&self) {
        if self.settings.notify_interval.is_zero() {
            return;
        }
        let mut ticks = interval(self.settings.notify_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut state = self.state.lock();
            let pending = state.watchers.pending();
            self.metrics.set_pending_notifications(pending);
            for prefix in state.watchers.flush() {
                self.metrics.drop_notification(prefix);
            }
        }
    }
}

impl State {
    fn receive(&mut self, message: Bytes, metrics: &ClientMetrics) -> Option<Broadcast> {
        let now_ms = unix_ms();
        let missed = self.store.missed_heartbeats();
        let result = self.store.receive(message.clone(), now_ms);
        metrics
            .heartbeats_missed
            .inc_by(self.store.missed_heartbeats() - missed);
        let update = result.unwrap_or_else(|error| {
            refuse(&error, metrics);
            None
        });
        self.history.add_received(&message, update.as_ref(), now_ms);
        update.map(|update| self.publish(update, now_ms, metrics))
    }

    fn publish(&mut self, update: Update, now_ms: i64, metrics: &ClientMetrics) -> Broadcast {
        if !update.lazy || update.expired > 0 {
            metrics.set_tombstones(&update.key, update.tombstones, update.expired);
        }
        for prefix in self.watchers.notify(&update.key) {
            metrics.drop_notification(prefix);
        }
        self.history.add_sent(&update, now_ms);
        broadcast(update)
    }

    /// Queues a change of this node for the driver.
    fn queue(&mut self, mut broadcast: Broadcast) {
        let mut replaces_news = false;
        self.outbox.retain(|queued| {
            let replaced = replaces(&broadcast, queued);
            replaces_news |= replaced && !queued.lazy;
            !replaced
        });
        if replaces_news {
            // Peers do not know the records yet that it is about.
            broadcast.lazy = false;
            broadcast.compact = None;
        }
        self.outbox.push(broadcast);
    }
}

/// Ends all watching when dropped.
struct EndOfWatching<'a>(&'a Shared);

impl Drop for EndOfWatching<'_> {
    fn drop(&mut self) {
        self.0.state.lock().watchers.close();
    }
}

fn refuse(error: &ReceiveError, metrics: &ClientMetrics) {
    match error {
        ReceiveError::TooManyKeys(_) => metrics.received_dropped.inc(),
        ReceiveError::Codec(_) => metrics.received_invalid.inc(),
    };
    tracing::debug!(%error, "dropped a pair of a peer");
}

fn broadcast(update: Update) -> Broadcast {
    let mut broadcast = Broadcast::new(update.key, update.ids, update.version, update.broadcast);
    if update.lazy {
        broadcast = broadcast.lazy();
    }
    match update.compact {
        Some(compact) => broadcast.with_compact(compact),
        None => broadcast,
    }
}

fn replaces(new: &Broadcast, old: &Broadcast) -> bool {
    new.key == old.key && new.version >= old.version && old.ids.is_subset(&new.ids)
}

/// Returns the wall clock in Unix milliseconds.
pub(super) fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        })
}
