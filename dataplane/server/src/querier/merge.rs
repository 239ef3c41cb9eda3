//! Merges the profiles of a query, each once and at one of its holders.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream::FuturesUnordered};
use proto::reader::v1::{MergeFormat, MergeRequest, MergeResponse, SelectRequest, SelectResponse};
use tokio::task::block_in_place;
use tonic::Status;
use tracing::warn;

use super::{
    assign::{Assignment, Key, keys},
    read::{Answer, Readers},
};
use crate::{clients::request, rpc::TenantId};

/// How often holders are asked what they have, for one query.
const MAX_SELECTS: usize = 3;

/// Longest wait for a holder whose profiles others have as well, when no other
/// has shown how long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shortest such wait.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

impl Readers {
    /// Merges each profile once, at one of its holders. `collect` gets every
    /// partial result in the `format`.
    ///
    /// Another holder steps in for one that fails or hangs meanwhile. Profiles
    /// that nobody is left to merge are looked for again.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`], and `unavailable` when holders fail again and again.
    pub(crate) async fn merge(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
        format: MergeFormat,
        mut collect: impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let merge = Merge {
            readers: self,
            tenant,
            select,
            format,
        };
        let mut holders = self.select_with_holders(tenant, select).await?;
        let mut open = block_in_place(|| Assignment::new(held(&holders)));
        for selects in 1.. {
            merge.all(&mut open, &holders, &mut collect).await?;
            if open.is_done() {
                return Ok(());
            }
            if selects == MAX_SELECTS {
                break;
            }
            holders = self.select_with_holders(tenant, select).await?;
            block_in_place(|| open.look_again(held(&holders)));
        }
        Err(Status::unavailable(format!(
            "all holders of {} profiles failed while they were read; try again",
            open.remaining()
        )))
    }
}

fn held(holders: &[Answer<SelectResponse>]) -> impl Iterator<Item = &SelectResponse> {
    holders.iter().map(|answer| &answer.message)
}

/// What holders are asked to merge.
struct Merge<'a> {
    readers: &'a Readers,
    tenant: &'a TenantId,
    select: &'a SelectRequest,
    format: MergeFormat,
}

impl Merge<'_> {
    /// Merges what these holders can merge.
    async fn all(
        &self,
        open: &mut Assignment,
        holders: &[Answer<SelectResponse>],
        collect: &mut impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        loop {
            let round = block_in_place(|| open.next_round());
            if round.is_empty() {
                return Ok(());
            }
            self.round(open, holders, round, collect).await?;
        }
    }

    /// Asks each holder for its part, and gives those up that are much slower
    /// than the rest and can be replaced.
    async fn round(
        &self,
        open: &mut Assignment,
        holders: &[Answer<SelectResponse>],
        round: Vec<(usize, Vec<Key>)>,
        collect: &mut impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let began = Instant::now();
        let mut patience = PATIENCE;
        let mut calls: FuturesUnordered<_> = round
            .iter()
            .map(|(holder, given)| async move {
                let addr = &holders[*holder].addr;
                (*holder, given, self.part(addr, given).await)
            })
            .collect();
        let mut waiting: Vec<&(usize, Vec<Key>)> = round.iter().collect();
        while !waiting.is_empty() {
            let replaceable = waiting
                .iter()
                .all(|(holder, given)| open.can_do_without(*holder, given));
            let wait = match replaceable {
                true => patience.saturating_sub(began.elapsed()),
                false => Duration::MAX,
            };
            let Ok(next) = tokio::time::timeout(wait, calls.next()).await else {
                break;
            };
            let Some((holder, given, answer)) = next else {
                break;
            };
            waiting.retain(|(other, _)| *other != holder);
            match answer {
                Ok(answer) => {
                    patience = (3 * began.elapsed()).max(LEAST_PATIENCE);
                    block_in_place(|| {
                        let missing = keys(&answer.missing).collect();
                        open.merged(holder, given, &missing);
                        collect(&answer.data)
                    })?;
                }
                Err(status) => {
                    warn!(addr = holders[holder].addr, error = %status, "holder failed while merging");
                    open.failed(holder);
                }
            }
        }
        for (holder, _) in waiting {
            warn!(
                addr = holders[*holder].addr,
                "holder is too slow to merge; others step in"
            );
            open.failed(*holder);
        }
        Ok(())
    }

    async fn part(&self, addr: &str, given: &[Key]) -> Result<MergeResponse, Status> {
        let message = MergeRequest {
            select: Some(self.select.clone()),
            keys: given.concat().into(),
            format: self.format.into(),
        };
        let timeout = self.readers.timeout;
        let request = request(self.tenant, timeout, message);
        let call = async { self.readers.clients.reader(addr)?.merge(request).await };
        match tokio::time::timeout(timeout, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}
