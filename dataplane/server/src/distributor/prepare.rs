//! From what a client pushed to what ingesters store; pure.
//!
//! Each series of a request stands for itself: those that are valid come out
//! ready to be sent, the others as the reason why not.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use profile::{
    Labels, PprofError, Profile,
    pprof::{self, ReusedView, View},
};
use proto::push::v1::RawProfileSeries;
use store::Digest;
use xxhash_rust::xxh3::Xxh3;

use super::{
    clean,
    rejection::{Reason, Rejection, Rejections},
    sample_types,
};
use crate::{overrides::Limits, rpc::TenantId};

/// One profile of one series, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Position of its series in the request.
    pub series: usize,
    /// The labels it is stored and sharded under.
    pub labels: Labels,
    /// Its position in the ring.
    pub token: u32,
    /// The same for each retry of the same push, so that replicas and retries
    /// of a profile are known as one.
    pub id: [u8; 16],
    /// A pprof, gzip or plain: as it was received if nothing had to change.
    pub raw: Bytes,
    /// What `raw` says, for an ingester of this process, if it is at hand.
    pub view: Option<Arc<ReusedView>>,
    /// What `raw` says but for its symbols, if it is at hand.
    pub digest: Option<Arc<Digest>>,
}

/// What profiles are prepared for.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Whose they are.
    pub tenant: TenantId,
    /// What the tenant may push.
    pub limits: Arc<Limits>,
    /// Unix nanoseconds.
    pub now: i64,
    /// Under which ingesters hash stacks.
    pub digest_key: u64,
}

/// The outcome of a request's series.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What can be stored.
    pub prepared: Vec<Prepared>,
    /// What is refused.
    pub rejections: Rejections,
    /// Bytes of the valid profiles before compression: what rates count.
    pub bytes: usize,
    /// Profiles in the request, good and bad.
    pub received: usize,
}

/// A valid profile with its labels, and the bytes that identify it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The labels as pushed; their limits are checked when the profile is cut
    /// into series.
    pub labels: Labels,
    view: ReusedView,
    raw: Bytes,
    /// Whether the view says what the bytes do.
    as_received: bool,
}

impl Parsed {
    /// Reads a pprof, gzip or plain. Its labels are left to set.
    pub(crate) fn pprof(raw: Bytes, limits: &Limits) -> Result<Self, PprofError> {
        let mut view = ReusedView::take();
        view.decode(&raw, limits.profile.uncompressed_bytes)?;
        view.validate(&limits.profile)?;
        Ok(Self {
            labels: Labels::default(),
            view,
            raw,
            as_received: true,
        })
    }

    /// The profile.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Gives the profile a time, in Unix nanoseconds, if it has none.
    pub(crate) fn stamp(&mut self, time: i64) {
        if self.view.time_nanos() == 0 {
            self.view.set_time_nanos(time);
            self.as_received = false;
        }
    }
}

/// Pushes of up to so many bytes before compression are small.
const SMALL_BYTES: usize = 512 << 10;

/// Tells whether preparing takes less time than handing it to another thread is
/// worth.
pub(crate) fn is_small(series: &[RawProfileSeries]) -> bool {
    let samples = series.iter().flat_map(|one| &one.samples);
    let bytes: usize = samples
        .map(|sample| pprof::claimed_bytes(&sample.raw_profile))
        .sum();
    bytes <= SMALL_BYTES
}

/// Prepares every profile of `series`.
pub(crate) fn prepare(series: Vec<RawProfileSeries>, terms: &Terms) -> Outcome {
    let limits = &*terms.limits;
    let mut outcome = Outcome::default();
    for (position, one) in series.into_iter().enumerate() {
        outcome.received += one.samples.len();
        let labels = match clean::series_labels(one.labels, limits) {
            Ok(labels) => labels,
            Err(error) => {
                outcome
                    .rejections
                    .push(Rejection::of_labels(position, &error));
                continue;
            }
        };
        for sample in one.samples {
            let parsed = parse(position, &labels, sample.raw_profile, limits);
            outcome.add(position, parsed, terms);
        }
    }
    outcome
}

/// Prepares profiles that are parsed already, or refused, one after the other.
pub(crate) fn prepare_parsed(
    profiles: impl IntoIterator<Item = Result<Parsed, Rejection>>,
    terms: &Terms,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (position, parsed) in profiles.into_iter().enumerate() {
        outcome.received += 1;
        outcome.add(position, parsed, terms);
    }
    outcome
}

impl Outcome {
    fn add(&mut self, series: usize, parsed: Result<Parsed, Rejection>, terms: &Terms) {
        let finished = parsed.and_then(|parsed| {
            let bytes = parsed.view.uncompressed_bytes();
            finish(series, parsed, terms).map(|prepared| (prepared, bytes))
        });
        match finished {
            Ok((prepared, bytes)) => {
                self.prepared.extend(prepared);
                self.bytes += bytes;
            }
            Err(rejection) => self.rejections.push(rejection),
        }
    }
}

fn parse(series: usize, labels: &Labels, raw: Bytes, limits: &Limits) -> Result<Parsed, Rejection> {
    let parsed = Parsed::pprof(raw, limits)
        .map_err(|error| Rejection::of_profile(series, labels, &error))?;
    Ok(Parsed {
        labels: labels.clone(),
        ..parsed
    })
}

/// Stamps, cleans and cuts a profile into one per series. One that needs none of
/// it is passed on as it was received: ingesters clean what they are given.
fn finish(series: usize, mut parsed: Parsed, terms: &Terms) -> Result<Vec<Prepared>, Rejection> {
    let Terms {
        tenant,
        limits,
        now,
        digest_key,
    } = terms;
    parsed.stamp(*now);
    let Parsed {
        labels,
        mut view,
        raw,
        as_received,
    } = parsed;
    let time = view.time_nanos();
    Window::around(*now, limits)
        .check(&labels, time)
        .map_err(|message| Rejection {
            series,
            labels: labels.clone(),
            reason: Reason::NotInIngestionWindow,
            message,
        })?;
    view.normalise(&limits.profile);
    if view.is_empty() {
        return Ok(Vec::new());
    }
    let prepared = |labels: Labels, profile: Option<Profile>| {
        // Rules may give the same labels to several, which stay different profiles.
        let id = identity(tenant, &labels.to_string(), time, &raw);
        let Some(labels) = limits.relabeling.apply(labels) else {
            return Ok(None);
        };
        limits
            .labels
            .check(&labels)
            .map_err(|error| Rejection::of_labels(series, &error))?;
        let raw = match profile {
            None => raw.clone(),
            Some(mut profile) => {
                if !sample_types::retain(&mut profile, &labels, &limits.sample_types) {
                    return Ok(None);
                }
                pprof::encode_gzip(&profile).into()
            }
        };
        Ok(Some(Prepared {
            series,
            token: ring::token::token_for(tenant.as_str(), &labels.to_string()),
            id,
            raw,
            view: None,
            digest: None,
            labels,
        }))
    };
    let all_sample_types = limits.sample_types.is_empty();
    if as_received && !view.is_cut() && !view.has_series_labels() && all_sample_types {
        let as_read = |prepared: Prepared| Prepared {
            digest: Some(Arc::new(Digest::of(&view, &prepared.raw, *digest_key))),
            view: Some(Arc::new(view)),
            ..prepared
        };
        return Ok(prepared(labels, None)?.map(as_read).into_iter().collect());
    }
    let parts = view.split_by_sample_labels(&labels).into_iter();
    parts
        .filter_map(|(labels, profile)| prepared(labels, Some(profile)).transpose())
        .collect()
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
