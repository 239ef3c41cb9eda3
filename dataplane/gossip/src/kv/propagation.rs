//! How long news travels: beacons that nodes publish and others time.
//!
//! Beacons belong to the cluster, not to nodes: a node publishes one when
//! nobody has for a beacon interval, and removes those that are too old.

use std::collections::BTreeSet;

use proto::memberlist::{Beacon, Beacons};

use crate::config::PropagationDelayTracker as Settings;

/// Key of the beacons; it has no prefix.
pub(super) const KEY: &str = "memberlist-propagation-delay-tracker";

/// What one node knows of beacons. Times are Unix milliseconds.
#[derive(Debug)]
pub(super) struct Tracker {
    settings: Settings,
    node: String,
    started_at_ms: i64,
    seen: BTreeSet<u64>,
}

/// A beacon seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) id: u64,
    pub(super) published_by: String,
    /// Negative when the clocks disagree by more than the delay.
    pub(super) delay_ms: i64,
}

impl Tracker {
    pub(super) fn new(settings: Settings, node: String, now_ms: i64) -> Self {
        Self {
            settings,
            node,
            started_at_ms: now_ms,
            seen: BTreeSet::new(),
        }
    }

    /// Times what is new among the beacons that are alive. Those published
    /// before this node started say nothing of gossip.
    pub(super) fn observe(&mut self, beacons: &Beacons, now_ms: i64) -> Vec<Arrival> {
        self.seen.retain(|id| beacons.beacons.contains_key(id));
        let mut arrivals = Vec::new();
        for (&id, beacon) in &beacons.beacons {
            if self.seen.insert(id) && beacon.published_at >= self.started_at_ms {
                arrivals.push(Arrival {
                    id,
                    published_by: beacon.published_by.clone(),
                    delay_ms: now_ms.saturating_sub(beacon.published_at),
                });
            }
        }
        arrivals
    }

    /// Returns the beacons as they should be: without old ones and, if there
    /// is no recent one, with a new one of this id. `None` when they are so.
    pub(super) fn renew(&mut self, beacons: &Beacons, id: u64, now_ms: i64) -> Option<Beacons> {
        let age = |beacon: &Beacon| now_ms.saturating_sub(beacon.published_at);
        let mut renewed = beacons.clone();
        renewed
            .beacons
            .retain(|_, beacon| age(beacon) < millis(self.settings.beacon_lifetime));
        let interval = millis(self.settings.beacon_interval);
        let is_recent = |beacon: &Beacon| age(beacon) < interval;
        if !renewed.beacons.values().any(is_recent) {
            self.seen.insert(id);
            let beacon = Beacon {
                published_at: now_ms,
                deleted_at: 0,
                published_by: self.node.clone(),
            };
            renewed.beacons.entry(id).or_insert(beacon);
        }
        (renewed != *beacons).then_some(renewed)
    }

    /// Returns whether an arrival was so late that it is to be logged.
    pub(super) fn is_late(&self, arrival: &Arrival) -> bool {
        let limit = self.settings.log_beacons_latency_longer_than;
        !limit.is_zero() && arrival.delay_ms >= millis(limit)
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tracker(node: &str) -> Tracker {
        let settings = Settings {
            enabled: true,
            beacon_interval: Duration::from_secs(60),
            beacon_lifetime: Duration::from_secs(600),
            log_beacons_latency_longer_than: Duration::from_secs(1),
        };
        Tracker::new(settings, node.to_owned(), 1_000_000)
    }

    #[test]
    fn one_node_of_the_cluster_publishes_and_the_others_time_it() {
        let (mut ours, mut theirs) = (tracker("a"), tracker("b"));
        let beacons = ours.renew(&Beacons::default(), 7, 1_000_500).unwrap();
        assert_eq!(ours.observe(&beacons, 1_000_500), []);
        let arrivals = theirs.observe(&beacons, 1_001_700);
        let expected = Arrival {
            id: 7,
            published_by: "a".into(),
            delay_ms: 1200,
        };
        assert_eq!(arrivals, [expected]);
        assert!(theirs.is_late(&arrivals[0]));
        assert_eq!(theirs.observe(&beacons, 1_002_000), [], "once");
        assert_eq!(theirs.renew(&beacons, 8, 1_060_499), None, "too soon");
        let renewed = theirs.renew(&beacons, 8, 1_060_500).unwrap();
        assert!(renewed.beacons.contains_key(&7) && renewed.beacons.contains_key(&8));
    }

    #[test]
    fn old_beacons_are_removed_and_those_before_the_start_not_timed() {
        let mut ours = tracker("a");
        let before = Beacon {
            published_at: 999_999,
            ..Beacon::default()
        };
        let beacons = Beacons {
            beacons: [(1, before)].into(),
        };
        assert_eq!(ours.observe(&beacons, 1_000_000), []);
        let renewed = ours.renew(&beacons, 2, 1_600_000).unwrap();
        assert_eq!(renewed.beacons.keys().collect::<Vec<_>>(), [&2]);
        ours.observe(&renewed, 1_600_000);
        assert_eq!(ours.seen, [2].into(), "nothing is remembered for ever");
    }
}
