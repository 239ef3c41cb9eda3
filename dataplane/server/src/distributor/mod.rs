//! The distributor: takes pushes, validates them and writes them to the ring.

mod clean;
mod ingest;
mod metrics;
mod otlp;
mod prepare;
mod rate;
mod rejection;
mod relabel;
mod replicate;
mod sample_types;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    routing::post,
};
use prometheus_client::registry::Registry;
use proto::push::v1::{PushRequest, PushResponse};
use ring::Op;
use tokio::sync::Semaphore;
use tonic::Status;

pub(crate) use rate::Rate;
pub(crate) use relabel::Rules;
pub(crate) use replicate::{Ingesters, ReplicationOptions, Replicator};

use crate::{
    overrides::{Limits, Overrides},
    ring_view::{RingView, unix_nanos, unix_seconds},
    rpc::{Context, Rpc, TenantId, entries_of_push, too_many},
};
use metrics::DiscardMetrics;
use prepare::{Outcome, Terms};
use rate::RateLimiter;
use rejection::Reason;

/// Pushes of more series are prepared where they hold up nobody, however small
/// the profiles are.
const SMALL_SERIES: usize = 1 << 10;

/// Takes pushes; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Distributor {
    replicator: Replicator,
    overrides: Overrides,
    limiter: Arc<RateLimiter>,
    /// The ring of distributors.
    peers: RingView,
    metrics: DiscardMetrics,
    /// Requests whose profiles are parsed at once.
    workers: Arc<Semaphore>,
}

impl Distributor {
    /// Creates a distributor that writes through `replicator`. Each of the
    /// distributors in the ring `peers` takes an equal share of a tenant's rate.
    pub(crate) fn new(
        replicator: Replicator,
        overrides: Overrides,
        peers: RingView,
        registry: &mut Registry,
    ) -> Self {
        Self {
            replicator,
            overrides,
            limiter: Arc::default(),
            peers,
            metrics: DiscardMetrics::register(registry),
            workers: Arc::new(Semaphore::new(workers())),
        }
    }

    /// Returns the HTTP and RPC endpoints of the distributor.
    pub(crate) fn routes(&self, rpc: &Rpc) -> Router {
        let distributor = self.clone();
        let push =
            rpc.clone()
                .with_entries(entries_of_push)
                .unary(move |context: Context, request| {
                    let distributor = distributor.clone();
                    async move { distributor.push(&context.tenant, request).await }
                });
        let ingest = {
            let limit = DefaultBodyLimit::max(rpc.max_message_bytes());
            let (distributor, rpc) = (self.clone(), rpc.clone());
            post(move |request: Request| ingest::ingest(distributor.clone(), rpc.clone(), request))
                .layer(limit)
        };
        Router::new()
            .route("/push.v1.PusherService/Push", push)
            .route("/ingest", ingest.clone())
            .route("/pyroscope/ingest", ingest)
            .route(otlp::HTTP_PATH, otlp::route(self, rpc))
            .route(otlp::GRPC_PATH, otlp::route(self, rpc))
    }

    /// Waits for the writes that go on in the background, for as long as
    /// `patience` lasts.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.replicator.finish(patience).await;
    }

    /// Stores a request's valid profiles; answers with an error when some are
    /// not.
    async fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<PushResponse, Status> {
        let terms = self.terms(tenant, unix_nanos());
        let limits = Arc::clone(&terms.limits);
        let is_small = request.series.len() <= SMALL_SERIES && prepare::is_small(&request.series);
        let prepare = move || prepare::prepare(request.series, &terms);
        let outcome = match is_small {
            true => prepare(),
            false => self.parse(prepare).await?,
        };
        if outcome.received == 0 && outcome.rejections.is_empty() {
            return Err(Status::invalid_argument("no profiles received"));
        }
        self.store(tenant, &limits, outcome).await?;
        Ok(PushResponse::default())
    }

    /// Returns what a request of this time, in Unix nanoseconds, is prepared for.
    fn terms(&self, tenant: &TenantId, now: i64) -> Terms {
        Terms {
            tenant: tenant.clone(),
            limits: self.overrides.of(tenant),
            now,
            digest_key: self.replicator.digest_key(),
        }
    }

    /// Parses on a thread where it may use the CPU for long: it must not hold up
    /// the threads that move bytes.
    async fn parse<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        let ended = |error: &dyn std::fmt::Display| {
            Status::internal(format!("a push ended early: {error}"))
        };
        let _turn = self
            .workers
            .acquire()
            .await
            .map_err(|error| ended(&error))?;
        let work = tokio::task::spawn_blocking(work);
        work.await.map_err(|error| ended(&error))
    }

    /// Returns this distributor's part of a tenant's rate.
    fn share(&self, rate: Rate) -> Rate {
        let ring = self.peers.load();
        let distributors = ring.healthy(Op::WriteNoExtend, unix_seconds()).count();
        Rate {
            bytes_per_second: rate.bytes_per_second / distributors.max(1) as f64,
            ..rate
        }
    }

    async fn store(
        &self,
        tenant: &TenantId,
        limits: &Limits,
        outcome: Outcome,
    ) -> Result<(), Status> {
        self.metrics.discarded(tenant, outcome.rejections.reasons());
        let share = self.share(limits.rate);
        let taken = self
            .limiter
            .take(tenant, share, outcome.bytes, Instant::now());
        if let Err(wait) = taken {
            let refused = (Reason::RateLimited, outcome.prepared.len() as u64);
            self.metrics.discarded(tenant, [refused]);
            return Err(too_many(
                format!(
                    "push rate limit ({}) exceeded while adding {}",
                    rate::size(limits.rate.bytes_per_second),
                    rate::size(outcome.bytes as f64)
                ),
                wait,
            ));
        }
        let refused = self
            .replicator
            .write(tenant, limits.shard_size, outcome.prepared)
            .await?;
        self.metrics.discarded(tenant, refused.reasons());
        let mut rejections = outcome.rejections;
        rejections.merge(refused);
        if rejections.is_empty() {
            Ok(())
        } else {
            Err(rejections.into_status())
        }
    }
}

/// Returns how many requests are parsed at once: each takes memory beyond its own
/// size, and more of them than processors finish no sooner.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}
