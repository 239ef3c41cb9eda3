use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use proto::ring::{Desc, InstanceDesc};

use crate::entry::Entry;
use crate::readiness::Readiness;
use crate::{NotReady, State, desc, token};

/// The time of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix seconds, for the timestamps that peers compare.
    pub unix: i64,
    /// Time since any fixed moment, for timers; steps of the wall clock do not
    /// move it.
    pub monotonic: Duration,
}

/// How an instance behaves in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecyclerConfig {
    /// The name, unique in the ring and the same after a restart.
    pub id: String,
    /// host:port of the RPC server.
    pub addr: String,
    /// The availability zone; empty when there is none.
    pub zone: String,
    /// How many tokens to own.
    pub num_tokens: usize,
    /// How often to say "alive"; zero means never.
    pub heartbeat_period: Duration,
    /// How old a heartbeat may be in the readiness check; zero is any age.
    pub heartbeat_timeout: Duration,
    /// How long to watch for token conflicts before taking traffic.
    pub observe_period: Duration,
    /// How long to wait before choosing tokens.
    pub join_after: Duration,
    /// How long the conditions of readiness have to hold.
    pub min_ready_duration: Duration,
    /// How long the driver waits between flushing and leaving.
    pub final_sleep: Duration,
    /// Whether the driver calls [`Lifecycler::unregister`] at a normal stop.
    pub unregister_on_shutdown: bool,
    /// Whether readiness needs every instance of the ring to be well.
    pub readiness_check_ring_health: bool,
}

impl LifecyclerConfig {
    /// Returns the defaults of Grafana Pyroscope's ingester.
    pub fn new(id: impl Into<String>, addr: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            addr: addr.into(),
            zone: String::new(),
            num_tokens: 128,
            heartbeat_period: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(60),
            observe_period: Duration::ZERO,
            join_after: Duration::ZERO,
            min_ready_duration: Duration::from_secs(15),
            final_sleep: Duration::ZERO,
            unregister_on_shutdown: true,
            readiness_check_ring_health: true,
        }
    }
}

/// What a step asks of the driver: first `persist`, then `instance`.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Update {
    /// Tokens to write to the tokens file.
    pub persist: Option<Vec<u32>>,
    /// The new record of this instance, to merge into the ring and gossip.
    pub instance: Option<InstanceDesc>,
}

/// The life of one instance in the ring.
///
/// ```text
///            ┌─────────┐ join_after  ┌─────────┐ observe_period, no conflict
/// start ────▶│ PENDING │────────────▶│ JOINING │──────────┐
///   │        └─────────┘             └─────────┘          ▼
///   │             └── observe_period = 0 ──────────▶┌────────┐ leave  ┌─────────┐
///   └── enough tokens on file, or found in ring ───▶│ ACTIVE │───────▶│ LEAVING │
///                                                   └────────┘        └─────────┘
///                                 unregister: LEFT, from any state
/// ```
///
/// Every step gets the complete value of the ring, tombstones included, and
/// the driver merges the returned record into that same value before anyone
/// else changes it. Should a record get lost all the same, or another writer
/// remove or overwrite it, the next heartbeat publishes it again.
///
/// A change of state is dated at least one second after the record before it:
/// peers take only newer records, so two changes within a second would
/// otherwise lose the second one.
pub struct Lifecycler {
    config: LifecyclerConfig,
    random: Box<dyn FnMut() -> u32 + Send>,
    entry: Entry,
    state: State,
    tokens: Vec<u32>,
    /// What the tokens file holds.
    persisted: Vec<u32>,
    /// When PENDING or JOINING ends (monotonic).
    transition_at: Option<Duration>,
    /// When the next heartbeat is due (monotonic).
    heartbeat_at: Option<Duration>,
    readiness: Readiness,
}

impl fmt::Debug for Lifecycler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycler")
            .field("id", &self.config.id)
            .field("state", &self.state)
            .field("tokens", &self.tokens.len())
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl Lifecycler {
    /// Creates the lifecycler of an instance that is not in the ring yet.
    ///
    /// `tokens` is the content of the tokens file, empty when there is none;
    /// `random` gives the tokens to choose.
    pub fn new(
        config: LifecyclerConfig,
        mut tokens: Vec<u32>,
        random: impl FnMut() -> u32 + Send + 'static,
    ) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        Self {
            entry: Entry::new(&config.id, &config.addr, &config.zone, BTreeMap::new()),
            config,
            random: Box::new(random),
            state: State::Pending,
            persisted: tokens.clone(),
            tokens,
            transition_at: None,
            heartbeat_at: None,
            readiness: Readiness::Unmet,
        }
    }

    /// Registers the instance, or takes its entry over after a restart.
    ///
    /// An ACTIVE entry (of a crash) stays ACTIVE and a LEAVING one becomes
    /// ACTIVE again, both with their tokens; an instance that crashed while
    /// joining starts over as PENDING. Without an entry, a tokens file with
    /// enough tokens leads straight to ACTIVE.
    pub fn start(&mut self, desc: &Desc, now: Now) -> Update {
        let entry = self.entry.take_over(desc);
        if let Some(entry) = entry.filter(|entry| !entry.tokens.is_empty()) {
            self.tokens = entry.tokens.clone();
        }
        self.state = match entry.map(State::of) {
            Some(State::Leaving) => {
                self.fit_tokens(desc);
                State::Active
            }
            Some(State::Active) if !self.tokens.is_empty() => State::Active,
            None if self.tokens.len() >= self.config.num_tokens => State::Active,
            _ => State::Pending,
        };
        if self.state == State::Pending {
            self.transition_at = Some(now.monotonic.saturating_add(self.config.join_after));
        }
        self.publish(desc, now)
    }

    /// Takes the steps that are due: joining, observing, the heartbeat.
    ///
    /// Call it at [`next_wakeup`](Self::next_wakeup); at other times it does
    /// nothing.
    pub fn poll(&mut self, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() {
            return Update::default();
        }
        if self.transition_at.is_some_and(|at| now.monotonic >= at) {
            match self.state {
                State::Pending => self.join(desc, now),
                _ => self.observe(desc, now),
            }
            return self.publish(desc, now);
        }
        if self.heartbeat_at.is_some_and(|at| now.monotonic >= at) {
            return self.heartbeat(desc, now);
        }
        Update::default()
    }

    /// Announces that the instance stops: ACTIVE becomes LEAVING.
    ///
    /// The driver then flushes, polling for heartbeats meanwhile, and waits
    /// [`final_sleep`](LifecyclerConfig::final_sleep). An instance that has
    /// not joined yet stays as it is.
    pub fn leave(&mut self, desc: &Desc, now: Now) -> Update {
        self.transition_at = None;
        if !self.is_registered() || self.state != State::Active {
            return Update::default();
        }
        self.state = State::Leaving;
        self.publish(desc, now)
    }

    /// Removes the instance from the ring, for a stop with
    /// [`unregister_on_shutdown`](LifecyclerConfig::unregister_on_shutdown) or
    /// for good. The tokens file stays as it is.
    pub fn unregister(&mut self, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() {
            return Update::default();
        }
        self.state = State::Left;
        self.transition_at = None;
        self.heartbeat_at = None;
        Update {
            persist: None,
            instance: Some(self.entry.publish(desc, State::Left, &[], now)),
        }
    }

    /// Says whether the instance takes new series: tenants' shards for writing
    /// leave a read-only one out. The state outlives restarts in the ring.
    ///
    /// Before `start` and after `unregister` nothing is published.
    pub fn set_read_only(&mut self, read_only: bool, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() || !self.entry.set_read_only(read_only, now) {
            return Update::default();
        }
        self.publish(desc, now)
    }

    /// Whether the instance has said that it takes no new series.
    pub fn is_read_only(&self) -> bool {
        self.entry.is_read_only()
    }

    /// Returns when to [`poll`](Self::poll) next (monotonic); `None` when there
    /// is nothing to wait for.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let timers = [self.transition_at, self.heartbeat_at];
        timers.into_iter().flatten().min()
    }

    /// Checks whether the instance may take traffic: it owns tokens and (with
    /// [`readiness_check_ring_health`](LifecyclerConfig::readiness_check_ring_health))
    /// every instance is ACTIVE with a fresh heartbeat, for
    /// [`min_ready_duration`](LifecyclerConfig::min_ready_duration).
    ///
    /// # Errors
    /// Fails with what is missing. Once ready, it never fails again: others
    /// going down is no reason to stop serving.
    pub fn check_ready(&mut self, desc: &Desc, now: Now) -> Result<(), NotReady> {
        self.readiness.check(&self.config, desc, now)
    }

    /// Returns the state that this instance claims.
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the tokens that this instance claims, ascending.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Returns how the instance behaves.
    pub fn config(&self) -> &LifecyclerConfig {
        &self.config
    }

    fn join(&mut self, desc: &Desc, now: Now) {
        self.fit_tokens(desc);
        if self.config.observe_period.is_zero() {
            self.state = State::Active;
            self.transition_at = None;
        } else {
            self.state = State::Joining;
            self.transition_at = Some(now.monotonic.saturating_add(self.config.observe_period));
        }
    }

    /// Becomes ACTIVE if the ring still gives this instance all its tokens;
    /// otherwise replaces the lost ones and watches again.
    fn observe(&mut self, desc: &Desc, now: Now) {
        let kept = self
            .entry
            .intact(desc, self.state)
            .map(|entry| entry.tokens.clone());
        if kept.as_ref() == Some(&self.tokens) {
            self.state = State::Active;
            self.transition_at = None;
            return;
        }
        if let Some(kept) = kept {
            self.tokens = kept;
            self.fit_tokens(desc);
        }
        self.transition_at = Some(now.monotonic.saturating_add(self.config.observe_period));
    }

    /// Adds tokens that nobody owns, or drops some at random, to own as many
    /// as configured.
    fn fit_tokens(&mut self, desc: &Desc) {
        let wanted = self.config.num_tokens.min(token::MAX_TOKENS);
        while self.tokens.len() > wanted {
            let index = (self.random)() as usize % self.tokens.len();
            self.tokens.remove(index);
        }
        let mut taken: BTreeSet<u32> = desc::tokens(desc);
        taken.extend(&self.tokens);
        let missing = wanted - self.tokens.len();
        self.tokens
            .extend(token::generate(missing, &taken, &mut *self.random));
        self.tokens.sort_unstable();
    }

    /// Repeats the record with a new timestamp. The tokens are those that the
    /// ring gives this instance, so that a lost conflict stays decided; one
    /// that has lost all of them draws new ones, or it would serve nothing.
    fn heartbeat(&mut self, desc: &Desc, now: Now) -> Update {
        let Some(entry) = self.entry.intact(desc, self.state) else {
            return self.publish(desc, now);
        };
        let tokens = entry.tokens.clone();
        let observes = self.state == State::Joining && self.transition_at.is_some();
        if !observes {
            self.tokens.clone_from(&tokens);
        }
        if tokens.is_empty() && self.state == State::Active {
            self.fit_tokens(desc);
            return self.publish(desc, now);
        }
        self.schedule_heartbeat(now);
        Update {
            persist: self.tokens_to_persist(),
            instance: self.entry.heartbeat(desc, self.state, &tokens, now),
        }
    }

    /// Gives out a record that supersedes the one in the ring.
    fn publish(&mut self, desc: &Desc, now: Now) -> Update {
        let record = self.entry.publish(desc, self.state, &self.tokens, now);
        self.schedule_heartbeat(now);
        Update {
            persist: self.tokens_to_persist(),
            instance: Some(record),
        }
    }

    fn is_registered(&self) -> bool {
        self.entry.is_published() && self.state != State::Left
    }

    fn schedule_heartbeat(&mut self, now: Now) {
        let period = self.config.heartbeat_period;
        self.heartbeat_at = (!period.is_zero()).then(|| now.monotonic.saturating_add(period));
    }

    fn tokens_to_persist(&mut self) -> Option<Vec<u32>> {
        if self.tokens == self.persisted {
            return None;
        }
        self.persisted.clone_from(&self.tokens);
        Some(self.tokens.clone())
    }
}
