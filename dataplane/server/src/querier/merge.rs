//! Merges the profiles of a query, each once and at one of its holders.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};
use profile::{CallSite, Profile, Tree};
use prost::Message as _;
use proto::reader::v1::{MergeFormat, MergeRequest, MergeResponse, SelectRequest, SelectResponse};
use tokio::task::block_in_place;
use tonic::Status;
use tracing::warn;

use super::{
    assign::{Assignment, Key, keys},
    growth::{Bases, Named},
    read::{Answer, Readers},
    series::SeriesBuilder,
};
use crate::{clients::request, rpc::TenantId};

/// How often holders are asked what they have, for one query.
const MAX_SELECTS: usize = 3;

/// Longest wait for a holder whose profiles others have as well, when no other
/// has shown how long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many profiles that are apart from their bases are computed at once.
const CONCURRENT_VALUES: usize = 8;

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
        let mut holders = self.select(tenant, select).await?;
        let mut open = block_in_place(|| assignment(&holders));
        for selects in 1.. {
            merge.all(&mut open, &holders, &mut collect).await?;
            if open.is_done() {
                return Ok(());
            }
            if selects == MAX_SELECTS {
                break;
            }
            holders = self.select(tenant, select).await?;
            open = block_in_place(|| open.look_again(assignment(&holders)));
        }
        Err(unmerged(&open))
    }

    /// Gives the totals of all profiles, each once, to `series`.
    ///
    /// # Errors
    ///
    /// As [`Self::merge`].
    pub(crate) async fn totals(
        &self,
        tenant: &TenantId,
        select: &SelectRequest,
        series: &mut SeriesBuilder,
    ) -> Result<(), Status> {
        let holders = self.select(tenant, select).await?;
        let left = block_in_place(|| {
            let bases = Bases::new(held(&holders));
            held(&holders).for_each(|held| series.add(held, &bases));
            series.open()
        });
        if left.is_empty() {
            return Ok(());
        }
        let merge = Merge {
            readers: self,
            tenant,
            select,
            format: MergeFormat::Pprof,
        };
        let mut open = assignment(&holders).only(&left);
        merge
            .apart(&mut open, &holders, &mut |key, growth| {
                let values = growth.sample.iter().flat_map(|sample| &sample.value);
                series.close(key, values.fold(0, |sum, value| sum.saturating_add(*value)));
                Ok(())
            })
            .await?;
        match open.is_done() {
            true => Ok(()),
            false => Err(unmerged(&open)),
        }
    }
}

fn held(holders: &[Answer<SelectResponse>]) -> impl Iterator<Item = &SelectResponse> {
    holders.iter().map(|answer| &answer.message)
}

fn assignment(holders: &[Answer<SelectResponse>]) -> Assignment {
    Assignment::new(held(holders), &Bases::new(held(holders)))
}

fn unmerged(open: &Assignment) -> Status {
    Status::unavailable(format!(
        "all holders of {} profiles failed while they were read; try again",
        open.remaining()
    ))
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
                break;
            }
            self.round(open, holders, round, collect).await?;
        }
        let format = self.format;
        self.apart(open, holders, &mut |_, growth| match format {
            MergeFormat::Pprof => collect(&growth.encode_to_vec()),
            MergeFormat::Tree => {
                let mut tree = Tree::default();
                tree.insert_profile(growth, 0, &CallSite::default());
                collect(&tree.encode())
            }
        })
        .await
    }

    /// Computes the growth of profiles that no holder has together with their
    /// bases.
    async fn apart(
        &self,
        open: &mut Assignment,
        holders: &[Answer<SelectResponse>],
        each: &mut impl FnMut(&Key, &Profile) -> Result<(), Status>,
    ) -> Result<(), Status> {
        loop {
            let apart = block_in_place(|| open.apart(held(holders)));
            if apart.is_empty() {
                return Ok(());
            }
            let calls = apart.into_iter().map(|apart| async move {
                let profile = self.values(holders, apart.profile);
                let base = self.values(holders, apart.base);
                (apart.profile.0.key, futures::try_join!(profile, base))
            });
            let mut calls = stream::iter(calls).buffer_unordered(CONCURRENT_VALUES);
            while let Some((key, values)) = calls.next().await {
                match values {
                    Ok((profile, base)) => {
                        let growth = block_in_place(|| profile::growth(&profile, &base));
                        each(&key, &growth)?;
                        open.done(&key);
                    }
                    Err((holder, status)) => {
                        warn!(addr = holders[holder].addr, error = %status, "holder failed while merging");
                        open.failed(holder);
                    }
                }
            }
        }
    }

    /// Gets the values of a profile as they are; an error comes with the holder.
    async fn values(
        &self,
        holders: &[Answer<SelectResponse>],
        (profile, holder): (Named, usize),
    ) -> Result<Profile, (usize, Status)> {
        let message = MergeRequest {
            select: Some(SelectRequest {
                start: profile.timestamp,
                end: profile.timestamp,
                ..self.select.clone()
            }),
            keys: Bytes::copy_from_slice(&profile.key),
            bases: Bytes::new(),
            format: MergeFormat::Pprof.into(),
        };
        let values = async {
            let answer = self.call(&holders[holder].addr, message).await?;
            if !answer.missing.is_empty() {
                return Err(Status::not_found("it no longer has what it named"));
            }
            Profile::decode(answer.data)
                .map_err(|error| Status::internal(format!("it sent a bad profile: {error}")))
        };
        values.await.map_err(|status| (holder, status))
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
            .map(|(holder, given)| {
                let addr = &holders[*holder].addr;
                let part = self.call(addr, self.part(given, open.bases(given)));
                async move { (*holder, given, part.await) }
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

    fn part(&self, given: &[Key], bases: Bytes) -> MergeRequest {
        MergeRequest {
            select: Some(self.select.clone()),
            keys: given.concat().into(),
            bases,
            format: self.format.into(),
        }
    }

    async fn call(&self, addr: &str, message: MergeRequest) -> Result<MergeResponse, Status> {
        let timeout = self.readers.timeout;
        let request = request(self.tenant, timeout, message);
        let call = async { self.readers.clients.reader(addr)?.merge(request).await };
        match tokio::time::timeout(timeout, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}
