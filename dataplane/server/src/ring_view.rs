//! A ring as requests see it: a snapshot that follows the gossip.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use gossip::Kv;
use parking_lot::Mutex;
use ring::{Ring, RingConfig};
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;

/// Time between two looks at a ring that keeps changing: a ring of a hundred
/// sends a heartbeat every few milliseconds.
const PAUSE: Duration = Duration::from_millis(100);

/// Tenants whose shards are remembered.
const MAX_SHARDS: usize = 10_000;

/// The newest snapshot of one ring; cheap to clone and to read.
#[derive(Debug, Clone)]
pub(crate) struct RingView {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    key: String,
    current: ArcSwap<Ring>,
    shards: Mutex<HashMap<String, Shard>>,
}

/// A tenant's shard and the snapshot that it is of.
#[derive(Debug)]
struct Shard {
    whole: Arc<Ring>,
    shard: Arc<Ring>,
}

impl RingView {
    /// Returns the name of the ring in metrics and logs.
    pub(crate) fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Returns the key of the ring in the key-value store.
    pub(crate) fn key(&self) -> &str {
        &self.inner.key
    }

    /// Reads the snapshot.
    pub(crate) fn load(&self) -> Arc<Ring> {
        self.inner.current.load_full()
    }

    /// Returns the part of the ring that a tenant writes to: `size` instances,
    /// or with 0 all; read-only ones are left out.
    pub(crate) fn shard(&self, tenant: &str, size: usize) -> Arc<Ring> {
        let whole = self.load();
        if size == 0 && whole.instances().iter().all(|one| !one.read_only) {
            return whole;
        }
        let mut shards = self.inner.shards.lock();
        let known = shards.get(tenant);
        let shard = match known {
            Some(known) if Arc::ptr_eq(&known.whole, &whole) => return Arc::clone(&known.shard),
            Some(known) if known.whole.shares_table_with(&whole) => known.shard.refreshed(&whole),
            _ => whole.shuffle_shard(tenant, size),
        };
        let shard = Arc::new(shard);
        if shards.len() >= MAX_SHARDS {
            shards.clear();
        }
        let known = Shard {
            whole,
            shard: Arc::clone(&shard),
        };
        shards.insert(tenant.to_owned(), known);
        shard
    }
}

/// Keeps a [`RingView`] up to date.
#[derive(Debug)]
pub(crate) struct RingWatcher {
    view: RingView,
    kv: Kv,
    clients: Option<Arc<Clients>>,
}

impl RingWatcher {
    /// Starts from what is known of the ring at `key`.
    pub(crate) fn new(kv: Kv, name: &'static str, key: String, config: RingConfig) -> Self {
        let ring = Ring::new(&kv.get(&key).unwrap_or_default(), config);
        let inner = Inner {
            name,
            key,
            current: ArcSwap::from_pointee(ring),
            shards: Mutex::default(),
        };
        Self {
            view: RingView {
                inner: Arc::new(inner),
            },
            kv,
            clients: None,
        }
    }

    /// Closes connections in `clients` to instances that are gone.
    pub(crate) fn closing(self, clients: Arc<Clients>) -> Self {
        Self {
            clients: Some(clients),
            ..self
        }
    }

    /// Returns the snapshot to hand to readers.
    pub(crate) fn view(&self) -> RingView {
        self.view.clone()
    }

    /// Follows the ring until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let current = &self.view.inner.current;
        let mut changes = self.kv.watch(self.view.key());
        loop {
            let desc = Arc::clone(&changes.borrow_and_update());
            let ring = current.load().updated(&desc);
            drop(desc);
            if let Some(clients) = &self.clients {
                let addrs: HashSet<&str> = ring
                    .instances()
                    .iter()
                    .map(|one| one.addr.as_str())
                    .collect();
                clients.retain(|addr| addrs.contains(addr));
            }
            current.store(Arc::new(ring));
            let next = async {
                tokio::time::sleep(PAUSE).await;
                changes.changed().await
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = next => if changed.is_err() { return },
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
