//! From what a client pushed to what ingesters store; pure.
//!
//! Each series of a request stands for itself: those that are valid come out
//! ready to be sent, the others as the reason why not.

use std::fmt;

use bytes::Bytes;
use profile::{
    LabelLimits, Labels,
    labels::{SERVICE_NAME, SESSION_ID},
    pprof,
};
use proto::{google::v1::Profile, push::v1::RawProfileSeries};
use xxhash_rust::xxh3::Xxh3;

use crate::rpc::TenantId;

const UNKNOWN_SERVICE: &str = "unknown_service";

/// Most reasons kept for the answer to a push.
const MAX_REASONS: usize = 10;

/// What is accepted from one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Limits of the series labels.
    pub labels: LabelLimits,
    /// Limits of each profile.
    pub profile: pprof::Limits,
    /// How far back a profile's time may lie, in nanoseconds; 0: any time.
    pub reject_older_than: i64,
    /// How far ahead a profile's time may lie, in nanoseconds; 0: any time.
    pub reject_newer_than: i64,
}

/// One profile of one series, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// The labels it is stored and sharded under.
    pub labels: Labels,
    /// Its position in the ring.
    pub token: u32,
    /// The same for each retry of the same push, so that replicas and retries
    /// of a profile are known as one.
    pub id: [u8; 16],
    /// A gzipped pprof.
    pub raw: Bytes,
}

/// The outcome of a request's series.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What can be stored.
    pub prepared: Vec<Prepared>,
    /// Why the first of the rest are refused; each the client's fault.
    pub reasons: Vec<String>,
    /// How many are refused.
    pub rejected: usize,
    /// Bytes of the valid profiles before compression: what rates count.
    pub bytes: usize,
    /// Profiles in the request, good and bad.
    pub received: usize,
}

/// A decoded profile with its labels, and the bytes that identify it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The labels as pushed; their limits are checked when the profile is cut
    /// into series.
    pub labels: Labels,
    /// A validated profile.
    pub profile: Profile,
    /// The profile as it was received.
    pub raw: Bytes,
    /// Size of the profile before compression.
    pub bytes: usize,
}

/// Prepares every profile of `series`. `now` is in Unix nanoseconds.
pub(crate) fn prepare(
    tenant: &TenantId,
    series: Vec<RawProfileSeries>,
    limits: &Limits,
    now: i64,
) -> Outcome {
    let mut outcome = Outcome::default();
    for one in series {
        outcome.received += one.samples.len();
        let labels = match series_labels(one.labels) {
            Ok(labels) => labels,
            Err(reason) => {
                outcome.reject(reason);
                continue;
            }
        };
        for sample in one.samples {
            outcome.add(
                parse(&labels, sample.raw_profile, limits),
                tenant,
                limits,
                now,
            );
        }
    }
    outcome
}

/// Prepares one profile that is parsed and valid.
pub(crate) fn prepare_one(tenant: &TenantId, parsed: Parsed, limits: &Limits, now: i64) -> Outcome {
    let mut outcome = Outcome {
        received: 1,
        ..Outcome::default()
    };
    outcome.add(Ok(parsed), tenant, limits, now);
    outcome
}

impl Outcome {
    fn add(
        &mut self,
        parsed: Result<Parsed, String>,
        tenant: &TenantId,
        limits: &Limits,
        now: i64,
    ) {
        let finished = parsed.and_then(|parsed| {
            let bytes = parsed.bytes;
            finish(tenant, parsed, limits, now).map(|prepared| (prepared, bytes))
        });
        match finished {
            Ok((prepared, bytes)) => {
                self.prepared.extend(prepared);
                self.bytes += bytes;
            }
            Err(reason) => self.reject(reason),
        }
    }

    fn reject(&mut self, reason: String) {
        self.rejected += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason);
        }
    }
}

fn series_labels(pairs: Vec<proto::types::v1::LabelPair>) -> Result<Labels, String> {
    Ok(complete(
        &Labels::from_proto(pairs).map_err(|error| error.to_string())?,
    ))
}

/// Adds the service name where it is missing and drops the session.
pub(crate) fn complete(labels: &Labels) -> Labels {
    let labels = labels.without(SESSION_ID);
    if labels.get(SERVICE_NAME).is_some() {
        labels
    } else {
        labels.with(SERVICE_NAME, UNKNOWN_SERVICE)
    }
}

fn parse(labels: &Labels, raw: Bytes, limits: &Limits) -> Result<Parsed, String> {
    limits
        .labels
        .check(labels)
        .map_err(|error| error.to_string())?;
    let decoded = pprof::decode(&raw, limits.profile.uncompressed_bytes)
        .and_then(|profile| pprof::validate(&profile, &limits.profile).map(|()| profile));
    let profile = decoded.map_err(|error| format!("profile with labels '{labels}': {error}"))?;
    let bytes = prost::Message::encoded_len(&profile);
    Ok(Parsed {
        labels: labels.clone(),
        profile,
        raw,
        bytes,
    })
}

/// Stamps, cleans and cuts a profile into one per series.
fn finish(
    tenant: &TenantId,
    parsed: Parsed,
    limits: &Limits,
    now: i64,
) -> Result<Vec<Prepared>, String> {
    let Parsed {
        labels,
        mut profile,
        raw,
        ..
    } = parsed;
    if profile.time_nanos == 0 {
        profile.time_nanos = now;
    }
    let time = profile.time_nanos;
    Window::around(now, limits).check(&labels, time)?;
    pprof::normalise(&mut profile, &limits.profile);
    if profile.sample.is_empty() {
        return Ok(Vec::new());
    }
    let mut prepared = Vec::new();
    for (labels, profile) in pprof::split_by_sample_labels(profile, &labels) {
        limits
            .labels
            .check(&labels)
            .map_err(|error| error.to_string())?;
        let text = labels.to_string();
        prepared.push(Prepared {
            token: ring::token::token_for(tenant.as_str(), &text),
            id: identity(tenant, &text, time, &raw),
            raw: pprof::encode_gzip(&profile).into(),
            labels,
        });
    }
    Ok(prepared)
}

fn identity(tenant: &TenantId, labels: &str, time_nanos: i64, raw: &[u8]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    for part in [
        tenant.as_str().as_bytes(),
        labels.as_bytes(),
        &time_nanos.to_le_bytes(),
        raw,
    ] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128().to_be_bytes()
}

/// The times, in Unix nanoseconds, that profiles may carry.
struct Window {
    start: Option<i64>,
    end: Option<i64>,
}

impl Window {
    fn around(now: i64, limits: &Limits) -> Self {
        let set = |duration: i64| (duration > 0).then_some(duration);
        Self {
            start: set(limits.reject_older_than).map(|age| now.saturating_sub(age)),
            end: set(limits.reject_newer_than).map(|lead| now.saturating_add(lead)),
        }
    }

    fn check(&self, labels: &Labels, time: i64) -> Result<(), String> {
        let early = self.start.is_some_and(|start| time < start);
        let late = self.end.is_some_and(|end| time > end);
        if !early && !late {
            return Ok(());
        }
        Err(format!(
            "profile with labels '{labels}' is outside of ingestion window (profile timestamp: {}, {self})",
            rfc3339(time),
        ))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.start, self.end) {
            (Some(start), Some(end)) => write!(
                f,
                "the ingestion window starts at {} and ends at {}",
                rfc3339(start),
                rfc3339(end)
            ),
            (Some(start), None) => write!(f, "the ingestion window starts at {}", rfc3339(start)),
            (None, Some(end)) => write!(f, "the ingestion window ends at {}", rfc3339(end)),
            (None, None) => f.write_str("the ingestion window is open"),
        }
    }
}

fn rfc3339(nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanos)).map_or_else(
        |_| format!("{nanos} ns"),
        |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}
