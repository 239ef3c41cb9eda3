//! Probes ingesters that are down and brings those that are back what they
//! missed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use ring::peers::{Answer, Parcel, Task};
use tracing::{debug, info};

use super::{
    answer,
    ingesters::Ingesters,
    outbox::{Missed, Outbox},
};
use crate::{ring_view::RingView, rpc::TenantId};

/// Longest wait for the answer to a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Does what the [`Outbox`] wants done.
#[derive(Debug, Clone)]
pub(super) struct Courier {
    pub(super) outbox: Arc<Outbox>,
    pub(super) ring: RingView,
    pub(super) ingesters: Ingesters,
    /// How long a delivery may take.
    pub(super) timeout: Duration,
}

impl Courier {
    /// Works until the outbox is stopped and drained.
    pub(super) async fn run(self) {
        let mut tasks: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        loop {
            while let Some(task) = self.outbox.read(|peers, now| peers.poll(now)) {
                tasks.push(Box::pin(self.perform(task)));
            }
            if self.outbox.is_finished() {
                return;
            }
            self.forget_absent();
            let timeout = self.outbox.read(|peers, _| peers.next_timeout());
            let timeout = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(self.outbox.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.outbox.changed() => {}
                () = timeout => {}
                Some(()) = tasks.next() => {}
            }
        }
    }

    async fn perform(&self, task: Task<Missed>) {
        match task {
            Task::Probe { id } => self.probe(&id).await,
            Task::Deliver {
                id,
                ticket,
                parcels,
            } => self.deliver(&id, ticket, parcels).await,
        }
    }

    async fn probe(&self, id: &str) {
        let is_alive = match self.addr(id) {
            Some(addr) => self.ingesters.is_alive(&addr, PROBE_TIMEOUT).await,
            None => false,
        };
        debug!(ingester = id, is_alive, "probed an ingester that is down");
        self.outbox
            .update(|peers, now| peers.probed(id, is_alive, now));
    }

    async fn deliver(&self, id: &str, ticket: u64, parcels: Vec<Parcel<Missed>>) {
        let mut by_tenant: HashMap<TenantId, Vec<Parcel<Missed>>> = HashMap::new();
        for parcel in parcels {
            let tenant = parcel.content.tenant.clone();
            by_tenant.entry(tenant).or_default().push(parcel);
        }
        let calls = by_tenant.into_values().map(|parcels| async move {
            let answer = self.deliver_of_tenant(id, &parcels).await;
            parcels.into_iter().map(move |parcel| (parcel, answer))
        });
        let mut answered: Vec<_> = futures::future::join_all(calls)
            .await
            .into_iter()
            .flatten()
            .collect();
        answered.sort_by_key(|(parcel, _)| parcel.since);
        self.outbox
            .update(|peers, now| peers.delivered(id, ticket, answered, now));
    }

    async fn deliver_of_tenant(&self, id: &str, parcels: &[Parcel<Missed>]) -> Answer {
        let (Some(addr), Some(first)) = (self.addr(id), parcels.first()) else {
            return Answer::Failed;
        };
        let messages = parcels.iter().map(|parcel| parcel.content.message.clone());
        let delivered = self.ingesters.deliver(
            &addr,
            &first.content.tenant,
            messages.collect(),
            self.timeout,
        );
        match delivered.await {
            Ok(()) => Answer::Took,
            Err(status) => {
                info!(ingester = id, addr, error = %status, "a hand-off was not taken");
                answer(&status)
            }
        }
    }

    /// Finds where an ingester is now: it may have come back elsewhere.
    fn addr(&self, id: &str) -> Option<String> {
        let ring = self.ring.load();
        ring.instance(id).map(|instance| instance.addr.clone())
    }

    /// Forgets ingesters that left the ring, unless something waits for them.
    fn forget_absent(&self) {
        let ring = self.ring.load();
        self.outbox
            .read(|peers, _| peers.retain(|id| ring.instance(id).is_some()));
    }
}
