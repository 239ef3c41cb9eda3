//! One process of the data plane: builds the components that its targets need,
//! in the order in which they depend on each other, and stops them in reverse.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use axum::Router;
use contract::{
    Config,
    config::{Storage, Target},
};
use gossip::{Dialect, Gossip, Listeners};
use prometheus_client::registry::Registry;
use ring::{BasicLifecycler, Lifecycler};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    admission::{Admission, AdmissionMetrics, Bounds},
    clients::Clients,
    distributor::{Distributor, Ingesters, Replicator},
    health::Health,
    http,
    ingester::Ingester,
    lifecycle::Lifecycle,
    overrides::{Files, Overrides},
    pages::{Check, Pages},
    querier::{Querier, Readers},
    request_metrics::RequestMetrics,
    ring_metrics::{Member, RingMetrics, ShutdownDuration},
    ring_view::{RingView, RingWatcher},
    rpc::{Rpc, Tenancy, not_found},
    settings,
};

/// Longest time that any request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that one ingester may take for its part of a query.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest query, in bytes.
const MAX_QUERY_BYTES: usize = 1 << 20;

/// Names of the rings in metrics and logs.
const INGESTER_RING: &str = "ingester";
const DISTRIBUTOR_RING: &str = "distributor";

/// Runs the process until `shutdown`.
///
/// # Errors
///
/// Fails when something the process needs cannot be had: its ports, its data
/// folder, its place in the ring.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<()> {
    let config = Arc::new(config);
    let mut registry = Registry::default();
    let http_listener = bind(&settings::http_address(&config), "HTTP").await?;
    let http_addr = http_listener.local_addr()?;
    let shared = Shared::start(&config, &mut registry).await?;
    let rpc = Rpc::new(
        Tenancy::new(config.multitenancy_enabled),
        settings::max_body_bytes(&config),
    );
    let parts = Parts::build(&config, &rpc, &shared, http_addr, &mut registry).await?;
    let requests = RequestMetrics::register(&mut registry);
    let rings = parts.rings();
    let metrics = RingMetrics::new(rings.clone(), parts.members());
    registry.register_collector(Box::new(metrics));
    let shutdown_duration = ShutdownDuration::register(&mut registry);
    let pages = Pages::new(
        Arc::clone(&config),
        registry,
        Arc::clone(&shared.gossip),
        rings,
        parts.checks(),
    );
    let runtime_pages = if config.runtime_config.file.is_empty() {
        Router::new()
    } else {
        shared.overrides.routes(&config, &rpc)
    };
    let health = Health::new(parts.services());
    let router = parts
        .routes
        .clone()
        .merge(health.routes(&rpc))
        .merge(runtime_pages)
        .merge(pages.routes())
        .fallback(not_found);
    let router = requests.observe(router);

    let serving = CancellationToken::new();
    let server = tokio::spawn(http::serve(
        http_listener,
        router,
        settings::http_limits(&config),
        serving.clone(),
    ));
    let lifecycle = CancellationToken::new();
    parts.register(&shared.tasks, &lifecycle);
    info!(
        targets = %config.target,
        http = %http_addr,
        gossip = %shared.gossip_addr,
        member = shared.gossip.local_name(),
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );
    if config.storage.backend != Storage::default().backend {
        warn!(
            backend = config.storage.backend,
            "the bucket is not used yet: profiles stay with the ingesters"
        );
    }

    let failure = tokio::select! {
        () = shutdown.cancelled() => None,
        failure = shared.gossip.failed() => Some(failure),
    };
    pages.stopping();
    health.stopping();
    parts.leave();
    tokio::time::sleep(config.shutdown_delay.get()).await;
    let stopping = Instant::now();
    serving.cancel();
    server.await.context("the HTTP server ended early")?;
    parts
        .flush(config.server.graceful_shutdown_timeout.get())
        .await;
    shutdown_duration.observe_flush(stopping.elapsed());
    parts.finish(&config, lifecycle).await;
    shared.stop().await;
    failure.map_or(Ok(()), |failure| Err(failure).context("membership"))
}

/// What components share: membership and the ring.
struct Shared {
    gossip: Arc<Gossip>,
    gossip_addr: SocketAddr,
    ring: RingView,
    clients: Arc<Clients>,
    overrides: Overrides,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    async fn start(config: &Arc<Config>, registry: &mut Registry) -> Result<Self> {
        let addresses = settings::gossip_addresses(config)?;
        let listeners = Listeners::bind(&addresses, Dialect::Dskit)
            .await
            .with_context(|| format!("cannot listen on {addresses:?} for gossip"))?;
        let gossip_addr = listeners.local_addr()?;
        let gossip = Gossip::start(
            settings::gossip(config)?,
            listeners,
            registry,
            rand::random(),
        )
        .await
        .map(Arc::new)
        .context("cannot start gossip")?;
        let clients = Arc::new(Clients::new(settings::max_message_bytes(config)));
        let key = config.ingester.lifecycler.ring.kvstore.ingester_ring_key();
        let watcher = RingWatcher::new(gossip.kv(), INGESTER_RING, key, settings::ring(config))
            .closing(Arc::clone(&clients));
        let ring = watcher.view();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(watcher.run(stop.clone()));
        let overrides = Overrides::new(config)?;
        if !config.runtime_config.file.is_empty() {
            let files = Files::load(config, &overrides, registry)?;
            tasks.spawn(files.watch(stop.clone()));
        }
        Ok(Self {
            gossip,
            gossip_addr,
            ring,
            clients,
            overrides,
            tasks,
            stop,
        })
    }

    async fn stop(self) {
        self.gossip.shutdown().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The components of this process.
struct Parts {
    routes: Router,
    /// The bounds of each component.
    admissions: Vec<(&'static str, Admission)>,
    distributor: Option<DistributorPart>,
    ingester: Option<IngesterPart>,
    querier: bool,
    ring: RingView,
}

struct DistributorPart {
    distributor: Distributor,
    lifecycle: Lifecycle<BasicLifecycler>,
    ring: RingView,
}

struct IngesterPart {
    database: store::Database,
    lifecycle: Lifecycle<Lifecycler>,
}

impl Parts {
    async fn build(
        config: &Arc<Config>,
        rpc: &Rpc,
        shared: &Shared,
        http_addr: SocketAddr,
        registry: &mut Registry,
    ) -> Result<Self> {
        let mut parts = Self {
            routes: Router::new(),
            admissions: Vec::new(),
            distributor: None,
            ingester: None,
            querier: config.target.runs(Target::Querier),
            ring: shared.ring.clone(),
        };
        let mut ingesters = Ingesters::new(Arc::clone(&shared.clients));
        if config.target.runs(Target::Ingester) {
            let database = open_database(config, registry)?;
            let ingester = Ingester::new(
                database.clone(),
                shared.ring.clone(),
                shared.overrides.clone(),
            );
            parts.serve(
                "ingester",
                settings::inner_bounds(config),
                ingester.routes(rpc),
            );
            let entry =
                settings::lifecycler(config, shared.gossip.advertised().ip(), http_addr.port())?;
            ingesters = ingesters.with_own(entry.addr.clone(), ingester);
            let lifecycle = Lifecycle::new(
                shared.gossip.kv(),
                entry,
                settings::ingester_registration(config),
            )?;
            parts.ingester = Some(IngesterPart {
                database,
                lifecycle,
            });
        }
        if config.target.runs(Target::Distributor) {
            let part = DistributorPart::build(config, shared, http_addr, ingesters, registry)?;
            let routes = part.distributor.routes(rpc);
            parts.serve("distributor", settings::push_bounds(config), routes);
            parts.distributor = Some(part);
        }
        if parts.querier {
            let readers = Readers::new(
                shared.ring.clone(),
                Arc::clone(&shared.clients),
                READ_TIMEOUT,
            );
            let querier = Querier::new(readers, shared.overrides.clone());
            let rpc = rpc.clone().with_max_message_bytes(MAX_QUERY_BYTES);
            parts.serve(
                "querier",
                settings::inner_bounds(config),
                querier.routes(&rpc),
            );
        }
        let admissions = std::mem::take(&mut parts.admissions);
        registry.register_collector(Box::new(AdmissionMetrics::new(admissions)));
        Ok(parts)
    }

    /// Adds the routes of a component, within bounds of their own: what one
    /// component is asked starves no other.
    fn serve(&mut self, component: &'static str, bounds: Bounds, routes: Router) {
        let admission = Admission::new(bounds, REQUEST_TIMEOUT);
        let routes = admission.guard(routes);
        self.routes = std::mem::take(&mut self.routes).merge(routes);
        self.admissions.push((component, admission));
    }

    /// Returns what must hold before the process is ready.
    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(IngesterPart { lifecycle, .. }) = &self.ingester {
            let lifecycle = lifecycle.clone();
            checks.push(Check::new("ingester", move || lifecycle.check_ready()));
        }
        if self.distributor.is_some() || self.ingester.is_none() {
            let ring = self.ring.clone();
            checks.push(Check::new("ring", move || settings::check_quorum(&ring.load())).latched());
        }
        checks
    }

    /// Returns the names of the RPC services of this process.
    fn services(&self) -> Vec<&'static str> {
        let ingester = ["ingester.v1.IngesterService", "reader.v1.ReaderService"];
        let running = [
            (self.distributor.is_some(), &["push.v1.PusherService"][..]),
            (self.ingester.is_some(), &ingester[..]),
            (self.querier, &["querier.v1.QuerierService"][..]),
        ];
        let running = running.into_iter().filter(|(runs, _)| *runs);
        running.flat_map(|(_, names)| names).copied().collect()
    }

    /// Returns the rings that this process watches.
    fn rings(&self) -> Vec<RingView> {
        let distributors = self.distributor.as_ref().map(|part| part.ring.clone());
        [Some(self.ring.clone()), distributors]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Returns what metrics say of this process's entries in rings.
    fn members(&self) -> Vec<Arc<Member>> {
        let ingester = self.ingester.as_ref().map(|part| part.lifecycle.member());
        let distributor = self
            .distributor
            .as_ref()
            .map(|part| part.lifecycle.member());
        [ingester, distributor].into_iter().flatten().collect()
    }

    /// Enters the rings and stays in them until `lifecycle` ends.
    fn register(&self, tasks: &TaskTracker, lifecycle: &CancellationToken) {
        if let Some(part) = &self.ingester {
            tasks.spawn(part.lifecycle.clone().run(lifecycle.clone()));
        }
        if let Some(part) = &self.distributor {
            tasks.spawn(part.lifecycle.clone().run(lifecycle.clone()));
        }
    }

    /// Tells the rings that this process stops.
    fn leave(&self) {
        if let Some(part) = &self.distributor {
            part.lifecycle.leave();
        }
        if let Some(part) = &self.ingester {
            part.lifecycle.leave();
        }
    }

    /// Waits for what is still being written.
    async fn flush(&self, patience: Duration) {
        if let Some(part) = &self.distributor {
            part.distributor.finish(patience).await;
        }
    }

    async fn finish(self, config: &Config, lifecycle: CancellationToken) {
        if let Some(part) = &self.distributor {
            part.lifecycle.unregister();
        }
        if let Some(part) = &self.ingester {
            tokio::time::sleep(config.ingester.lifecycler.final_sleep.get()).await;
            part.lifecycle.unregister();
        }
        lifecycle.cancel();
        if let Some(part) = self.ingester {
            part.database.shutdown().await;
        }
    }
}

impl DistributorPart {
    fn build(
        config: &Config,
        shared: &Shared,
        http_addr: SocketAddr,
        ingesters: Ingesters,
        registry: &mut Registry,
    ) -> Result<Self> {
        let key = config.distributor.ring.kvstore.distributor_ring_key();
        let kv = shared.gossip.kv();
        let ring = settings::distributor_ring(config);
        let watcher = RingWatcher::new(kv.clone(), DISTRIBUTOR_RING, key, ring);
        let ring = watcher.view();
        shared.tasks.spawn(watcher.run(shared.stop.clone()));
        let replicator = Replicator::start(
            shared.ring.clone(),
            ingesters,
            settings::replication(config),
            registry,
        );
        let distributor =
            Distributor::new(replicator, shared.overrides.clone(), ring.clone(), registry);
        let advertised = shared.gossip.advertised().ip();
        let entry = settings::distributor_entry(config, advertised, http_addr.port())?;
        let lifecycler = BasicLifecycler::new(entry, rand::random::<u32>);
        let lifecycle = Lifecycle::of(lifecycler, kv, settings::distributor_registration(config));
        Ok(Self {
            distributor,
            lifecycle,
            ring,
        })
    }
}

fn open_database(config: &Config, registry: &mut Registry) -> Result<store::Database> {
    let path = &config.pyroscopedb.data_path;
    // Nothing is served yet, so the replay may keep this thread.
    let (database, replay) = tokio::task::block_in_place(|| {
        store::Database::open(path, settings::store(config), registry)
    })
    .with_context(|| format!("cannot open the data folder {path}"))?;
    for corruption in &replay.corruptions {
        warn!(%corruption, "the write-ahead log is damaged");
    }
    info!(
        records = replay.records,
        profiles = replay.profiles,
        segments = replay.segments,
        torn_bytes = replay.torn_bytes,
        seconds = replay.seconds,
        "replayed the write-ahead log"
    );
    Ok(database)
}

async fn bind(address: &str, what: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}"))
}
