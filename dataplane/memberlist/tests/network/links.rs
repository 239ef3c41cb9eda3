//! What the network does to what is sent.

use std::fmt;
use std::time::Duration;

use super::random::Random;

/// How badly the network treats what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// Share of packets and streams that are lost, in percent.
    pub(crate) loss: u64,
    /// Share of packets that arrive twice, in percent.
    pub(crate) duplication: u64,
    /// Longest time on the way. Every packet takes its own, so they overtake each other.
    pub(crate) delay: Duration,
}

impl Conditions {
    pub(crate) const GOOD: Self = Self {
        loss: 0,
        duplication: 0,
        delay: Duration::from_millis(5),
    };
    pub(crate) const BAD: Self = Self {
        loss: 10,
        duplication: 5,
        delay: Duration::from_millis(300),
    };
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            loss,
            duplication,
            delay,
        } = self;
        write!(
            f,
            "{loss} % lost, {duplication} % doubled, up to {delay:?} late"
        )
    }
}

/// The ways from every host to every other.
pub(crate) struct Links {
    pub(crate) conditions: Conditions,
    hosts: usize,
    /// How many cuts lie on the way from one host to another.
    cuts: Vec<u8>,
    /// What a host's own line adds to every delay.
    slowness: Vec<Duration>,
}

impl Links {
    pub(crate) fn new(hosts: usize, conditions: Conditions) -> Self {
        Self {
            conditions,
            hosts,
            cuts: vec![0; hosts * hosts],
            slowness: vec![Duration::ZERO; hosts],
        }
    }

    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        self.cuts[from * self.hosts + to] == 0
    }

    /// Cuts the one-way links, on top of other cuts.
    pub(crate) fn cut(&mut self, links: &[(usize, usize)]) {
        for &(from, to) in links {
            self.cuts[from * self.hosts + to] += 1;
        }
    }

    /// Takes one cut off each of the links.
    pub(crate) fn mend(&mut self, links: &[(usize, usize)]) {
        for &(from, to) in links {
            let cuts = &mut self.cuts[from * self.hosts + to];
            *cuts = cuts.saturating_sub(1);
        }
    }

    pub(crate) fn slow_down(&mut self, host: usize, by: Duration) {
        self.slowness[host] = by;
    }

    /// Mends everything; what is sent from now on is treated as `conditions` say.
    pub(crate) fn heal(&mut self, conditions: Conditions) {
        self.cuts.fill(0);
        self.slowness.fill(Duration::ZERO);
        self.conditions = conditions;
    }

    /// Decides how long one copy is on its way; `None` if it does not arrive.
    pub(crate) fn carry(&self, from: usize, to: usize, random: &mut Random) -> Option<Duration> {
        if !self.reaches(from, to) || random.percent(self.conditions.loss) {
            return None;
        }
        let longest = self.conditions.delay + self.slowness[from] + self.slowness[to];
        Some(Duration::from_nanos(
            random.below(longest.as_nanos() as u64),
        ))
    }
}
