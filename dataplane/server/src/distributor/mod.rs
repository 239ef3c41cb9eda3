//! The distributor: takes pushes, validates them and writes them to the ring.

mod ingest;
mod prepare;
mod rate;
mod replicate;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    routing::post,
};
use proto::push::v1::{PushRequest, PushResponse};
use ring::Op;
use tonic::Status;

pub(crate) use prepare::Limits;
pub(crate) use rate::Rate;
pub(crate) use replicate::{Ingesters, ReplicationOptions, Replicator};

use crate::{
    ring_view::{RingView, unix_nanos, unix_seconds},
    rpc::{Context, Rpc, TenantId},
};
use prepare::Outcome;
use rate::RateLimiter;

/// Takes pushes; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Distributor {
    replicator: Replicator,
    /// Ingesters that a tenant writes to; 0 is all.
    shard_size: usize,
    limits: Arc<Limits>,
    /// What a tenant may push to all distributors together.
    rate: Rate,
    limiter: Arc<RateLimiter>,
    /// The ring of distributors.
    peers: RingView,
}

impl Distributor {
    /// Creates a distributor that writes through `replicator`. Each of the
    /// distributors in the ring `peers` takes an equal share of the `rate`.
    pub(crate) fn new(
        replicator: Replicator,
        shard_size: usize,
        limits: Limits,
        rate: Rate,
        peers: RingView,
    ) -> Self {
        Self {
            replicator,
            shard_size,
            limits: Arc::new(limits),
            rate,
            limiter: Arc::default(),
            peers,
        }
    }

    /// Returns the HTTP and RPC endpoints of the distributor.
    pub(crate) fn routes(&self, rpc: &Rpc) -> Router {
        let distributor = self.clone();
        let push = rpc.unary(move |context: Context, request| {
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
    }

    /// Waits for the writes that go on in the background, for as long as
    /// `patience` lasts.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.replicator.finish(patience).await;
    }

    /// Stores a request's valid profiles; answers with an error when some are
    /// not.
    async fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<PushResponse, Status> {
        let (limits, owner) = (Arc::clone(&self.limits), tenant.clone());
        let outcome =
            blocking(move || prepare::prepare(&owner, request.series, &limits, unix_nanos()))
                .await?;
        if outcome.received == 0 && outcome.rejected == 0 {
            return Err(Status::invalid_argument("no profiles received"));
        }
        self.store(tenant, outcome).await?;
        Ok(PushResponse {})
    }

    /// Returns this distributor's part of a tenant's rate.
    fn share(&self) -> Rate {
        let ring = self.peers.load();
        let distributors = ring.healthy(Op::WriteNoExtend, unix_seconds()).count();
        Rate {
            bytes_per_second: self.rate.bytes_per_second / distributors.max(1) as f64,
            ..self.rate
        }
    }

    async fn store(&self, tenant: &TenantId, outcome: Outcome) -> Result<(), Status> {
        if !self
            .limiter
            .allow(tenant, self.share(), outcome.bytes, Instant::now())
        {
            return Err(Status::resource_exhausted(format!(
                "push rate limit ({}) exceeded while adding {}",
                mebibytes(self.rate.bytes_per_second),
                mebibytes(outcome.bytes as f64)
            )));
        }
        self.replicator
            .write(tenant, self.shard_size, outcome.prepared)
            .await?;
        if outcome.rejected == 0 {
            Ok(())
        } else {
            Err(rejection(&outcome.reasons, outcome.rejected))
        }
    }
}

/// Parsing is CPU work: it must not hold up the threads that move bytes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Status::internal(format!("a push ended early: {error}")))
}

fn rejection(reasons: &[String], rejected: usize) -> Status {
    let mut text = reasons.join("; ");
    if rejected > reasons.len() {
        text.push_str(&format!("; and {} more", rejected - reasons.len()));
    }
    Status::invalid_argument(text)
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
