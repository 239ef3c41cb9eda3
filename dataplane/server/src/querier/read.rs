//! Reads from every holder of profiles in the ring.
//!
//! A write is acknowledged by a quorum of W holders, so any W−1 of them, or with
//! zones on all those of W−1 zones, may be missing and each acknowledged profile
//! is still seen. One more and a read fails: a short answer is never given as a
//! whole one.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use proto::{
    ingester::v1::ingester_service_client::IngesterServiceClient,
    reader::v1::{Run, SelectRequest, SelectResponse},
};
use tonic::{Request, Response, Status, transport::Channel};
use tracing::warn;

use super::assign::KEY_BYTES;
use crate::{
    clients::{Clients, request},
    ring_view::{RingView, unix_seconds},
    rpc::TenantId,
};

/// Longest wait for another holder when those that a complete answer needs have
/// answered: one that hangs must not slow down every query.
const STRAGGLER_WAIT: Duration = Duration::from_secs(1);

/// Asks the ingesters of the ring.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    ring: RingView,
    pub(super) clients: Arc<Clients>,
    pub(super) timeout: Duration,
}

/// What one holder answered.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) addr: String,
    pub(super) message: T,
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
    pub(super) async fn select(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
    ) -> Result<Vec<Answer<SelectResponse>>, Status> {
        let ask_one = |addr: String| {
            let request = request(tenant, self.timeout, select.clone());
            let client = self.clients.reader(&addr);
            async move { complete(client?.select(request).await?.into_inner()) }
        };
        self.gather(ask_one).await
    }

    /// Calls every holder at once and fails when too many of them do.
    async fn gather<T, Fut>(&self, call: impl Fn(String) -> Fut) -> Result<Vec<Answer<T>>, Status>
    where
        Fut: Future<Output = Result<T, Status>>,
    {
        let set = self
            .ring
            .load()
            .read_set(unix_seconds())
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut calls: FuturesUnordered<_> = set
            .addrs()
            .map(|addr| {
                let addr = addr.to_owned();
                let call = tokio::time::timeout(self.timeout, call(addr.clone()));
                async move {
                    let slow = |_| Err(Status::deadline_exceeded("no answer in time"));
                    (addr, call.await.unwrap_or_else(slow))
                }
            })
            .collect();
        let mut answers: Vec<Answer<T>> = Vec::with_capacity(calls.len());
        let is_complete = |answers: &[Answer<T>]| {
            set.is_complete(|addr| answers.iter().any(|answer| answer.addr == addr))
        };
        let mut failed = Vec::new();
        loop {
            let next = if is_complete(&answers) {
                let next = tokio::time::timeout(STRAGGLER_WAIT, calls.next());
                next.await.unwrap_or(None)
            } else {
                calls.next().await
            };
            let Some((addr, result)) = next else {
                break;
            };
            match result {
                Ok(message) => answers.push(Answer { addr, message }),
                Err(status) if status.code() == tonic::Code::InvalidArgument => return Err(status),
                Err(status) => {
                    warn!(addr, error = %status, "ingester does not answer");
                    failed.push(format!("{addr}: {}", status.message()));
                }
            }
        }
        if !is_complete(&answers) {
            return Err(Status::unavailable(format!(
                "too many ingesters are missing for a complete answer, {} tolerated; {} have answered: {}",
                set.tolerated(),
                answers.len(),
                failed.join("; ")
            )));
        }
        Ok(answers)
    }
}

/// Passes on an answer that says as much of each profile as of every other.
fn complete(answer: SelectResponse) -> Result<SelectResponse, Status> {
    let profiles = answer.timestamps.len();
    let known = |&index: &u32| (index as usize) < answer.series.len();
    let whole = answer.keys.len() == profiles * KEY_BYTES
        && answer.totals.len() == profiles
        && answer.series_index.len() == profiles
        && answer.series_index.iter().all(known)
        && are_in_order(&answer.runs, profiles);
    if whole {
        Ok(answer)
    } else {
        Err(Status::internal("the columns of its answer do not match"))
    }
}

/// Tells whether each run is of profiles that exist and are of no other.
fn are_in_order(runs: &[Run], profiles: usize) -> bool {
    let mut end = 0;
    runs.iter().all(|run| {
        let first = run.first as usize;
        let follows = end <= first;
        end = first + run.count as usize;
        follows && end <= profiles && matches!(run.base.len(), 0 | KEY_BYTES)
    })
}

#[cfg(test)]
mod tests {
    use proto::reader::v1::SeriesLabels;

    use super::*;

    #[test]
    fn an_answer_with_columns_of_different_lengths_is_none() {
        let whole = SelectResponse {
            keys: vec![0; KEY_BYTES].into(),
            timestamps: vec![1],
            totals: vec![1],
            series_index: vec![0],
            series: vec![SeriesLabels::default()],
            runs: Vec::new(),
        };
        assert!(complete(whole.clone()).is_ok());
        let short = SelectResponse {
            totals: Vec::new(),
            ..whole.clone()
        };
        assert!(complete(short).is_err());
        let unknown_series = SelectResponse {
            series: Vec::new(),
            ..whole.clone()
        };
        assert!(complete(unknown_series).is_err());
        let with_runs = |runs: &[(u32, u32)]| {
            let run = |&(first, count)| Run {
                first,
                count,
                ..Run::default()
            };
            complete(SelectResponse {
                runs: runs.iter().map(run).collect(),
                ..whole.clone()
            })
        };
        assert!(with_runs(&[(0, 0), (0, 1), (1, 0)]).is_ok());
        for wrong in [&[(0, 2)][..], &[(u32::MAX, u32::MAX)], &[(0, 1), (0, 1)]] {
            assert!(with_runs(wrong).is_err(), "{wrong:?}");
        }
    }
}
