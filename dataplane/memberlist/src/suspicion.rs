//! How long a suspected node may take to object (Lifeguard).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::time::Timestamp;

/// How often the suspected node is told directly, in equal parts of the timeout.
///
/// Gossip may lose the accusation, or the objection on its way to some node; each warning is another chance for both.
const WARNINGS: u32 = 8;

/// A running suspicion. The more nodes share it, the sooner it ends.
#[derive(Debug)]
pub(crate) struct Suspicion {
    started: Timestamp,
    min: Duration,
    max: Duration,
    /// Confirmations that bring the timeout down to `min`.
    wanted: u32,
    confirmations: u32,
    accusers: BTreeSet<String>,
    warnings: u32,
}

impl Suspicion {
    /// Starts a suspicion by `accuser` in a cluster of `nodes` records.
    pub(crate) fn new(config: &Config, nodes: usize, accuser: &str, now: Timestamp) -> Self {
        let wanted = config.suspicion_mult.saturating_sub(2);
        let min = shortest(config, nodes);
        Self {
            started: now,
            min,
            max: min.saturating_mul(config.suspicion_max_timeout_mult),
            // With too few others to confirm, waiting for them only delays the verdict.
            wanted: if nodes.saturating_sub(2) < wanted as usize {
                0
            } else {
                wanted
            },
            confirmations: 0,
            accusers: BTreeSet::from([accuser.to_owned()]),
            warnings: 0,
        }
    }

    /// Counts a confirmation; false if it changes nothing and need not be gossiped on.
    pub(crate) fn confirm(&mut self, accuser: &str) -> bool {
        if self.confirmations >= self.wanted || self.accusers.contains(accuser) {
            return false;
        }
        self.confirmations += 1;
        self.accusers.insert(accuser.to_owned());
        true
    }

    /// Returns when the suspected node is declared dead.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.started + self.timeout()
    }

    /// Returns when there is something to do: warn the suspected node, or declare it dead.
    pub(crate) fn next_step(&self) -> Timestamp {
        match self.warnings < WARNINGS {
            true => self.started + self.timeout() / (WARNINGS + 1) * (self.warnings + 1),
            false => self.deadline(),
        }
    }

    /// Returns whether a warning is due at `now`, and counts it. What was missed is not made up for.
    pub(crate) fn warn(&mut self, now: Timestamp) -> bool {
        let before = self.warnings;
        while self.warnings < WARNINGS && self.next_step() <= now {
            self.warnings += 1;
        }
        self.warnings > before
    }

    fn timeout(&self) -> Duration {
        if self.wanted == 0 {
            return self.min;
        }
        let share = f64::from(self.confirmations + 1).ln() / f64::from(self.wanted + 1).ln();
        let span = self.max.as_secs_f64() - self.min.as_secs_f64();
        let millis = ((self.max.as_secs_f64() - share * span) * 1000.0).floor();
        Duration::from_millis(millis as u64).max(self.min)
    }
}

/// Returns the timeout that all confirmations together lead to.
fn shortest(config: &Config, nodes: usize) -> Duration {
    let scale = (nodes.max(1) as f64).log10().max(1.0);
    let thousandths = (scale * 1000.0) as u32;
    config
        .probe_interval
        .saturating_mul(config.suspicion_mult)
        .saturating_mul(thousandths)
        / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    fn config() -> Config {
        Config::new("me", Address::v4([127, 0, 0, 1], 7946))
    }

    #[test]
    fn shortest_timeout_grows_with_the_logarithm_of_the_cluster() {
        for (nodes, millis) in [
            (1, 20_000),
            (10, 20_000),
            (16, 24_080),
            (64, 36_120),
            (128, 42_140),
        ] {
            assert_eq!(
                shortest(&config(), nodes),
                Duration::from_millis(millis),
                "{nodes} nodes"
            );
        }
    }

    #[test]
    fn confirmations_shorten_the_timeout_and_count_once_each() {
        let mut suspicion = Suspicion::new(&config(), 10, "a", Timestamp::ZERO);
        assert_eq!(suspicion.timeout(), Duration::from_secs(120));
        assert!(
            !suspicion.confirm("a"),
            "the first accuser does not confirm"
        );
        assert!(suspicion.confirm("b"));
        assert_eq!(suspicion.timeout(), Duration::from_millis(56_907));
        assert!(!suspicion.confirm("b"));
        assert!(suspicion.confirm("c"));
        assert_eq!(suspicion.timeout(), Duration::from_secs(20));
        assert!(
            !suspicion.confirm("d"),
            "beyond what is wanted nothing counts"
        );
    }

    #[test]
    fn the_suspect_is_warned_in_equal_parts_of_the_timeout() {
        let mut config = config();
        config.probe_interval = Duration::from_secs(9);
        let mut suspicion = Suspicion::new(&config, 3, "a", Timestamp::ZERO);
        let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
        for seconds in (4..=32).step_by(4) {
            assert_eq!(suspicion.next_step(), at(seconds));
            assert!(!suspicion.warn(at(seconds - 1)));
            assert!(suspicion.warn(at(seconds)));
        }
        assert_eq!(suspicion.next_step(), suspicion.deadline());
        assert!(!suspicion.warn(at(36)));
    }

    #[test]
    fn a_small_cluster_does_not_wait_for_confirmations() {
        let suspicion = Suspicion::new(&config(), 3, "a", Timestamp::ZERO);
        assert_eq!(
            suspicion.deadline(),
            Timestamp::from_duration(Duration::from_secs(20))
        );
    }
}
