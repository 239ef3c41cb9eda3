//! One push on its way to its ingesters.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use ring::{
    batch::{Batch, Call, Decision, Family},
    peers::Answer,
    write::{Step, Write, WriteTimes},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tonic::Status;
use tracing::debug;

use super::{Replicator, answer, family, is_said, shipment::Shipment, verdict};
use crate::{
    distributor::rejection::{Rejection, Rejections},
    refusals,
    rpc::TenantId,
};

/// How long ingesters that are thought to be down are spared while others may
/// make a quorum.
const HEDGE: Duration = Duration::from_millis(250);

/// The wait before the second attempt of a call, and the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_millis(800);

/// Least time for an attempt, however near the deadline is.
const LEAST_ATTEMPT: Duration = Duration::from_millis(50);

/// Drives a [`Write`].
#[derive(Debug)]
pub(super) struct Sending {
    replicator: Replicator,
    tenant: TenantId,
    write: Write<Status>,
    /// What each call carries.
    shipments: Vec<Arc<Shipment>>,
    /// What all calls that are not over take of the replicator's room.
    room: OwnedSemaphorePermit,
}

/// How an attempt ended.
enum Attempt {
    Answered(Result<(), (Family, Status)>),
    /// The ingester refused these items for good and took the others.
    InPart(Vec<(usize, Status)>),
    /// The ingester has no room, or too much is on its way to it: another
    /// attempt now would make that worse.
    NoRoom(Status),
}

impl Sending {
    pub(super) fn new(
        replicator: Replicator,
        tenant: TenantId,
        batch: Batch<Status>,
        shipments: Vec<Arc<Shipment>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        let times = WriteTimes {
            deadline: replicator.timeout,
            hedge: HEDGE,
            first_backoff: FIRST_BACKOFF,
            longest_backoff: LONGEST_BACKOFF,
        };
        let now = replicator.outbox.now();
        let calls = batch.calls().iter().zip(&shipments);
        let calls = calls.map(|(call, shipment)| (call.instance.id.as_str(), shipment.bytes()));
        let open = replicator.outbox.are_open(calls, now);
        Self {
            write: Write::new(batch, |call| !open[call], times, now),
            replicator,
            tenant,
            shipments,
            room,
        }
    }

    /// Makes the calls, tells the decision as soon as it is certain, and sees
    /// every call to its end.
    pub(super) async fn run(mut self, decided: oneshot::Sender<Result<Rejections, Status>>) {
        let mut decided = Some(decided);
        let mut attempts = FuturesUnordered::new();
        loop {
            while let Some(step) = self.write.poll(self.replicator.outbox.now()) {
                match step {
                    Step::Call(call) => attempts.push(self.attempt(call)),
                    Step::HandOff(call) => self.hand_off(call),
                }
            }
            if let Some(answer) = decided.take_if(|_| self.write.decision().is_some())
                && let Some(result) = self.result()
            {
                // The client may be gone; the write goes on all the same.
                let _ = answer.send(result);
            }
            let timeout = self.write.next_timeout();
            if attempts.is_empty() && timeout.is_none() {
                return;
            }
            let outbox = &self.replicator.outbox;
            tokio::select! {
                Some((call, attempt)) = attempts.next() => self.ended(call, attempt),
                () = sleep_until(timeout.map(|at| outbox.instant(at))) => {}
            }
        }
    }

    fn result(&self) -> Option<Result<Rejections, Status>> {
        Some(match self.write.decision()? {
            Decision::Success => Ok(Rejections::default()),
            Decision::Refused => Ok(self.refused()),
            Decision::Failed { error, .. } => Err(verdict(error)),
        })
    }

    fn refused(&self) -> Rejections {
        let mut rejections = Rejections::default();
        let Some(shipment) = self.shipments.first() else {
            return rejections;
        };
        for (item, said) in self.write.batch().refused() {
            rejections.push(Rejection::of_ingesters(shipment.profile(item), said));
        }
        rejections
    }

    fn call(&self, call: usize) -> &Call {
        &self.write.batch().calls()[call]
    }

    /// Makes one attempt of a call, at the address that the ingester has now.
    fn attempt(&self, call: usize) -> impl Future<Output = (usize, Attempt)> + use<> {
        let replicator = self.replicator.clone();
        let instance = Arc::clone(&self.call(call).instance);
        let shipment = Arc::clone(&self.shipments[call]);
        let tenant = self.tenant.clone();
        let deadline = self.write.deadline();
        async move {
            let attempt = replicator.attempt(&instance, &tenant, &shipment, deadline);
            (call, attempt.await)
        }
    }

    fn ended(&mut self, call: usize, attempt: Attempt) {
        let now = self.replicator.outbox.now();
        if matches!(attempt, Attempt::Answered(Ok(())) | Attempt::InPart(_)) {
            self.give_back(call);
        }
        match attempt {
            Attempt::Answered(answer) => self.write.answered(call, answer, now),
            Attempt::InPart(refused) => self.write.took_in_part(call, refused),
            Attempt::NoRoom(status) => self.write.missed(call, status),
        }
    }

    /// Gives back the room of a call that is over, so that a slow ingester
    /// holds that of its own copies only.
    fn give_back(&mut self, call: usize) {
        let bytes = usize::try_from(self.shipments[call].bytes()).unwrap_or(usize::MAX);
        drop(self.room.split(bytes.min(self.room.num_permits())));
    }

    fn hand_off(&mut self, call: usize) {
        self.give_back(call);
        let Call {
            instance, items, ..
        } = self.call(call);
        let batch = self.write.batch();
        let kept = items.iter().filter(|&&item| batch.has_quorum(item));
        let kept: Vec<usize> = kept.copied().collect();
        let shipment = match kept.len() == items.len() {
            true => Arc::clone(&self.shipments[call]),
            false => Arc::new(self.shipments[call].only(kept)),
        };
        let outbox = &self.replicator.outbox;
        outbox.hand_off(&instance.id, &self.tenant, &shipment);
    }
}

impl Replicator {
    async fn attempt(
        &self,
        instance: &ring::Instance,
        tenant: &TenantId,
        shipment: &Shipment,
        deadline: Duration,
    ) -> Attempt {
        let id = &instance.id;
        let Some(ticket) = self.outbox.send(id, shipment.bytes()) else {
            return Attempt::NoRoom(Status::unavailable(format!(
                "too much is on its way to ingester {id}; try again later"
            )));
        };
        let ring = self.ring.load();
        let addr = ring.instance(id).map_or(&instance.addr, |now| &now.addr);
        let timeout = deadline
            .saturating_sub(self.outbox.now())
            .max(LEAST_ATTEMPT);
        let result = self.ingesters.push(addr, tenant, shipment, timeout).await;
        let (answer, family) = match &result {
            Ok(()) => (Answer::Took, Family::Server),
            Err(status) => (answer(status), family(status)),
        };
        self.outbox.answered(id, ticket, answer);
        self.metrics.count_push(answer);
        let Err(status) = result else {
            return Attempt::Answered(Ok(()));
        };
        debug!(ingester = id, addr, error = %status, "an ingester did not take a push");
        if family == Family::Client {
            return match refusals::listed(&status) {
                Some(listed) => Attempt::InPart(shipment.items_at(listed)),
                None => Attempt::Answered(Err((family, status))),
            };
        }
        let text = format!("ingester {addr}: {}", status.message());
        let told = Status::new(status.code(), text);
        if is_said(&status) {
            Attempt::NoRoom(told)
        } else {
            Attempt::Answered(Err((family, told)))
        }
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
