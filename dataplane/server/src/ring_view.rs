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
    shards: Mutex<Shards>,
}

/// The shards of tenants that wrote lately.
#[derive(Debug)]
struct Shards {
    /// The snapshot that was used last. All shards share its table; those of
    /// tenants that are idle may be of an older one.
    whole: Arc<Ring>,
    /// Counts the snapshots used.
    generation: u64,
    of_tenants: HashMap<String, (u64, Arc<Ring>)>,
}

impl Shards {
    fn of(whole: Arc<Ring>) -> Self {
        Self {
            whole,
            generation: 0,
            of_tenants: HashMap::new(),
        }
    }

    /// Goes over to a newer snapshot.
    fn follow(&mut self, whole: Arc<Ring>) {
        if Arc::ptr_eq(&self.whole, &whole) {
            return;
        }
        if !self.whole.shares_table_with(&whole) {
            self.of_tenants.clear();
        }
        self.whole = whole;
        self.generation += 1;
    }

    fn shard(&mut self, tenant: &str, size: usize) -> Arc<Ring> {
        let shard = match self.of_tenants.get(tenant) {
            Some((generation, shard)) if *generation == self.generation => {
                return Arc::clone(shard);
            }
            Some((_, shard)) => shard.refreshed(&self.whole),
            None => self.whole.shuffle_shard(tenant, size),
        };
        if self.of_tenants.len() >= MAX_SHARDS {
            self.of_tenants.clear();
        }
        let shard = Arc::new(shard);
        let known = (self.generation, Arc::clone(&shard));
        self.of_tenants.insert(tenant.to_owned(), known);
        shard
    }
}

impl RingView {
    fn new(name: &'static str, key: String, ring: Ring) -> Self {
        let ring = Arc::new(ring);
        let inner = Inner {
            name,
            key,
            shards: Mutex::new(Shards::of(Arc::clone(&ring))),
            current: ArcSwap::new(ring),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

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
        // Loaded again under the lock, so that it never goes back.
        shards.follow(self.load());
        shards.shard(tenant, size)
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
        Self {
            view: RingView::new(name, key, ring),
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

#[cfg(test)]
mod tests {
    use proto::ring::{Desc, InstanceDesc};

    use super::*;

    fn desc(timestamp: i64, ids: &[&str]) -> Desc {
        let instance = |(index, id): (usize, &&str)| {
            let instance = InstanceDesc {
                timestamp,
                tokens: vec![index as u32],
                ..InstanceDesc::default()
            };
            ((*id).to_owned(), instance)
        };
        Desc {
            ingesters: ids.iter().enumerate().map(instance).collect(),
        }
    }

    fn view(desc: &Desc) -> RingView {
        RingView::new(
            "ingester",
            "key".to_owned(),
            Ring::new(desc, RingConfig::default()),
        )
    }

    #[test]
    fn shards_follow_the_ring_and_keep_no_old_one() {
        let view = view(&desc(1, &["a", "b", "c"]));
        let first = Arc::downgrade(&view.load());
        let shard = view.shard("tenant", 2);
        assert!(Arc::ptr_eq(&shard, &view.shard("tenant", 2)));
        view.shard("idle", 2);

        let later = view.load().updated(&desc(2, &["a", "b", "c"]));
        view.inner.current.store(Arc::new(later));
        let refreshed = view.shard("tenant", 2);
        assert!(refreshed.shares_table_with(&shard));
        assert!(refreshed.instances().iter().all(|one| one.timestamp == 2));
        assert_eq!(first.strong_count(), 0, "an idle tenant holds no ring");
        let idle = view.shard("idle", 2);
        assert!(idle.instances().iter().all(|one| one.timestamp == 2));

        let grown = view.load().updated(&desc(3, &["a", "b", "c", "d"]));
        let expected = grown.shuffle_shard("tenant", 2);
        view.inner.current.store(Arc::new(grown));
        let ids = |ring: &Ring| -> Vec<String> {
            ring.instances().iter().map(|one| one.id.clone()).collect()
        };
        assert_eq!(ids(&view.shard("tenant", 2)), ids(&expected));
    }
}
