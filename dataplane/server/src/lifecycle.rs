//! Keeps this process's entries in rings: the shell around the lifecyclers of
//! [`ring`], which decide.

mod memory;
mod ring_file;
mod tokens_file;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use gossip::{CasError, Kv};
use parking_lot::Mutex;
use proto::ring::{Desc, InstanceDesc};
use ring::{
    AutoForget, AutoForgetConfig, BasicLifecycler, Lifecycler, LifecyclerConfig, Now, State,
    Update, desc,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    ring_metrics::{Member, MemberKind},
    ring_view::unix_seconds,
};

/// Time between two writes of the file that remembers the ring.
const REMEMBER_PAUSE: Duration = Duration::from_secs(1);

/// Where an instance is registered and what is kept of it.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// Name of the ring in metrics and logs.
    pub ring: &'static str,
    /// Key of the ring in the key-value store.
    pub ring_key: String,
    /// File with the tokens; `None`: they do not outlive the process.
    pub tokens_file: Option<PathBuf>,
    /// File that remembers the ring; `None`: nobody does.
    pub ring_file: Option<PathBuf>,
    /// Whether a clean stop takes the instance out of the ring.
    pub unregisters: bool,
    /// When other members of the ring count as gone for good.
    pub auto_forget: AutoForgetConfig,
}

/// What both kinds of lifecyclers do.
pub(crate) trait Steps: Send + 'static {
    /// How metrics call what the instance does.
    const KIND: MemberKind;

    fn start(&mut self, ring: &Desc, now: Now) -> Update;
    fn poll(&mut self, ring: &Desc, now: Now) -> Update;
    fn leave(&mut self, ring: &Desc, now: Now) -> Update;
    fn unregister(&mut self, ring: &Desc, now: Now) -> Update;
    fn next_wakeup(&self) -> Option<Duration>;
    fn id(&self) -> &str;
    fn state(&self) -> State;
    fn tokens(&self) -> usize;
    fn tokens_to_own(&self) -> usize;
    fn is_read_only(&self) -> bool;
}

macro_rules! steps {
    ($lifecycler:ty, $kind:expr) => {
        impl Steps for $lifecycler {
            const KIND: MemberKind = $kind;

            fn start(&mut self, ring: &Desc, now: Now) -> Update {
                self.start(ring, now)
            }
            fn poll(&mut self, ring: &Desc, now: Now) -> Update {
                self.poll(ring, now)
            }
            fn leave(&mut self, ring: &Desc, now: Now) -> Update {
                self.leave(ring, now)
            }
            fn unregister(&mut self, ring: &Desc, now: Now) -> Update {
                self.unregister(ring, now)
            }
            fn next_wakeup(&self) -> Option<Duration> {
                self.next_wakeup()
            }
            fn id(&self) -> &str {
                &self.config().id
            }
            fn state(&self) -> State {
                self.state()
            }
            fn tokens(&self) -> usize {
                self.tokens().len()
            }
            fn tokens_to_own(&self) -> usize {
                self.config().num_tokens
            }
            fn is_read_only(&self) -> bool {
                self.is_read_only()
            }
        }
    };
}

steps!(Lifecycler, MemberKind::Full);
steps!(BasicLifecycler, MemberKind::Basic);

/// The lifecycle of one instance of this process; cheap to clone.
#[derive(Debug)]
pub(crate) struct Lifecycle<L> {
    lifecycler: Arc<Mutex<L>>,
    auto_forget: Arc<Mutex<AutoForget>>,
    registration: Arc<Registration>,
    member: Arc<Member>,
    kv: Kv,
    origin: Instant,
}

impl<L> Clone for Lifecycle<L> {
    fn clone(&self) -> Self {
        Self {
            lifecycler: Arc::clone(&self.lifecycler),
            auto_forget: Arc::clone(&self.auto_forget),
            registration: Arc::clone(&self.registration),
            member: Arc::clone(&self.member),
            kv: self.kv.clone(),
            origin: self.origin,
        }
    }
}

impl Lifecycle<Lifecycler> {
    /// Reads the tokens file and prepares the lifecycle of an instance that
    /// holds data; nothing is registered before [`Self::run`].
    ///
    /// # Errors
    ///
    /// Fails when the tokens file exists and cannot be read or is damaged.
    pub(crate) fn new(
        kv: Kv,
        config: LifecyclerConfig,
        registration: Registration,
    ) -> io::Result<Self> {
        let tokens = registration
            .tokens_file
            .as_deref()
            .map_or(Ok(Vec::new()), tokens_file::read)?;
        let lifecycler = Lifecycler::new(config, tokens, rand::random::<u32>);
        Ok(Self::of(lifecycler, kv, registration))
    }

    /// Says why the instance is not ready, if it is not.
    ///
    /// # Errors
    ///
    /// The reason, for people.
    pub(crate) fn check_ready(&self) -> Result<(), String> {
        let ring = self.ring();
        let now = self.now();
        self.lifecycler
            .lock()
            .check_ready(&ring, now)
            .map_err(|reason| reason.to_string())
    }
}

impl<L: Steps> Lifecycle<L> {
    /// Prepares a lifecycle; nothing is registered before [`Self::run`].
    pub(crate) fn of(lifecycler: L, kv: Kv, registration: Registration) -> Self {
        let auto_forget = AutoForget::new(registration.auto_forget.clone());
        let lifecycle = Self {
            lifecycler: Arc::new(Mutex::new(lifecycler)),
            auto_forget: Arc::new(Mutex::new(auto_forget)),
            member: Arc::new(Member::new(registration.ring, L::KIND)),
            registration: Arc::new(registration),
            kv,
            origin: Instant::now(),
        };
        lifecycle.observe();
        lifecycle
    }

    /// Returns what metrics say of the instance.
    pub(crate) fn member(&self) -> Arc<Member> {
        Arc::clone(&self.member)
    }

    /// Registers the instance and keeps its heartbeat until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        self.recall();
        self.step(|lifecycler, ring, now| lifecycler.start(ring, now));
        tokio::join!(self.keep_alive(&shutdown), self.remember(&shutdown));
    }

    async fn keep_alive(&self, shutdown: &CancellationToken) {
        loop {
            let wakeup = self.lifecycler.lock().next_wakeup();
            let wait = wakeup.map_or(Duration::MAX, |at| at.saturating_sub(self.origin.elapsed()));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if self.step(|lifecycler, ring, now| lifecycler.poll(ring, now)) {
                self.member.count_heartbeat();
            }
            self.forget_the_dead();
        }
    }

    /// Announces that the instance is leaving: it gets no new work but is
    /// still read.
    pub(crate) fn leave(&self) {
        self.step(|lifecycler, ring, now| lifecycler.leave(ring, now));
    }

    /// Takes the instance out of the ring for good, if it is configured so.
    pub(crate) fn unregister(&self) {
        if self.registration.unregisters {
            self.step(|lifecycler, ring, now| lifecycler.unregister(ring, now));
        }
    }

    /// Restores the members that this instance remembers, if nobody else does:
    /// see [`memory`].
    fn recall(&self) {
        let Some(file) = &self.registration.ring_file else {
            return;
        };
        let remembered = ring_file::read(file).unwrap_or_else(|error| {
            warn!(file = %file.display(), %error, "cannot read the remembered ring; doing without it");
            Desc::default()
        });
        let id = self.lifecycler.lock().id().to_owned();
        let Some(others) = memory::restore(&remembered, &self.ring(), &id) else {
            return;
        };
        let (name, members) = (self.registration.ring, others.ingesters.len());
        match self.kv.merge(&self.registration.ring_key, others) {
            Ok(_) => info!(ring = name, members, "restored the members of the ring"),
            Err(error) => warn!(ring = name, %error, "cannot restore the members of the ring"),
        }
    }

    /// Writes down who is in the ring, whenever that changes.
    async fn remember(&self, shutdown: &CancellationToken) {
        let Some(file) = &self.registration.ring_file else {
            return;
        };
        let mut changes = self.kv.watch(&self.registration.ring_key);
        let mut written = None;
        loop {
            let ring = memory::of(&changes.borrow_and_update());
            if written.as_ref() != Some(&ring) {
                match ring_file::write(file, &ring) {
                    Ok(()) => written = Some(ring),
                    Err(error) => {
                        warn!(file = %file.display(), %error, "cannot write down the ring; trying again");
                    }
                }
            }
            let next = async {
                tokio::time::sleep(REMEMBER_PAUSE).await;
                changes.changed().await
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = next => if changed.is_err() { return },
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            unix: unix_seconds(),
            monotonic: self.origin.elapsed(),
        }
    }

    /// Takes a step and does what it asks for; returns whether it published.
    fn step(&self, decide: impl FnOnce(&mut L, &Desc, Now) -> Update) -> bool {
        let ring = self.ring();
        let mut lifecycler = self.lifecycler.lock();
        let before = lifecycler.state();
        let update = decide(&mut lifecycler, &ring, self.now());
        let (id, after) = (lifecycler.id().to_owned(), lifecycler.state());
        drop(lifecycler);
        // The store edits a value in place that nobody else holds.
        drop(ring);
        if before != after {
            let ring = self.registration.ring;
            info!(ring, instance = id, from = %before, to = %after, "ring state changed");
        }
        self.observe();
        if let Some(tokens) = &update.persist {
            self.persist(tokens);
        }
        let Some(instance) = update.instance else {
            return false;
        };
        self.publish(&id, instance);
        true
    }

    fn persist(&self, tokens: &[u32]) {
        let Some(file) = &self.registration.tokens_file else {
            return;
        };
        if let Err(error) = tokens_file::write(file, tokens) {
            error!(file = %file.display(), %error, "cannot keep the tokens; a restart may choose new ones");
        }
    }

    fn publish(&self, id: &str, instance: InstanceDesc) {
        let change = Desc {
            ingesters: [(id.to_owned(), instance)].into(),
        };
        match self.kv.merge(&self.registration.ring_key, change) {
            Ok(_) | Err(CasError::NoChange { .. }) => {}
            Err(error) => {
                let ring = self.registration.ring;
                warn!(ring, %error, "cannot update the ring entry; the next heartbeat tries again");
            }
        }
    }

    /// Takes members out of the ring that are gone for good.
    fn forget_the_dead(&self) {
        if self.registration.auto_forget.period.is_zero() {
            return;
        }
        let name = self.registration.ring;
        let ring = self.ring();
        let id = self.lifecycler.lock().id().to_owned();
        let verdict = self.auto_forget.lock().due(&ring, &id, self.now());
        if verdict.held_back > 0 && self.member.held_back() == 0 {
            warn!(
                ring = name,
                members = verdict.held_back,
                "members are dead for long but not forgotten: more are unhealthy than a write quorum tolerates"
            );
        }
        self.member.set_held_back(verdict.held_back);
        if verdict.forget.is_empty() {
            return;
        }
        let tombstones = desc::tombstones(&ring, &verdict.forget, unix_seconds());
        drop(ring);
        match self.kv.merge(&self.registration.ring_key, tombstones) {
            Ok(_) => {
                warn!(ring = name, members = ?verdict.forget, "forgot members that are dead for long");
                self.member.count_forgotten(verdict.forget.len());
            }
            Err(error) => {
                warn!(ring = name, %error, "cannot forget members; the next heartbeat tries again")
            }
        }
    }

    /// Keeps what metrics say up to date.
    fn observe(&self) {
        let lifecycler = self.lifecycler.lock();
        let is_in = lifecycler.state() != State::Left;
        let count = |tokens: usize| if is_in { tokens } else { 0 };
        self.member.set(
            count(lifecycler.tokens()),
            count(lifecycler.tokens_to_own()),
            lifecycler.is_read_only(),
        );
    }

    /// Reads the ring with its tombstones: a change of this instance must be
    /// newer than its own.
    fn ring(&self) -> Arc<Desc> {
        self.kv
            .get_with_tombstones(&self.registration.ring_key)
            .unwrap_or_default()
    }
}
