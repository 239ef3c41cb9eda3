//! The way of a profile from its bytes to the log and the head.

use std::sync::Arc;

use profile::pprof::{self, Limits};
use profile::{Labels, PprofError, ProfileType, labels};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::database::Engine;
use crate::head::{NewProfile, NewSeries};
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
    new: NewProfile,
    payload: Vec<u8>,
}

/// Stores profiles: see [`Database::push`](crate::Database::push).
pub(crate) async fn push(
    engine: Arc<Engine>,
    tenant: String,
    profiles: Vec<IncomingProfile>,
    limits: PushLimits,
) -> Result<(), PushError> {
    let total = profiles.len();
    let refused = || everything_refused(&profiles);
    if engine.is_closed() {
        return Err(refused());
    }
    let admitting = engine.clone();
    let to_admit = profiles.clone();
    let admitted = spawn_blocking(move || admit(&admitting, &tenant, to_admit, limits)).await;
    let mut progress = admitted.map_err(|_| refused())?;
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
                stored: total - rejected.len(),
                rejected,
            })
        }
    }
}

/// Rejects a push that came while the database, or the runtime, shuts down.
pub(crate) fn everything_refused(profiles: &[IncomingProfile]) -> PushError {
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
    profiles: Vec<IncomingProfile>,
    limits: PushLimits,
) -> Progress {
    let mut progress = Progress::default();
    for (index, incoming) in profiles.into_iter().enumerate() {
        let labels = incoming.labels.clone();
        match admit_one(engine, tenant, &incoming, limits) {
            Ok((Admitted::Claimed(claim), new, payload)) => {
                progress.claimed.push(Claimed {
                    index,
                    claim,
                    new,
                    payload,
                });
            }
            Ok((Admitted::Pending(stored), ..)) => progress.pending.push((index, labels, stored)),
            Ok((Admitted::Stored, ..)) => drop(engine.head_metrics.duplicates.inc()),
            Err(reason) => progress.rejected.push(Rejected {
                index,
                labels,
                reason,
            }),
        }
    }
    progress
}

fn admit_one(
    engine: &Engine,
    tenant: &str,
    incoming: &IncomingProfile,
    limits: PushLimits,
) -> Result<(Admitted, NewProfile, Vec<u8>), RejectReason> {
    let IncomingProfile { labels, id, raw } = incoming;
    let mut profile = pprof::decode(raw, LIMITS.uncompressed_bytes)?;
    pprof::validate(&profile, &LIMITS)?;
    pprof::normalise(&mut profile, &LIMITS);
    let new = new_profile(labels.clone(), *id, profile);
    let timestamp = new.timestamp;
    let record = Record {
        tenant,
        labels: labels.clone(),
        id: *id,
        timestamp,
        raw,
    };
    let payload = record.encode()?;
    let tenant = engine.tenant_or_new(tenant)?;
    let (room, now) = (payload.len(), engine.now());
    let admitted = tenant.admit(&new, room, limits.max_series, &engine.budget, now)?;
    Ok((admitted, new, payload))
}

/// Writes what this push claimed: to the log, and then to the head.
///
/// # Errors
/// The runtime shuts down.
async fn write(
    engine: &Arc<Engine>,
    progress: &mut Progress,
) -> Result<(), tokio::task::JoinError> {
    let mut claimed = std::mem::take(&mut progress.claimed);
    if claimed.is_empty() {
        return Ok(());
    }
    let payloads = claimed
        .iter_mut()
        .map(|one| std::mem::take(&mut one.payload))
        .collect();
    if let Err(error) = engine.wal.append(payloads).await {
        let rejected = claimed.into_iter().map(|Claimed { index, new, .. }| {
            let reason = match error.clone() {
                LogError::Closed => RejectReason::Closed,
                error => RejectReason::Log(error),
            };
            Rejected {
                index,
                labels: new.labels,
                reason,
            }
        });
        progress.rejected.extend(rejected);
        return Ok(());
    }
    let engine = engine.clone();
    spawn_blocking(move || {
        for Claimed { claim, new, .. } in claimed {
            engine.count(claim.fulfil(&new));
        }
    })
    .await
}

/// Reads a profile back from the log. It was validated when it was pushed, and
/// is not refused now by rules that came later.
pub(crate) fn from_record(record: &Record<'_>) -> Result<NewProfile, PprofError> {
    let mut profile = pprof::decode(record.raw, LIMITS.uncompressed_bytes)?;
    pprof::normalise(&mut profile, &LIMITS);
    Ok(new_profile(record.labels.clone(), record.id, profile))
}

fn new_profile(labels: Labels, id: [u8; 16], profile: profile::Profile) -> NewProfile {
    let name = labels.get(labels::NAME).unwrap_or_default();
    let mut series: Vec<NewSeries> = Vec::new();
    for (column, profile_type) in ProfileType::of_columns(name, &profile)
        .into_iter()
        .enumerate()
    {
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
    let timestamp = profile.time_nanos.div_euclid(1_000_000);
    NewProfile {
        labels,
        id,
        timestamp,
        profile,
        series,
    }
}
