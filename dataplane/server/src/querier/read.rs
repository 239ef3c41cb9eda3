//! Reads from every holder of profiles in the ring.
//!
//! A write is acknowledged by a quorum of W holders, so any W−1 of them may be
//! missing and each acknowledged profile is still seen. One more and a read
//! fails: a short answer is never given as a whole one.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use proto::{
    ingester::v1::ingester_service_client::IngesterServiceClient,
    reader::v1::{MergeFormat, MergeRequest, SelectRequest, SelectResponse},
};
use tonic::{Request, Response, Status, transport::Channel};
use tracing::warn;

use super::assign::{Assignment, keys};
use crate::{
    clients::{Clients, request},
    ring_view::{RingView, unix_seconds},
    rpc::TenantId,
};

/// Asks the ingesters of the ring.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    ring: RingView,
    clients: Arc<Clients>,
    timeout: Duration,
}

/// What one holder answered.
#[derive(Debug)]
struct Answer<T> {
    addr: String,
    message: T,
}

impl Readers {
    /// Creates a reader of `ring`; a holder that takes longer than `timeout`
    /// counts as missing.
    pub(crate) fn new(ring: RingView, clients: Arc<Clients>, timeout: Duration) -> Self {
        Self {
            ring,
            clients,
            timeout,
        }
    }

    /// Asks every ingester by the API that other implementations share.
    ///
    /// # Errors
    ///
    /// `unavailable` when more holders are missing than the quorum allows; a
    /// holder's refusal of the request itself as it came.
    pub(crate) async fn ask<Req, Resp, F, Fut>(
        &self,
        tenant: &TenantId,
        message: Req,
        call: F,
    ) -> Result<Vec<Resp>, Status>
    where
        Req: Clone,
        F: Fn(IngesterServiceClient<Channel>, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        let ask_one = |addr: String| {
            let client = self.clients.ingester(&addr);
            let call =
                client.map(|client| call(client, request(tenant, self.timeout, message.clone())));
            async move { Ok(call?.await?.into_inner()) }
        };
        let answers = self.gather(ask_one).await?;
        Ok(answers.into_iter().map(|answer| answer.message).collect())
    }

    /// Names the profiles of every holder.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`].
    pub(crate) async fn select(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
    ) -> Result<Vec<SelectResponse>, Status> {
        let answers = self.select_with_holders(tenant, select).await?;
        Ok(answers.into_iter().map(|answer| answer.message).collect())
    }

    async fn select_with_holders(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
    ) -> Result<Vec<Answer<SelectResponse>>, Status> {
        let ask_one = |addr: String| {
            let request = request(tenant, self.timeout, select.clone());
            let client = self.clients.reader(&addr);
            async move { Ok(client?.select(request).await?.into_inner()) }
        };
        self.gather(ask_one).await
    }

    /// Merges each profile once, at one of its holders. `collect` gets every
    /// partial result in the `format`.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`], and `unavailable` when all holders of a profile fail
    /// between naming and merging it.
    pub(crate) async fn merge(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
        format: MergeFormat,
        mut collect: impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let holders = self.select_with_holders(tenant, select).await?;
        let mut open = Assignment::new(holders.iter().map(|answer| answer.message.keys.as_ref()));
        while !open.is_done() {
            let round = open.next_round().map_err(|orphans| {
                Status::unavailable(format!(
                    "all holders of {orphans} profiles failed while they were read; try again"
                ))
            })?;
            let mut calls: FuturesUnordered<_> = round
                .into_iter()
                .map(|(holder, given)| {
                    let message = MergeRequest {
                        select: Some(select.clone()),
                        keys: given.concat().into(),
                        format: format.into(),
                    };
                    let request = request(tenant, self.timeout, message);
                    let client = self.clients.reader(&holders[holder].addr);
                    async move {
                        let answer = async { Ok(client?.merge(request).await?.into_inner()) };
                        (holder, given, answer.await)
                    }
                })
                .collect();
            while let Some((holder, given, answer)) = calls.next().await {
                match answer {
                    Ok(answer) => {
                        collect(&answer.data)?;
                        let missing: Vec<_> = keys(&answer.missing).collect();
                        open.merged(holder, &given, &missing);
                    }
                    Err(status) => {
                        let status: Status = status;
                        warn!(addr = holders[holder].addr, error = %status, "holder failed while merging");
                        open.failed(holder);
                    }
                }
            }
        }
        Ok(())
    }

    /// Calls every holder at once and fails when too many of them do.
    async fn gather<T, Fut>(&self, call: impl Fn(String) -> Fut) -> Result<Vec<Answer<T>>, Status>
    where
        Fut: Future<Output = Result<T, Status>>,
    {
        let set = self
            .ring
            .load()
            .replication_set_for_read(unix_seconds())
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut calls: FuturesUnordered<_> = set
            .instances
            .iter()
            .map(|instance| {
                let addr = instance.addr.clone();
                let call = tokio::time::timeout(self.timeout, call(addr.clone()));
                async move {
                    let slow = |_| Err(Status::deadline_exceeded("no answer in time"));
                    (addr, call.await.unwrap_or_else(slow))
                }
            })
            .collect();
        let mut answers = Vec::with_capacity(set.instances.len());
        let mut failed = Vec::new();
        while let Some((addr, result)) = calls.next().await {
            match result {
                Ok(message) => answers.push(Answer { addr, message }),
                Err(status) if status.code() == tonic::Code::InvalidArgument => return Err(status),
                Err(status) => {
                    warn!(addr, error = %status, "ingester does not answer");
                    failed.push(format!("{addr}: {}", status.message()));
                }
            }
        }
        if failed.len() > set.max_errors {
            return Err(Status::unavailable(format!(
                "too many ingesters are missing for a complete answer ({} more than the {} that the \
                 replication factor allows to miss besides those without heartbeat): {}",
                failed.len() - set.max_errors,
                set.max_errors,
                failed.join("; ")
            )));
        }
        Ok(answers)
    }
}
