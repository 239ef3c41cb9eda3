//! Keeps this instance's entry in the ring: the shell around
//! [`ring::Lifecycler`], which decides.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use gossip::{CasError, Kv};
use parking_lot::Mutex;
use proto::ring::{Desc, InstanceDesc};
use ring::{Lifecycler, LifecyclerConfig, Now, Update, token};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::ring_view::unix_seconds;

/// Where the instance is registered and where its tokens are kept.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// Key of the ring in the key-value store.
    pub ring_key: String,
    /// File with the tokens; `None`: they do not outlive the process.
    pub tokens_file: Option<PathBuf>,
}

/// The lifecycle of this process's ingester; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    lifecycler: Arc<Mutex<Lifecycler>>,
    registration: Arc<Registration>,
    kv: Kv,
    origin: Instant,
}

impl Lifecycle {
    /// Reads the tokens file and prepares the lifecycle; nothing is registered
    /// before [`Self::run`].
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
            .map_or(Ok(Vec::new()), read_tokens)?;
        let lifecycler = Lifecycler::new(config, tokens, rand::random::<u32>);
        Ok(Self {
            lifecycler: Arc::new(Mutex::new(lifecycler)),
            registration: Arc::new(registration),
            kv,
            origin: Instant::now(),
        })
    }

    /// Registers the instance and keeps its heartbeat until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.kv.watch(&self.registration.ring_key);
        self.step(|lifecycler, ring, now| lifecycler.start(ring, now));
        loop {
            let wakeup = self.lifecycler.lock().next_wakeup();
            let wait = wakeup.map_or(Duration::MAX, |at| at.saturating_sub(self.origin.elapsed()));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                changed = changes.changed() => {
                    if changed.is_err() { return }
                    changes.borrow_and_update();
                }
            }
            self.step(|lifecycler, ring, now| lifecycler.poll(ring, now));
        }
    }

    /// Announces that the instance is leaving: it gets no new writes but is
    /// still read.
    pub(crate) fn leave(&self) {
        self.step(|lifecycler, ring, now| lifecycler.leave(ring, now));
    }

    /// Takes the instance out of the ring for good, if it is configured so.
    pub(crate) fn unregister(&self) {
        let unregisters = self.lifecycler.lock().config().unregister_on_shutdown;
        if unregisters {
            self.step(|lifecycler, ring, now| lifecycler.unregister(ring, now));
        }
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

    fn now(&self) -> Now {
        Now {
            unix: unix_seconds(),
            monotonic: self.origin.elapsed(),
        }
    }

    fn step(&self, decide: impl FnOnce(&mut Lifecycler, &Desc, Now) -> Update) {
        let ring = self.ring();
        let mut lifecycler = self.lifecycler.lock();
        let before = lifecycler.state();
        let update = decide(&mut lifecycler, &ring, self.now());
        let (id, after) = (lifecycler.config().id.clone(), lifecycler.state());
        drop(lifecycler);
        if before != after {
            info!(instance = id, from = %before, to = %after, "ring state changed");
        }
        if let Some(tokens) = &update.persist {
            self.persist(tokens);
        }
        if let Some(instance) = update.instance {
            self.publish(&id, instance);
        }
    }

    fn persist(&self, tokens: &[u32]) {
        let Some(file) = &self.registration.tokens_file else {
            return;
        };
        if let Err(error) = write_tokens(file, tokens) {
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
                warn!(%error, "cannot update the ring entry; the next heartbeat tries again");
            }
        }
    }

    /// Reads the ring with its tombstones: a change of this instance must be
    /// newer than its own.
    fn ring(&self) -> Arc<Desc> {
        self.kv
            .get_with_tombstones(&self.registration.ring_key)
            .unwrap_or_default()
    }
}

fn read_tokens(file: &Path) -> io::Result<Vec<u32>> {
    match std::fs::read(file) {
        Ok(content) => token::parse_file(&content).map_err(|error| {
            let text = format!(
                "tokens file {}: {error}; repair or remove it",
                file.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("tokens file {}: {error}", file.display()),
        )),
    }
}

/// Replaces the file as a whole, so that a crash leaves the old or the new one.
fn write_tokens(file: &Path, tokens: &[u32]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("tmp");
    let mut out = std::fs::File::create(&fresh)?;
    io::Write::write_all(&mut out, token::render_file(tokens).as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&fresh, file)
}
