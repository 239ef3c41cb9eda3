//! The database: opening, pushing, reading and closing it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use profile::{Labels, ProfileType, Selector};
use prometheus_client::registry::Registry;
use proto::reader::v1::{MergeRequest, MergeResponse, SelectRequest, SelectResponse};

use crate::block::{self, BlockError, Description, Meta};
use crate::budget::{Budget, Full};
use crate::digest::DigestKey;
use crate::finishing::Finishing;
use crate::head::cost;
use crate::ingest::{self, Logged};
use crate::metrics::{HeadMetrics, WalMetrics};
use crate::push::{IncomingProfile, PushError, PushLimits};
use crate::query::{self, Listing, QueryError, TenantStats, TimeRange};
use crate::report::ReplayReport;
use crate::tenant::Tenant;
use crate::wal::{self, Applied, Disk, LogError, OpenError, Os, Record, Wal};

/// How a database is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// A log segment is ended before it grows beyond this many bytes, unless a
    /// single write is longer.
    pub segment_bytes: u64,
    /// Budget of the head, by its own estimate, in bytes. Beyond it pushes are
    /// refused; replay is not, for what was acknowledged must be there.
    pub max_head_bytes: u64,
    /// Most pushes that wait for the log to take them; others wait to wait.
    pub queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_head_bytes: 2 << 30,
            queue: 1024,
        }
    }
}

/// Beyond this the 32-bit ids of the head might not suffice.
const MAX_HEAD_BYTES: u64 = 64 << 30;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another handle of this one, has the directory open.
    #[error("{path} is locked: another process uses this directory", path = .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Log(LogError),
    /// The log was written by a newer version.
    #[error("{0}")]
    Version(String),
}

/// Profiles of all tenants of an ingester. Clones are handles of the same
/// database.
#[derive(Clone)]
pub struct Database {
    engine: Arc<Engine>,
}

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) wal: Wal,
    pub(crate) budget: Arc<Budget>,
    pub(crate) head_metrics: HeadMetrics,
    /// Under which stacks are hashed.
    pub(crate) key: Arc<DigestKey>,
    tenants: Tenants,
    closed: AtomicBool,
    /// Start of the clock of active series.
    opened: Instant,
}

#[derive(Debug, Default)]
struct Tenants {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<Tenant>>>,
}

impl Database {
    /// Opens the database in a directory, which is made if there is none, and
    /// replays its log. Blocks while it does.
    ///
    /// # Errors
    /// The directory is in use, cannot be read or written, or was written by a
    /// newer version. A damaged log is no error but is in the report.
    pub fn open(
        directory: impl AsRef<Path>,
        options: Options,
        registry: &mut Registry,
    ) -> Result<(Self, ReplayReport), StoreError> {
        Self::open_on(Os, directory, options, registry)
    }

    /// Opens the database on a disk of its own kind: see [`open`](Self::open).
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn open_on(
        disk: impl Disk,
        directory: impl AsRef<Path>,
        options: Options,
        registry: &mut Registry,
    ) -> Result<(Self, ReplayReport), StoreError> {
        let head_metrics = HeadMetrics::register(registry);
        let wal_metrics = WalMetrics::register(registry);
        let directory = directory.as_ref();
        let tenants = Tenants::default();
        let key = DigestKey::new(rand::random());
        let budget = Budget::new(options.max_head_bytes.min(MAX_HEAD_BYTES));
        let opened = Instant::now();
        let log = wal::Options {
            segment_bytes: options.segment_bytes,
            queue: options.queue,
        };
        let decode = |record: &Record<'_>| {
            let logged = ingest::from_record(record, key.get());
            logged.map(|new| (Box::<str>::from(record.tenant), new))
        };
        let apply =
            |(tenant, new): (Box<str>, Logged)| tenants.apply(&tenant, new, &budget, &head_metrics);
        let (wal, report) = Wal::open(disk, directory, log, wal_metrics, decode, apply)?;
        let engine = Engine {
            wal,
            budget,
            head_metrics,
            key: Arc::new(key),
            tenants,
            closed: AtomicBool::new(false),
            opened,
        };
        Ok((
            Self {
                engine: Arc::new(engine),
            },
            report,
        ))
    }

    /// Stores profiles. `Ok` means that all of them are on stable storage and
    /// visible to reads; one that was stored before counts as stored. Dropping
    /// the future does not undo the push.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Lists the profiles that were not stored, and why; the others were.
    pub async fn push(
        &self,
        tenant: &str,
        profiles: Vec<IncomingProfile>,
        limits: PushLimits,
    ) -> Result<(), PushError> {
        let push = ingest::push(self.engine.clone(), tenant.into(), profiles.into(), limits);
        Finishing::new(push).await
    }

    /// Returns the key under which stacks are hashed: a [`Digest`](crate::Digest)
    /// under it saves the database work.
    pub fn digest_key(&self) -> Arc<DigestKey> {
        Arc::clone(&self.engine.key)
    }

    /// Lists the profile types that have profiles within a range, sorted.
    pub fn profile_types(&self, tenant: &str, range: TimeRange) -> Vec<ProfileType> {
        self.read(tenant, |tenant| {
            Listing::new(&tenant.head, &[], range).profile_types()
        })
    }

    /// Lists the names of labels of series that match any of `matchers`, or of
    /// all if there are none, sorted. Names that are not made of letters, digits
    /// and underscores are left out.
    pub fn label_names(
        &self,
        tenant: &str,
        matchers: &[Selector],
        range: TimeRange,
    ) -> Vec<String> {
        self.read(tenant, |tenant| {
            Listing::new(&tenant.head, matchers, range).label_names()
        })
    }

    /// Lists the values of a label over the series that match any of
    /// `matchers`, or over all if there are none, sorted.
    pub fn label_values(
        &self,
        tenant: &str,
        name: &str,
        matchers: &[Selector],
        range: TimeRange,
    ) -> Vec<String> {
        self.read(tenant, |tenant| {
            Listing::new(&tenant.head, matchers, range).label_values(name)
        })
    }

    /// Lists the series, one per sample type, that match any of `matchers`, or
    /// all if there are none, sorted. A series with a label that
    /// [`label_names`](Self::label_names) leaves out is left out itself.
    pub fn series(&self, tenant: &str, matchers: &[Selector], range: TimeRange) -> Vec<Labels> {
        self.read(tenant, |tenant| {
            Listing::new(&tenant.head, matchers, range).series()
        })
    }

    /// Names the profiles that a query is about.
    ///
    /// # Errors
    /// The request does not parse.
    pub fn select(
        &self,
        tenant: &str,
        request: &SelectRequest,
    ) -> Result<SelectResponse, QueryError> {
        query::select(self.engine.tenants.get(tenant).as_deref(), request)
    }

    /// Merges those profiles of a selection whose keys are given. A pprof comes
    /// without time, duration and period, which only the caller knows.
    ///
    /// # Errors
    /// The request does not parse.
    pub fn merge(&self, tenant: &str, request: &MergeRequest) -> Result<MergeResponse, QueryError> {
        query::merge(self.engine.tenants.get(tenant).as_deref(), request)
    }

    /// Writes the profiles of a tenant within a range as a block in a directory of
    /// its name under `root`. They stay in the head; what is pushed meanwhile is not
    /// part of the block. Blocks while it writes.
    ///
    /// # Errors
    /// There are none, or they cannot be written.
    pub fn write_block(
        &self,
        range: TimeRange,
        root: &Path,
        description: Description,
    ) -> Result<Meta, BlockError> {
        let tenant = self.engine.tenants.get(&description.tenant);
        match tenant {
            Some(tenant) => block::cut(&tenant.head, range, root, description),
            None => Err(BlockError::empty(&description)),
        }
    }

    /// Tells how much a tenant has.
    pub fn stats(&self, tenant: &str) -> TenantStats {
        self.read(tenant, |tenant| query::stats(&tenant.head))
    }

    /// Lists the tenants that have profiles, sorted.
    pub fn tenants(&self) -> Vec<String> {
        let tenants = self.engine.tenants.by_name.read();
        let with_profiles = tenants
            .iter()
            .filter(|(_, tenant)| tenant.head.profiles() > 0);
        with_profiles.map(|(name, _)| name.to_string()).collect()
    }

    /// Estimated size of the head in bytes.
    pub fn head_bytes(&self) -> u64 {
        self.engine.budget.used()
    }

    /// Refuses further pushes, finishes those under way, and releases the
    /// directory. Reads go on.
    pub async fn shutdown(&self) {
        let engine = self.engine.clone();
        engine.closed.store(true, Ordering::Release);
        if let Err(error) = tokio::task::spawn_blocking(move || engine.wal.close()).await {
            tracing::error!(error = %error, "log not closed");
        }
    }

    fn read<T: Default>(&self, tenant: &str, read: impl FnOnce(&Tenant) -> T) -> T {
        self.engine
            .tenants
            .get(tenant)
            .map(|tenant| read(&tenant))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.head_bytes();
        f.debug_struct("Database")
            .field("head_bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Milliseconds on the clock of active series.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns a tenant.
    pub(crate) fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// Returns a tenant, which is made if there is none and there is room: names
    /// of tenants come from outside.
    pub(crate) fn tenant_or_new(&self, name: &str) -> Result<Arc<Tenant>, Full> {
        if let Some(tenant) = self.tenants.get(name) {
            return Ok(tenant);
        }
        let room = self.budget.reserve(cost::TENANT)?;
        let key = self.key.get();
        let (tenant, is_new) = self.tenants.get_or_new(name, key, &self.head_metrics);
        if is_new {
            room.settle(cost::TENANT);
        }
        Ok(tenant)
    }

    /// Counts a profile that was stored, and the series that came with it.
    pub(crate) fn count(&self, new_series: usize) {
        count(&self.head_metrics, &self.budget, new_series);
    }
}

impl Tenants {
    fn get(&self, name: &str) -> Option<Arc<Tenant>> {
        self.by_name.read().get(name).cloned()
    }

    /// Returns a tenant, and whether it is new.
    fn get_or_new(&self, name: &str, key: u64, metrics: &HeadMetrics) -> (Arc<Tenant>, bool) {
        let mut tenants = self.by_name.write();
        if let Some(tenant) = tenants.get(name) {
            return (tenant.clone(), false);
        }
        let tenant = Arc::new(Tenant::new(key));
        tenants.insert(Arc::from(name), tenant.clone());
        metrics.tenants.set(tenants.len() as i64);
        (tenant, true)
    }

    /// Puts a profile of the log into the head. There is room for it, whatever
    /// the budget: it was acknowledged.
    fn apply(
        &self,
        tenant: &str,
        logged: Logged,
        budget: &Budget,
        metrics: &HeadMetrics,
    ) -> Applied {
        let Logged {
            place,
            digest,
            view,
        } = logged;
        let (tenant, is_new) = self.get_or_new(tenant, digest.key(), metrics);
        if is_new {
            budget.spend(cost::TENANT);
        }
        if tenant.head.contains(&place.labels, &place.id) {
            return Applied::Duplicate;
        }
        let new = tenant.head.intern(&view, &digest);
        budget.spend(new.symbol_bytes);
        let Some(added) = tenant.head.insert(&place, new) else {
            return Applied::Duplicate;
        };
        let mut admission = tenant.admission.lock();
        for series in &place.series {
            admission.active.touch(&series.labels, 0);
        }
        budget.spend(added.bytes);
        count(metrics, budget, added.series);
        Applied::New
    }
}

fn count(metrics: &HeadMetrics, budget: &Budget, new_series: usize) {
    metrics.profiles.inc();
    metrics.series.inc_by(new_series as i64);
    metrics
        .bytes
        .set(i64::try_from(budget.used()).unwrap_or(i64::MAX));
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Log(error) => Self::Log(error),
            OpenError::Locked(path) => Self::Locked { path },
            version @ OpenError::Version { .. } => Self::Version(version.to_string()),
        }
    }
}
