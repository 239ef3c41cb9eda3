//! Writes prepared profiles to the ingesters that own them.
//!
//! Each push makes one [call](send) to each of its ingesters and is answered as
//! soon as a quorum of every profile's has it on disk. What other ingesters
//! miss waits in the [outbox] until the [courier] has brought it to them, so a
//! slow or restarting ingester has no holes for good.

mod courier;
mod ingesters;
mod metrics;
mod outbox;
mod send;
mod shipment;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::registry::Registry;
use ring::{
    Op, Ring,
    batch::{Batch, Family},
    peers::{Answer, Limits},
};
use store::Finishing;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, oneshot::error::RecvError};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use tracing::warn;

pub(crate) use ingesters::Ingesters;

use super::{prepare::Prepared, rejection::Rejections};
use crate::{
    ring_view::{RingView, unix_seconds},
    rpc::TenantId,
};
use courier::Courier;
use metrics::ReplicationMetrics;
use outbox::Outbox;
use send::Sending;
use shipment::Shipment;

/// Most bytes of writes under way, each copy of a profile counted.
const MAX_IN_FLIGHT_BYTES: u32 = 256 << 20;

/// How long news of the ring may take to get here, and how often to look.
const NEWS: Duration = Duration::from_secs(1);
const NEWS_POLL: Duration = Duration::from_millis(100);

/// How a replicator is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplicationOptions {
    /// How long a push may take, and a single call.
    pub timeout: Duration,
    /// Bounds for each ingester.
    pub peers: Limits,
}

/// Writes to the ring with quorum; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Replicator {
    ring: RingView,
    ingesters: Ingesters,
    timeout: Duration,
    outbox: Arc<Outbox>,
    metrics: ReplicationMetrics,
    /// Writes that go on after their request was answered.
    background: TaskTracker,
    couriers: TaskTracker,
    /// Bytes that writes may still take. Writes wait here when ingesters are
    /// slow, and fail when they wait for longer than the timeout.
    room: Arc<Semaphore>,
}

impl Replicator {
    /// Starts a replicator to the ingesters of `ring`; within a runtime.
    pub(crate) fn start(
        ring: RingView,
        ingesters: Ingesters,
        options: ReplicationOptions,
        registry: &mut Registry,
    ) -> Self {
        let outbox = Arc::new(Outbox::new(options.peers));
        let courier = Courier {
            outbox: Arc::clone(&outbox),
            ring: ring.clone(),
            ingesters: ingesters.clone(),
            timeout: options.timeout,
        };
        let couriers = TaskTracker::new();
        couriers.spawn(courier.run());
        Self {
            metrics: ReplicationMetrics::register(registry, &ring, Arc::clone(&outbox)),
            ring,
            ingesters,
            timeout: options.timeout,
            outbox,
            background: TaskTracker::new(),
            couriers,
            room: Arc::new(Semaphore::new(MAX_IN_FLIGHT_BYTES as usize)),
        }
    }

    /// Returns the key of the digests that ingesters can use.
    pub(crate) fn digest_key(&self) -> u64 {
        self.ingesters.digest_key()
    }

    /// Waits for the writes that are still under way, and brings ingesters what
    /// they missed, for as long as `patience` lasts.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.background.close();
        self.couriers.close();
        let finished = async {
            self.background.wait().await;
            self.outbox.update(|peers, _| peers.stop());
            self.couriers.wait().await;
        };
        if tokio::time::timeout(patience, finished).await.is_err() {
            self.outbox.update(|peers, _| peers.clear());
        }
        let lost = self.outbox.counts().stopped;
        if lost > 0 {
            warn!(
                profiles = lost,
                "stopped before ingesters were back that missed profiles; a quorum has them"
            );
        }
    }

    /// Returns once a quorum of its ingesters has made each profile durable, or
    /// refused it (limits, invalid profiles), and what was refused; the other
    /// replicas are written in the background. A tenant writes to `shard_size`
    /// ingesters, 0 being all.
    ///
    /// # Errors
    ///
    /// `unavailable` when a quorum cannot be reached in time or too much is
    /// being written.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        shard_size: usize,
        profiles: Vec<Prepared>,
    ) -> Result<Rejections, Status> {
        if profiles.is_empty() {
            return Ok(Rejections::default());
        }
        let batch = self.batch(tenant, shard_size, &profiles).await?;
        let shipments = shipments(&batch, profiles);
        let room = self.room(&shipments).await?;
        let (decided, mut decision) = oneshot::channel();
        let sending = Sending::new(self.clone(), tenant.clone(), batch, shipments, room);
        let mut sending = Finishing::new(self.background.track_future(sending.run(decided)));
        tokio::select! {
            biased;
            () = &mut sending => {}
            // What is left of the calls goes on in the background.
            decided = &mut decision => return decided.unwrap_or_else(ended_early),
        }
        decision.await.unwrap_or_else(ended_early)
    }

    /// Finds the replicas of each profile. When the ring has no quorum of them,
    /// waits a little: news of one that is back may be under way.
    async fn batch(
        &self,
        tenant: &TenantId,
        shard_size: usize,
        profiles: &[Prepared],
    ) -> Result<Batch<Status>, Status> {
        let late = Instant::now() + NEWS.min(self.timeout);
        loop {
            let ring = self.ring.shard(tenant.as_str(), shard_size);
            match plan(&ring, profiles, unix_seconds()) {
                Err(_) if Instant::now() < late => tokio::time::sleep(NEWS_POLL).await,
                planned => return planned,
            }
        }
    }

    /// Waits until the copies of a push may be sent.
    async fn room(&self, shipments: &[Arc<Shipment>]) -> Result<OwnedSemaphorePermit, Status> {
        let bytes: u64 = shipments.iter().map(|shipment| shipment.bytes()).sum();
        // What is larger than all the room is written alone.
        let bytes = u32::try_from(bytes)
            .map_or(MAX_IN_FLIGHT_BYTES, |bytes| bytes.min(MAX_IN_FLIGHT_BYTES));
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        match tokio::time::timeout(self.timeout, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(Status::unavailable(
                "too many writes are under way; try again later",
            )),
        }
    }
}

fn ended_early<T>(_: RecvError) -> Result<T, Status> {
    Err(Status::internal("a write ended early"))
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

/// Packs what each call carries. Calls with the same profiles share a shipment,
/// and with it the work of encoding it.
fn shipments(batch: &Batch<Status>, profiles: Vec<Prepared>) -> Vec<Arc<Shipment>> {
    let profiles = Arc::new(profiles);
    let mut known: HashMap<&[usize], Arc<Shipment>> = HashMap::new();
    let shipment =
        |items: &Vec<usize>| Arc::new(Shipment::new(Arc::clone(&profiles), items.clone()));
    batch
        .calls()
        .iter()
        .map(|call| {
            let known = known.entry(&call.items);
            Arc::clone(known.or_insert_with(|| shipment(&call.items)))
        })
        .collect()
}

/// Whether an error is what an ingester said, and not that nothing came from it.
fn is_said(status: &Status) -> bool {
    let is_of_transport = std::error::Error::source(status).is_some();
    !is_of_transport && status.code() != Code::DeadlineExceeded
}

/// Tells whose fault an ingester's refusal is.
fn family(status: &Status) -> Family {
    match status.code() {
        Code::InvalidArgument | Code::ResourceExhausted | Code::FailedPrecondition
            if is_said(status) =>
        {
            Family::Client
        }
        _ => Family::Server,
    }
}

/// Tells whether what was not taken may be taken later. An ingester that says
/// anything but that it is unavailable says it again.
fn answer(status: &Status) -> Answer {
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Aborted => Answer::Failed,
        _ if is_said(status) => Answer::Refused,
        _ => Answer::Failed,
    }
}

/// Turns the deciding failure into the answer: a fault that is not the
/// client's is one that the client may retry.
fn verdict(error: &Status) -> Status {
    Status::unavailable(format!(
        "no quorum of ingesters took the push: {}",
        error.message()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_ingester_says_itself_is_a_refusal() {
        let broken = || -> Status { Status::from_error("the connection broke".into()) };
        let said_by_transport = {
            let mut status = Status::resource_exhausted("calm down");
            status.set_source(Arc::new(std::io::Error::other("h2")));
            status
        };
        for (status, expected) in [
            (
                Status::resource_exhausted("limit"),
                (Family::Client, Answer::Refused),
            ),
            (
                Status::invalid_argument("pprof"),
                (Family::Client, Answer::Refused),
            ),
            (Status::internal("bug"), (Family::Server, Answer::Refused)),
            (
                Status::unavailable("full"),
                (Family::Server, Answer::Failed),
            ),
            (
                Status::deadline_exceeded("slow"),
                (Family::Server, Answer::Failed),
            ),
            (said_by_transport, (Family::Server, Answer::Failed)),
            (broken(), (Family::Server, Answer::Failed)),
        ] {
            assert_eq!((family(&status), answer(&status)), expected, "{status}");
        }
        assert!(is_said(&Status::unavailable("full")) && !is_said(&broken()));
        assert_eq!(verdict(&broken()).code(), Code::Unavailable);
    }
}
