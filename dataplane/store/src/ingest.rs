//! The way of a profile from its bytes to the log and the head.

use std::sync::Arc;

use profile::pprof::{Limits, ReusedView, View, claimed_bytes};
use profile::{Labels, PprofError, labels};
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

use crate::database::Engine;
use crate::digest::Digest;
use crate::head::{NewProfile, NewSeries, Place, cost};
use crate::push::{IncomingProfile, PushError, PushLimits, RejectReason, Rejected};
use crate::tenant::{Admitted, Claim};
use crate::wal::{LogError, Record};

/// Limits of what the head takes, the same in a push and in replay, so that what
/// was stored once can be replayed always. Those of tenants are the
/// distributor's, and lower.
const LIMITS: Limits = Limits {
    uncompressed_bytes: 64 << 20,
    samples: usize::MAX,
    sample_labels: usize::MAX,
    stack_depth: 10_000,
    symbol_bytes: usize::MAX,
};

/// What becomes of the profiles of a push.
#[derive(Debug, Default)]
struct Progress {
    rejected: Vec<Rejected>,
    /// To be written by this push.
    claimed: Vec<Claimed>,
    /// Being written by another push.
    pending: Vec<(usize, Labels, watch::Receiver<bool>)>,
}

#[derive(Debug)]
struct Claimed {
    index: usize,
    claim: Claim,
    place: Place,
    new: NewProfile,
    payload: Vec<u8>,
}

/// A profile of the log.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) place: Place,
    pub(crate) digest: Digest,
    pub(crate) view: ReusedView,
}

/// Where the stacks of a profile are.
#[derive(Debug)]
enum Stacks<'a> {
    Known(Vec<u32>),
    In(&'a View),
}

/// Pushes of up to so many bytes before compression are read where they arrive:
/// changing threads would cost more than it keeps others waiting.
const SMALL_BYTES: usize = 512 << 10;

/// As many profiles are made visible where their push was, for the same reason.
const SMALL_COUNT: usize = 64;

/// Stores profiles: see [`Database::push`](crate::Database::push).
pub(crate) async fn push(
    engine: Arc<Engine>,
    tenant: Arc<str>,
    profiles: Arc<[IncomingProfile]>,
    limits: PushLimits,
) -> Result<(), PushError> {
    let refused = || everything_refused(&profiles);
    if engine.is_closed() {
        return Err(refused());
    }
    let bytes: usize = profiles.iter().map(|one| claimed_bytes(&one.raw)).sum();
    let (admitting, to_admit) = (engine.clone(), profiles.clone());
    let admit = move || admit(&admitting, &tenant, &to_admit, limits);
    let mut progress = run(bytes <= SMALL_BYTES, admit)
        .await
        .map_err(|_| refused())?;
    write(&engine, &mut progress).await.map_err(|_| refused())?;
    for (index, labels, mut stored) in std::mem::take(&mut progress.pending) {
        // An error says that the other push dropped its claim.
        if stored.wait_for(|stored| *stored).await.is_err() {
            progress.rejected.push(Rejected {
                index,
                labels,
                reason: RejectReason::Superseded,
            });
        }
    }
    match progress.rejected {
        rejected if rejected.is_empty() => Ok(()),
        mut rejected => {
            rejected.sort_by_key(|rejected| rejected.index);
            Err(PushError {
                stored: profiles.len() - rejected.len(),
                rejected,
            })
        }
    }
}

/// Does work here if it is small, and else where it holds up nobody.
async fn run<T: Send + 'static>(
    is_small: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match is_small {
        true => Ok(work()),
        false => spawn_blocking(work).await,
    }
}

/// Rejects a push that came while the database, or the runtime, shuts down.
fn everything_refused(profiles: &[IncomingProfile]) -> PushError {
    let rejected = profiles
        .iter()
        .enumerate()
        .map(|(index, profile)| Rejected {
            index,
            labels: profile.labels.clone(),
            reason: RejectReason::Closed,
        });
    PushError {
        rejected: rejected.collect(),
        stored: 0,
    }
}

fn admit(
    engine: &Engine,
    tenant: &str,
    profiles: &[IncomingProfile],
    limits: PushLimits,
) -> Progress {
    let mut progress = Progress::default();
    for (index, incoming) in profiles.iter().enumerate() {
        let labels = || incoming.labels.clone();
        match admit_one(engine, tenant, incoming, limits, index) {
            Ok(Ok(claimed)) => progress.claimed.push(claimed),
            Ok(Err(Some(stored))) => progress.pending.push((index, labels(), stored)),
            Ok(Err(None)) => drop(engine.head_metrics.duplicates.inc()),
            Err(reason) => progress.rejected.push(Rejected {
                index,
                labels: labels(),
                reason,
            }),
        }
    }
    progress
}

/// What there is to wait for, if anything, instead of writing a profile.
type Known = Option<watch::Receiver<bool>>;

fn admit_one(
    engine: &Engine,
    tenant: &str,
    incoming: &IncomingProfile,
    limits: PushLimits,
    index: usize,
) -> Result<Result<Claimed, Known>, RejectReason> {
    let key = engine.key.get();
    let given = incoming.digest.as_deref();
    let given = given.filter(|digest| digest.key() == key);
    let known = given.and_then(|digest| engine.tenant(tenant)?.head.known(digest));
    if let Some((digest, stacks)) = given.zip(known) {
        let stacks = Stacks::Known(stacks);
        return claim(engine, tenant, incoming, digest, stacks, limits, index);
    }
    let read;
    let view = match &incoming.view {
        Some(view) => &**view,
        None => {
            read = view_of(&incoming.raw, View::validate)?;
            &read
        }
    };
    let made;
    let digest = match given {
        Some(digest) => digest,
        None => {
            made = Digest::of(view, &incoming.raw, key);
            &made
        }
    };
    let stacks = Stacks::In(view);
    claim(engine, tenant, incoming, digest, stacks, limits, index)
}

fn claim(
    engine: &Engine,
    tenant: &str,
    incoming: &IncomingProfile,
    digest: &Digest,
    stacks: Stacks<'_>,
    limits: PushLimits,
    index: usize,
) -> Result<Result<Claimed, Known>, RejectReason> {
    let place = place(incoming.labels.clone(), incoming.id, digest);
    let record = Record {
        tenant,
        labels: place.labels.clone(),
        id: place.id,
        timestamp: place.timestamp,
        raw: &incoming.raw,
    };
    let payload = record.encode()?;
    let series = place.series.iter().map(|series| &series.labels);
    let bound = cost::bound(digest, &place.labels, series) + payload.len() as u64;
    let bound = match &stacks {
        Stacks::Known(_) => bound,
        Stacks::In(view) => bound.saturating_add(cost::symbols_bound(view)),
    };
    let tenant = engine.tenant_or_new(tenant)?;
    let now = engine.now();
    let admitted = tenant.admit(&place, bound, limits.max_series, &engine.budget, now)?;
    let mut claim = match admitted {
        Admitted::Claimed(claim) => claim,
        Admitted::Pending(stored) => return Ok(Err(Some(stored))),
        Admitted::Stored => return Ok(Err(None)),
    };
    let new = match stacks {
        Stacks::Known(stacks) => {
            engine.head_metrics.digested.inc();
            NewProfile::of(digest, stacks)
        }
        Stacks::In(view) => claim.intern(view, digest),
    };
    Ok(Ok(Claimed {
        index,
        claim,
        place,
        new,
        payload,
    }))
}

/// Writes what this push claimed: to the log, and then to the head.
///
/// # Errors
/// The runtime shuts down.
async fn write(engine: &Arc<Engine>, progress: &mut Progress) -> Result<(), JoinError> {
    let mut claimed = std::mem::take(&mut progress.claimed);
    if claimed.is_empty() {
        return Ok(());
    }
    let payloads = claimed
        .iter_mut()
        .map(|one| std::mem::take(&mut one.payload))
        .collect();
    if let Err(error) = engine.wal.append(payloads).await {
        let rejected = claimed.into_iter().map(|Claimed { index, place, .. }| {
            let reason = match error.clone() {
                LogError::Closed => RejectReason::Closed,
                error => RejectReason::Log(error),
            };
            Rejected {
                index,
                labels: place.labels,
                reason,
            }
        });
        progress.rejected.extend(rejected);
        return Ok(());
    }
    let engine = engine.clone();
    run(claimed.len() <= SMALL_COUNT, move || {
        for Claimed {
            claim, place, new, ..
        } in claimed
        {
            engine.count(claim.fulfil(&place, new));
        }
    })
    .await
}

/// Reads a profile back from the log. It was validated when it was pushed, and
/// is not refused now by rules that came later. Its stacks are hashed under `key`.
pub(crate) fn from_record(record: &Record<'_>, key: u64) -> Result<Logged, PprofError> {
    let view = view_of(record.raw, |_, _| Ok(()))?;
    let digest = Digest::of(&view, record.raw, key);
    Ok(Logged {
        place: place(record.labels.clone(), record.id, &digest),
        digest,
        view,
    })
}

fn view_of(
    raw: &[u8],
    check: impl FnOnce(&View, &Limits) -> Result<(), PprofError>,
) -> Result<ReusedView, PprofError> {
    let mut view = ReusedView::take();
    view.decode(raw, LIMITS.uncompressed_bytes)?;
    check(&view, &LIMITS)?;
    view.normalise(&LIMITS);
    Ok(view)
}

fn place(labels: Labels, id: [u8; 16], digest: &Digest) -> Place {
    let name = labels.get(labels::NAME).unwrap_or_default();
    let mut series: Vec<NewSeries> = Vec::new();
    for (column, profile_type) in digest.profile_types(name).into_iter().enumerate() {
        // Of columns with the same type and unit the first counts, as for
        // whoever reads the pprof by type.
        if series
            .iter()
            .all(|before| before.profile_type != profile_type)
        {
            let labels = profile_type.series_labels(&labels);
            series.push(NewSeries {
                labels,
                profile_type,
                column,
            });
        }
    }
    let timestamp = digest.time_nanos().div_euclid(1_000_000);
    Place {
        labels,
        id,
        timestamp,
        series,
    }
}
