//! The ring as requests see it: a snapshot that follows the gossip.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use gossip::Kv;
use ring::{Ring, RingConfig};
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;

/// The newest snapshot of one ring; cheap to clone and to read.
#[derive(Debug, Clone)]
pub(crate) struct RingView {
    current: Arc<ArcSwap<Ring>>,
}

impl RingView {
    /// Reads the snapshot.
    pub(crate) fn load(&self) -> Arc<Ring> {
        self.current.load_full()
    }
}

/// Keeps a [`RingView`] up to date.
#[derive(Debug)]
pub(crate) struct RingWatcher {
    view: RingView,
    changes: tokio::sync::watch::Receiver<Arc<proto::ring::Desc>>,
    config: RingConfig,
    clients: Arc<Clients>,
}

impl RingWatcher {
    /// Starts from what is known of the ring at `key`. Connections in `clients`
    /// to instances that are gone will be closed.
    pub(crate) fn new(kv: &Kv, key: &str, config: RingConfig, clients: Arc<Clients>) -> Self {
        let mut changes = kv.watch(key);
        let ring = Ring::new(&changes.borrow_and_update(), config.clone());
        let view = RingView {
            current: Arc::new(ArcSwap::from_pointee(ring)),
        };
        Self {
            view,
            changes,
            config,
            clients,
        }
    }

    /// Returns the snapshot to hand to readers.
    pub(crate) fn view(&self) -> RingView {
        self.view.clone()
    }

    /// Follows the ring until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let desc = Arc::clone(&self.changes.borrow_and_update());
            let ring = Ring::new(&desc, self.config.clone());
            self.clients
                .retain(|addr| ring.instances().iter().any(|one| one.addr == addr));
            self.view.current.store(Arc::new(ring));
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = self.changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Returns the time in Unix seconds, as heartbeats carry it.
pub(crate) fn unix_seconds() -> i64 {
    unix_nanos() / 1_000_000_000
}

/// Returns the time in Unix nanoseconds.
pub(crate) fn unix_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
        })
}
