//! Runs the propagation-delay tracker on the store.

use std::sync::Arc;

use proto::memberlist::Beacons;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::handle::Kv;
use super::propagation::{KEY, Tracker};
use super::shared::{Shared, unix_ms};
use crate::config::PropagationDelayTracker;

/// Publishes and times beacons; returns at once when that is off.
pub(super) async fn run(shared: &Arc<Shared>, settings: PropagationDelayTracker, node: String) {
    if !settings.enabled {
        return;
    }
    let kv = Kv::new(shared.clone()).of::<Beacons>();
    let mut tracker = Tracker::new(settings, node, unix_ms());
    let mut beacons = kv.watch(KEY);
    // Nodes that start together do not publish together.
    let first = settings.beacon_interval.mul_f64(rand::random::<f64>());
    let start = Instant::now() + first;
    let mut ticks = interval_at(start, settings.beacon_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => renew_beacons(&kv, &mut tracker),
            changed = beacons.changed() => if changed.is_err() { return },
        }
        observe_beacons(&kv, &mut tracker, &beacons.borrow_and_update());
    }
}

fn renew_beacons(kv: &Kv<Beacons>, tracker: &mut Tracker) {
    let id = rand::random::<u64>();
    let renew = |beacons: Option<&Beacons>| {
        let known = beacons.cloned().unwrap_or_default();
        tracker.renew(&known, id, unix_ms())
    };
    match kv.cas(KEY, renew) {
        Ok(_) => {
            let beacons = kv.get(KEY).unwrap_or_default();
            if beacons.beacons.contains_key(&id) {
                kv.metrics().propagation.published.inc();
            }
        }
        Err(error) => tracing::warn!(%error, "cannot publish a beacon"),
    }
}

fn observe_beacons(kv: &Kv<Beacons>, tracker: &mut Tracker, beacons: &Beacons) {
    let metrics = &kv.metrics().propagation;
    for arrival in tracker.observe(beacons, unix_ms()) {
        metrics.received.inc();
        if arrival.delay_ms >= 0 {
            metrics.delay.observe(arrival.delay_ms as f64 / 1000.0);
        }
        if tracker.is_late(&arrival) {
            tracing::warn!(
                beacon = arrival.id,
                published_by = arrival.published_by,
                delay_ms = arrival.delay_ms,
                "a beacon was slow to arrive"
            );
        }
    }
}
