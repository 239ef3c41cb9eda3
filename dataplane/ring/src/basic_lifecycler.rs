use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use proto::ring::Desc;

use crate::entry::Entry;
use crate::{Now, State, Update, desc, token};

/// How an instance of a basic ring behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicLifecyclerConfig {
    /// The name, unique in the ring.
    pub id: String,
    /// host:port of the RPC server.
    pub addr: String,
    /// The availability zone; empty when there is none.
    pub zone: String,
    /// How many tokens to own.
    pub num_tokens: usize,
    /// How often to say "alive"; zero means never.
    pub heartbeat_period: Duration,
    /// Versions of what the instance runs, by component.
    pub versions: BTreeMap<u64, u64>,
}

impl BasicLifecyclerConfig {
    /// Returns the defaults of Grafana Pyroscope's distributor.
    pub fn new(id: impl Into<String>, addr: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            addr: addr.into(),
            zone: String::new(),
            num_tokens: 1,
            heartbeat_period: Duration::from_secs(15),
            versions: BTreeMap::new(),
        }
    }
}

/// The life of an instance in a ring that counts members or shares work but
/// holds no data: distributors, compactors.
///
/// ```text
/// start ──▶ ACTIVE ── leave ──▶ LEAVING ── unregister ──▶ LEFT
/// ```
///
/// It differs from [`Lifecycler`](crate::Lifecycler) in that it is ACTIVE at
/// once, whatever state a crash left behind, keeps the tokens that it finds and
/// only adds missing ones. The contract with the driver is the same.
pub struct BasicLifecycler {
    config: BasicLifecyclerConfig,
    random: Box<dyn FnMut() -> u32 + Send>,
    entry: Entry,
    state: State,
    tokens: Vec<u32>,
    /// When the next heartbeat is due (monotonic).
    heartbeat_at: Option<Duration>,
}

impl fmt::Debug for BasicLifecycler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicLifecycler")
            .field("id", &self.config.id)
            .field("state", &self.state)
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

impl BasicLifecycler {
    /// Creates the lifecycler of an instance that is not in the ring yet;
    /// `random` gives the tokens to choose.
    pub fn new(
        config: BasicLifecyclerConfig,
        random: impl FnMut() -> u32 + Send + 'static,
    ) -> Self {
        Self {
            entry: Entry::new(
                &config.id,
                &config.addr,
                &config.zone,
                config.versions.clone(),
            ),
            config,
            random: Box::new(random),
            state: State::Pending,
            tokens: Vec::new(),
            heartbeat_at: None,
        }
    }

    /// Registers the instance as ACTIVE, with the tokens of the entry that an
    /// earlier process left behind.
    pub fn start(&mut self, desc: &Desc, now: Now) -> Update {
        if let Some(entry) = self.entry.take_over(desc) {
            self.tokens.clone_from(&entry.tokens);
        }
        self.state = State::Active;
        self.add_tokens(desc);
        self.publish(desc, now)
    }

    /// Sends the heartbeat when it is due; call it at
    /// [`next_wakeup`](Self::next_wakeup).
    pub fn poll(&mut self, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() || self.heartbeat_at.is_none_or(|at| now.monotonic < at) {
            return Update::default();
        }
        let tokens = match self.entry.intact(desc, self.state) {
            Some(entry) => entry.tokens.clone(),
            None => return self.publish(desc, now),
        };
        self.tokens = tokens;
        if self.tokens.is_empty() {
            self.add_tokens(desc);
            return self.publish(desc, now);
        }
        self.schedule_heartbeat(now);
        let instance = self.entry.heartbeat(desc, self.state, &self.tokens, now);
        Update {
            persist: None,
            instance,
        }
    }

    /// Announces that the instance stops: ACTIVE becomes LEAVING.
    pub fn leave(&mut self, desc: &Desc, now: Now) -> Update {
        if self.state != State::Active {
            return Update::default();
        }
        self.state = State::Leaving;
        self.publish(desc, now)
    }

    /// Removes the instance from the ring.
    pub fn unregister(&mut self, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() {
            return Update::default();
        }
        self.state = State::Left;
        self.heartbeat_at = None;
        Update {
            persist: None,
            instance: Some(self.entry.publish(desc, State::Left, &[], now)),
        }
    }

    /// Says whether the instance takes new work.
    pub fn set_read_only(&mut self, read_only: bool, desc: &Desc, now: Now) -> Update {
        if !self.is_registered() || !self.entry.set_read_only(read_only, now) {
            return Update::default();
        }
        self.publish(desc, now)
    }

    /// Whether the instance has said that it takes no new work.
    pub fn is_read_only(&self) -> bool {
        self.entry.is_read_only()
    }

    /// Returns when to [`poll`](Self::poll) next (monotonic); `None` when there
    /// is nothing to wait for.
    pub fn next_wakeup(&self) -> Option<Duration> {
        self.heartbeat_at
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
    pub fn config(&self) -> &BasicLifecyclerConfig {
        &self.config
    }

    fn is_registered(&self) -> bool {
        self.entry.is_published() && self.state != State::Left
    }

    fn add_tokens(&mut self, desc: &Desc) {
        let missing = self.config.num_tokens.saturating_sub(self.tokens.len());
        let mut taken: BTreeSet<u32> = desc::tokens(desc);
        taken.extend(&self.tokens);
        self.tokens
            .extend(token::generate(missing, &taken, &mut *self.random));
        self.tokens.sort_unstable();
    }

    fn publish(&mut self, desc: &Desc, now: Now) -> Update {
        self.schedule_heartbeat(now);
        let record = self.entry.publish(desc, self.state, &self.tokens, now);
        Update {
            persist: None,
            instance: Some(record),
        }
    }

    fn schedule_heartbeat(&mut self, now: Now) {
        let period = self.config.heartbeat_period;
        self.heartbeat_at = (!period.is_zero()).then(|| now.monotonic.saturating_add(period));
    }
}
