//! Writes prepared profiles to the ingesters that own them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use ring::{
    Op, Ring,
    batch::{Batch, Decision, Family},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use tracing::debug;
use uuid::Uuid;

use super::prepare::Prepared;
use crate::{
    clients::{Clients, request},
    ring_view::{RingView, unix_seconds},
    rpc::TenantId,
};

/// Most bytes of writes under way, each copy of a profile counted.
const MAX_IN_FLIGHT_BYTES: u32 = 256 << 20;

/// What the smallest write counts for.
const MIN_WRITE_BYTES: u32 = 16 << 10;

/// Writes to the ring with quorum; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Replicator {
    ring: RingView,
    clients: Arc<Clients>,
    /// Ingesters that a tenant writes to; 0 is all.
    shard_size: usize,
    timeout: Duration,
    /// Writes that go on after their request was answered.
    background: TaskTracker,
    /// Bytes that writes may still take. Writes wait here when ingesters are
    /// slow, and fail when they wait for longer than the timeout.
    room: Arc<Semaphore>,
}

impl Replicator {
    /// Creates a replicator to `shard_size` ingesters per tenant, 0 being all;
    /// one that takes longer than `timeout` counts as failed.
    pub(crate) fn new(
        ring: RingView,
        clients: Arc<Clients>,
        shard_size: usize,
        timeout: Duration,
    ) -> Self {
        Self {
            ring,
            clients,
            shard_size,
            timeout,
            background: TaskTracker::new(),
            room: Arc::new(Semaphore::new(MAX_IN_FLIGHT_BYTES as usize)),
        }
    }

    /// Waits for the writes that are still under way.
    pub(crate) async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
    }

    /// Returns once a quorum of its ingesters has made each profile durable;
    /// the other replicas are written in the background, each for no longer
    /// than the timeout.
    ///
    /// # Errors
    ///
    /// `unavailable` when a quorum cannot be reached or too much is being
    /// written; an ingester's refusal (limits, invalid profiles) as it came.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        profiles: Vec<Prepared>,
    ) -> Result<(), Status> {
        if profiles.is_empty() {
            return Ok(());
        }
        let ring = self.ring.shard(tenant.as_str(), self.shard_size);
        let batch = plan(&ring, &profiles, unix_seconds())?;
        let room = self.room(&batch, &profiles).await?;
        let pushes: Vec<_> = batch
            .calls()
            .iter()
            .map(|call| {
                (
                    call.instance.addr.clone(),
                    push_request(&profiles, &call.items),
                )
            })
            .collect();
        let (decided, decision) = oneshot::channel();
        let replicator = self.clone();
        let tenant = tenant.clone();
        self.background.spawn(async move {
            let _room = room;
            replicator.send(&tenant, batch, pushes, decided).await;
        });
        decision
            .await
            .unwrap_or_else(|_| Err(Status::internal("a write ended early")))
    }

    /// Waits until the copies of a batch may be sent.
    async fn room(
        &self,
        batch: &Batch<Status>,
        profiles: &[Prepared],
    ) -> Result<OwnedSemaphorePermit, Status> {
        let copies = batch.calls().iter().flat_map(|call| &call.items);
        let bytes: usize = copies.map(|&item| profiles[item].raw.len()).sum();
        // What is larger than all the room is written alone.
        let bytes = u32::try_from(bytes).map_or(MAX_IN_FLIGHT_BYTES, |bytes| {
            bytes.clamp(MIN_WRITE_BYTES, MAX_IN_FLIGHT_BYTES)
        });
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        match tokio::time::timeout(self.timeout, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(Status::unavailable(
                "too many writes are under way; try again later",
            )),
        }
    }

    /// Sends every push and reports the decision as soon as it is certain.
    async fn send(
        &self,
        tenant: &TenantId,
        mut batch: Batch<Status>,
        pushes: Vec<(String, PushRequest)>,
        decided: oneshot::Sender<Result<(), Status>>,
    ) {
        let mut decided = Some(decided);
        let mut calls: FuturesUnordered<_> = pushes
            .into_iter()
            .enumerate()
            .map(|(call, (addr, push))| async move { (call, self.push(tenant, addr, push).await) })
            .collect();
        while let Some((call, result)) = calls.next().await {
            batch.record(call, result.map_err(|status| (family(&status), status)));
            if let Some(decision) = batch.decision()
                && let Some(decided) = decided.take()
            {
                let result = match decision {
                    Decision::Success => Ok(()),
                    Decision::Failed { error, .. } => Err(verdict(error)),
                };
                // The client may be gone; the write goes on all the same.
                let _ = decided.send(result);
            }
        }
    }

    async fn push(&self, tenant: &TenantId, addr: String, push: PushRequest) -> Result<(), Status> {
        let call = async {
            self.clients
                .ingester(&addr)?
                .push(request(tenant, self.timeout, push))
                .await
        };
        let result = match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        };
        result.map_err(|status| {
            debug!(addr, error = %status, "ingester did not take a push");
            Status::new(
                status.code(),
                format!("ingester {addr}: {}", status.message()),
            )
        })
    }
}

/// Finds the replicas of each profile.
fn plan(ring: &Ring, profiles: &[Prepared], now: i64) -> Result<Batch<Status>, Status> {
    let mut known = HashMap::new();
    let mut sets = Vec::with_capacity(profiles.len());
    for profile in profiles {
        let set = match known.get(&profile.token) {
            Some(set) => Clone::clone(set),
            None => {
                let set = ring
                    .get(profile.token, Op::Write, now)
                    .map_err(|error| Status::unavailable(error.to_string()))?;
                known.insert(profile.token, set.clone());
                set
            }
        };
        sets.push(set);
    }
    Ok(Batch::new(sets))
}

fn push_request(profiles: &[Prepared], items: &[usize]) -> PushRequest {
    let series = items.iter().map(|&item| {
        let profile = &profiles[item];
        RawProfileSeries {
            labels: profile.labels.to_proto(),
            samples: vec![RawSample {
                raw_profile: profile.raw.clone(),
                id: Uuid::from_bytes(profile.id).to_string(),
            }],
            annotations: Vec::new(),
        }
    });
    PushRequest {
        series: series.collect(),
    }
}

/// Tells whose fault an ingester's refusal is.
fn family(status: &Status) -> Family {
    match status.code() {
        Code::InvalidArgument | Code::ResourceExhausted | Code::FailedPrecondition => {
            Family::Client
        }
        _ => Family::Server,
    }
}

/// Turns the deciding failure into the answer: a fault that is not the
/// client's is one that the client may retry.
fn verdict(error: &Status) -> Status {
    match family(error) {
        Family::Client => error.clone(),
        Family::Server => Status::unavailable(format!(
            "no quorum of ingesters took the push: {}",
            error.message()
        )),
    }
}
