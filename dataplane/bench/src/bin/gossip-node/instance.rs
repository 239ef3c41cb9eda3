//! Instances of the ring: the node's own, and others whose spreading is
//! measured.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use gossip::Kv;
use proto::ring::{Desc, InstanceDesc, InstanceState};
use ring::{Lifecycler, LifecyclerConfig, Now, Update};

/// Where ingesters keep their ring.
pub(crate) const RING: &str = "collectors/ring";

/// What both sides of the comparison set.
const TOKENS: usize = 128;
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(15);

/// Registers the node's instance and keeps its heartbeat.
pub(crate) async fn keep(kv: Kv, id: String, addr: Ipv4Addr) {
    let config = LifecyclerConfig {
        num_tokens: TOKENS,
        heartbeat_period: HEARTBEAT_PERIOD,
        ..LifecyclerConfig::new(id, format!("{addr}:4040"))
    };
    let origin = Instant::now();
    let now = || Now {
        unix: unix_seconds(),
        monotonic: origin.elapsed(),
    };
    let ring = || kv.get_with_tombstones(RING).unwrap_or_default();
    let mut lifecycler = Lifecycler::new(config, Vec::new(), rand::random::<u32>);
    let mut changes = kv.watch(RING);
    let update = lifecycler.start(&ring(), now());
    publish(&kv, &lifecycler, update);
    loop {
        let wakeup = lifecycler.next_wakeup();
        let wait = wakeup.map_or(Duration::MAX, |at| at.saturating_sub(origin.elapsed()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = changes.changed() => {
                if changed.is_err() { return }
                changes.borrow_and_update();
            }
        }
        let update = lifecycler.poll(&ring(), now());
        publish(&kv, &lifecycler, update);
    }
}

/// Adds an instance with tokens of its own.
pub(crate) fn add(kv: &Kv, id: &str) -> Result<()> {
    let mut tokens: Vec<u32> = (0..TOKENS).map(|_| rand::random()).collect();
    tokens.sort_unstable();
    let instance = InstanceDesc {
        id: id.to_owned(),
        addr: format!("{id}:4040"),
        state: InstanceState::Active.into(),
        timestamp: unix_seconds(),
        registered_timestamp: unix_seconds(),
        tokens,
        ..InstanceDesc::default()
    };
    let records = Desc {
        ingesters: [(id.to_owned(), instance)].into(),
    };
    Ok(kv.merge(RING, records)?)
}

/// Removes the instances whose ids have a prefix.
pub(crate) fn remove(kv: &Kv, prefix: &str) -> Result<()> {
    kv.cas(RING, |ring| {
        let mut ring = ring.cloned().unwrap_or_default();
        ring.ingesters.retain(|id, _| !id.starts_with(prefix));
        Some(ring)
    })?;
    Ok(())
}

/// Counts the instances that take writes.
pub(crate) fn active(ring: &Arc<Desc>) -> usize {
    let states = ring.ingesters.values().map(|instance| instance.state);
    states
        .filter(|state| *state == i32::from(InstanceState::Active))
        .count()
}

fn publish(kv: &Kv, lifecycler: &Lifecycler, update: Update) {
    let Some(instance) = update.instance else {
        return;
    };
    let records = Desc {
        ingesters: [(lifecycler.config().id.clone(), instance)].into(),
    };
    // When it is lost, the next heartbeat publishes it again.
    drop(kv.merge(RING, records));
}

fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
        })
}
