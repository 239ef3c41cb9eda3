//! Joining: how a node finds the others, at the start and later.
//!
//! 1. The *fast join* at the start asks a few seeds, so that the ring is known
//!    before components need it.
//! 2. The *full join* asks every seed, in rounds, until one answers.
//! 3. The *rejoin* does so now and then, which heals a cluster that has split.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::discovery::{Discovery, Seed};
use crate::driver::Streams;
use crate::{Config, GossipError};

/// Longest fast join: the start of the process waits for it.
const FAST_JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest pause between lookups of the fast join.
const FAST_JOIN_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Seeds asked before their names are looked up again.
const BATCH: usize = 100;

/// Joins the cluster.
#[derive(Debug)]
pub(crate) struct Joiner {
    streams: Streams,
    discovery: Discovery,
    settings: Settings,
    /// This node's own address: reaching it is no join.
    local: SocketAddr,
    random: StdRng,
    outcome: watch::Sender<Outcome>,
}

/// How joining stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No seed has answered yet.
    Trying,
    /// A seed has answered, or there are none to ask.
    Joined,
    /// The full join gave up.
    Failed,
}

/// How to join, with the seeds understood.
#[derive(Debug)]
pub(crate) struct Settings {
    seeds: Vec<Seed>,
    rejoin_seeds: Vec<Seed>,
    rejoin_interval: Duration,
    min_backoff: Duration,
    max_backoff: Duration,
    max_retries: u32,
    must_fast_join: Option<usize>,
    retransmit_factor: u32,
}

impl Settings {
    /// Fails when a seed cannot be understood.
    pub(crate) fn parse(config: &Config) -> Result<Self, GossipError> {
        let parse = |seeds: &[String]| -> Result<Vec<Seed>, GossipError> {
            seeds
                .iter()
                .map(|seed| Seed::parse(seed, config.default_port))
                .collect()
        };
        Ok(Self {
            seeds: parse(&config.join)?,
            rejoin_seeds: parse(config.rejoin_seeds())?,
            rejoin_interval: config.rejoin_interval,
            min_backoff: config.min_join_backoff,
            max_backoff: config.max_join_backoff,
            max_retries: config.max_join_retries.max(1),
            must_fast_join: config
                .abort_if_fast_join_fails
                .then_some(config.abort_if_fast_join_fails_min_nodes),
            retransmit_factor: config.retransmit_factor,
        })
    }
}

impl Joiner {
    pub(crate) fn new(
        settings: Settings,
        streams: Streams,
        local: SocketAddr,
        seed: u64,
        outcome: watch::Sender<Outcome>,
    ) -> Self {
        Self {
            streams,
            discovery: Discovery::new(),
            settings,
            local,
            random: StdRng::seed_from_u64(seed),
            outcome,
        }
    }

    /// Asks a few seeds. Too few answers are an error only if the settings
    /// say so.
    pub(crate) async fn fast_join(&mut self) -> Result<(), GossipError> {
        if self.settings.seeds.is_empty() {
            self.outcome.send_replace(Outcome::Joined);
            return Ok(());
        }
        let mut joined = 0;
        if timeout(FAST_JOIN_TIMEOUT, self.ask_few(&mut joined))
            .await
            .is_err()
        {
            tracing::warn!(joined, "fast join took too long");
        }
        match self.settings.must_fast_join {
            Some(required) if joined < required => Err(GossipError::Join { joined, required }),
            _ => Ok(()),
        }
    }

    /// Joins in rounds, then rejoins for ever.
    pub(crate) async fn run(mut self) {
        if !self.settings.seeds.is_empty() {
            self.full_join().await;
        }
        self.rejoin().await;
    }

    async fn ask_few(&mut self, joined: &mut usize) {
        let mut found = self.resolve(false).await;
        if self.settings.must_fast_join.is_some() {
            let mut backoff = Backoff::new(FAST_JOIN_PAUSES.0, FAST_JOIN_PAUSES.1);
            while found.is_empty() {
                sleep(backoff.next()).await;
                found = self.resolve(false).await;
            }
        }
        let mut addresses: Vec<SocketAddr> = found.into_iter().collect();
        addresses.shuffle(&mut self.random);
        let wanted = fan_out(self.settings.retransmit_factor, addresses.len());
        for address in addresses {
            if *joined >= wanted {
                break;
            }
            *joined += usize::from(self.ask(address).await);
        }
        tracing::info!(joined = *joined, wanted, "fast join finished");
    }

    async fn full_join(&mut self) {
        let mut backoff = Backoff::new(self.settings.min_backoff, self.settings.max_backoff);
        let mut alone = false;
        for round in 1..=self.settings.max_retries {
            let asked = self.ask_all(false).await;
            if asked.joined > 0 {
                tracing::info!(joined = asked.joined, round, "joined the gossip cluster");
                return;
            }
            alone = asked.alone;
            if round < self.settings.max_retries {
                let pause = backoff.next();
                tracing::info!(round, ?pause, "no seed has answered yet");
                sleep(pause).await;
            }
        }
        if *self.outcome.borrow() == Outcome::Joined {
            return;
        }
        if alone {
            // The seeds name this node and nobody else: it is the first.
            self.outcome.send_replace(Outcome::Joined);
        } else {
            tracing::error!("gave up joining the gossip cluster");
            self.outcome.send_replace(Outcome::Failed);
        }
    }

    async fn rejoin(&mut self) {
        let period = self.settings.rejoin_interval;
        if period.is_zero() || self.settings.rejoin_seeds.is_empty() {
            return;
        }
        // Processes that started together do not rejoin together.
        sleep(self.random.random_range(Duration::ZERO..=period)).await;
        loop {
            let asked = self.ask_all(true).await;
            tracing::debug!(joined = asked.joined, "rejoined the gossip cluster");
            sleep(period).await;
        }
    }

    /// Asks every seed once, looking names up again between batches.
    async fn ask_all(&mut self, rejoin: bool) -> Asked {
        let mut asked = Asked::default();
        let mut known = BTreeSet::new();
        loop {
            let found = self.resolve(rejoin).await;
            let batch: Vec<SocketAddr> = found.difference(&known).copied().take(BATCH).collect();
            for address in &batch {
                known.insert(*address);
                asked.joined += usize::from(self.ask(*address).await);
            }
            if batch.len() < BATCH {
                asked.alone = !known.is_empty() && known.iter().all(|known| *known == self.local);
                return asked;
            }
        }
    }

    async fn resolve(&self, rejoin: bool) -> BTreeSet<SocketAddr> {
        let seeds = if rejoin {
            &self.settings.rejoin_seeds
        } else {
            &self.settings.seeds
        };
        self.discovery.resolve(seeds).await
    }

    /// Returns whether another node answered.
    async fn ask(&self, address: SocketAddr) -> bool {
        if address == self.local {
            return false;
        }
        match self.streams.push_pull(address, true).await {
            Ok(()) => {
                self.outcome.send_replace(Outcome::Joined);
                true
            }
            Err(error) => {
                tracing::info!(seed = %address, %error, "cannot join a seed");
                false
            }
        }
    }
}

/// What a round of asking came to.
#[derive(Debug, Default)]
struct Asked {
    joined: usize,
    /// Every address found was this node's own.
    alone: bool,
}

/// How many nodes one message is gossiped to, and so how many seeds to ask.
fn fan_out(factor: u32, nodes: usize) -> usize {
    let digits = ((nodes + 1) as f64).log10().ceil();
    factor as usize * digits as usize
}

/// Doubling pauses.
#[derive(Debug)]
struct Backoff {
    pause: Duration,
    max: Duration,
}

impl Backoff {
    fn new(min: Duration, max: Duration) -> Self {
        Self { pause: min, max }
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause.min(self.max);
        self.pause = pause.saturating_mul(2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_are_asked_all_and_many_as_gossip_would() {
        assert_eq!(fan_out(4, 1), 4);
        assert_eq!(fan_out(4, 9), 4);
        assert_eq!(fan_out(4, 99), 8);
        assert_eq!(fan_out(4, 100), 12);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        let pauses: Vec<u64> = (0..4).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 3, 3]);
    }
}
