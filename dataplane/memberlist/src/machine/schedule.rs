//! When the periodic work is due.

use std::time::Duration;

use crate::config::Config;
use crate::rng::Rng;
use crate::time::Timestamp;

/// Rounds of gossip that do not wait for their interval wait for this part of it, so that a burst of updates does
/// not become a burst of rounds.
const HURRIED: u32 = 4;

/// The times of what happens again and again.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) probe: Timestamp,
    /// The earliest time of a round of gossip.
    pub(super) gossip: Timestamp,
    /// The earliest time of a round of gossip that nobody waits for.
    pub(super) lazy_gossip: Timestamp,
    /// The earliest time of a round of gossip for an update of this node itself.
    hurried_gossip: Timestamp,
    pub(super) push_pull: Option<Timestamp>,
    /// The earliest time of a push/pull that somebody asks for.
    pub(super) early_push_pull: Timestamp,
    /// The time of a push/pull because the cluster has grown.
    pub(super) growth_push_pull: Option<Timestamp>,
}

impl Schedule {
    /// Staggers all periods at random, so that nodes started together do not act together.
    pub(super) fn new(config: &Config, rng: &mut Rng, now: Timestamp) -> Self {
        let mut first = |interval: Duration| now + rng.duration_below(interval) + interval;
        Self {
            probe: first(config.probe_interval),
            gossip: first(config.gossip_interval),
            lazy_gossip: now,
            hurried_gossip: now,
            push_pull: (!config.push_pull_interval.is_zero())
                .then(|| first(config.push_pull_interval)),
            early_push_pull: now,
            growth_push_pull: None,
        }
    }

    /// Plans the next rounds of gossip after one at `now`.
    ///
    /// One that was a little late does not delay the following ones; one that was later had nothing to tell before.
    pub(super) fn gossiped(&mut self, config: &Config, now: Timestamp) {
        let late = now.saturating_since(self.gossip);
        self.gossip = match late < config.gossip_interval / 2 {
            true => self.gossip + config.gossip_interval,
            false => now + config.gossip_interval,
        };
        self.lazy_gossip = now + config.lazy_gossip_interval;
        self.hurried_gossip = now + config.gossip_interval / HURRIED;
    }

    /// Gossips as soon as possible: this node has news of its own.
    pub(super) fn hurry(&mut self) {
        self.gossip = self.gossip.min(self.hurried_gossip);
    }
}

/// Advances `due` by whole intervals until it is after `now`; returns whether it was due.
pub(super) fn tick(due: &mut Timestamp, interval: Duration, now: Timestamp) -> bool {
    if *due > now {
        return false;
    }
    let late = now.saturating_since(*due).as_nanos() % interval.as_nanos();
    *due = now + interval.saturating_sub(Duration::from_nanos(late as u64));
    true
}
