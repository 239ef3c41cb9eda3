use std::collections::BTreeMap;
use std::time::Duration;

use proto::ring::Desc;

use crate::ring::is_fresh;
use crate::{Now, desc};

/// When members count as gone for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoForgetConfig {
    /// Age of a heartbeat from which a member is forgotten; zero is never.
    pub period: Duration,
    /// Age of a heartbeat from which a member counts as unhealthy; zero is
    /// never.
    pub heartbeat_timeout: Duration,
    /// How many members may be unhealthy at once for any to be forgotten;
    /// `None` is any number.
    pub most_unhealthy: Option<usize>,
}

/// Finds the members of a ring that died and will not come back by themselves.
///
/// A member is forgotten when its heartbeat is older than the period by the
/// wall clock *and* this process has seen it stand still for as long by its
/// own monotonic clock. So neither a clock that is wrong or jumps, nor a
/// process that was stopped for a while or has just started, makes anyone
/// forget members that are well.
///
/// Where members hold data, `most_unhealthy` is what a write quorum tolerates.
/// More than that are rather a partition or an outage than deaths for good, and
/// forgetting them would turn errors into answers that silently lack data.
#[derive(Debug)]
pub struct AutoForget {
    config: AutoForgetConfig,
    /// The last timestamp of each member and since when (monotonic) it stands
    /// still.
    seen: BTreeMap<String, (i64, Duration)>,
    /// When this process looked last (monotonic).
    looked: Option<Duration>,
}

/// Who is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// Ids to remove from the ring.
    pub forget: Vec<String>,
    /// Members due that stay because too many are unhealthy.
    pub held_back: usize,
}

impl AutoForget {
    /// Creates the rule; it has seen nothing yet.
    pub fn new(config: AutoForgetConfig) -> Self {
        Self {
            config,
            seen: BTreeMap::new(),
            looked: None,
        }
    }

    /// Looks at the ring, as often as heartbeats are sent, and names who is due
    /// now. A process never forgets itself, `own_id`, nor anybody when it looks
    /// only once in half a period.
    pub fn due(&mut self, ring: &Desc, own_id: &str, now: Now) -> Verdict {
        if self.config.period.is_zero() {
            return Verdict::default();
        }
        self.observe(ring, now);
        let period = self.config.period;
        let others = || desc::live(ring).filter(|(id, _)| id.as_str() != own_id);
        let forget: Vec<String> = others()
            .filter(|(_, member)| !is_fresh(member.timestamp, period, now.unix))
            .filter(|(id, _)| self.stands_still(id, now))
            .map(|(id, _)| id.clone())
            .collect();
        let timeout = self.config.heartbeat_timeout;
        let unhealthy = others()
            .filter(|(_, member)| !is_fresh(member.timestamp, timeout, now.unix))
            .count();
        // A timeout that is off, or longer than the period, finds fewer.
        let unhealthy = unhealthy.max(forget.len());
        let most_unhealthy = self.config.most_unhealthy;
        if most_unhealthy.is_some_and(|most| unhealthy > most) {
            return Verdict {
                held_back: forget.len(),
                forget: Vec::new(),
            };
        }
        Verdict {
            forget,
            held_back: 0,
        }
    }

    fn observe(&mut self, ring: &Desc, now: Now) {
        // The monotonic clock goes on while a process is frozen. Nobody was
        // seen to stand still in a pause that long.
        let looked = self.looked.replace(now.monotonic).unwrap_or_default();
        if now.monotonic.saturating_sub(looked) > self.config.period / 2 {
            self.seen.clear();
        }
        self.seen.retain(|id, _| ring.ingesters.contains_key(id));
        for (id, member) in desc::live(ring) {
            match self.seen.get_mut(id) {
                Some(seen) if seen.0 == member.timestamp => {}
                Some(seen) => *seen = (member.timestamp, now.monotonic),
                None => {
                    self.seen
                        .insert(id.clone(), (member.timestamp, now.monotonic));
                }
            }
        }
    }

    fn stands_still(&self, id: &str, now: Now) -> bool {
        self.seen
            .get(id)
            .is_some_and(|(_, since)| now.monotonic.saturating_sub(*since) >= self.config.period)
    }
}
