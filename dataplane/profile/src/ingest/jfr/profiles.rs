//! The profiles of a recording while it is read.

use super::super::stacks::{Header, Rows, Stack, Stacks};
use super::super::{Context, IngestError, Series};
use super::labels::Snapshot;
use crate::pprof::Limits;

/// Label that says what the recording samples.
const EVENT: &str = "jfr_event";

/// The event of recordings whose execution samples are of waiting threads too.
const WALL: &str = "wall";

/// All profiles have the stacks of one program, so its names may take more than
/// those of one profile.
const SHARED: usize = 4;

/// What one kind of event adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cpu,
    /// Wall time by execution samples; only some recordings mean it so.
    SampledWall,
    Wall,
    InTlab,
    OutsideTlab,
    AllocSample,
    Lock,
    Park,
    Live,
    Malloc,
}

const KINDS: [Kind; 10] = [
    Kind::Cpu,
    Kind::SampledWall,
    Kind::Wall,
    Kind::InTlab,
    Kind::OutsideTlab,
    Kind::AllocSample,
    Kind::Lock,
    Kind::Park,
    Kind::Live,
    Kind::Malloc,
];

/// Metric, sample types with their units, and the period's.
type Description = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<(&'static str, &'static str)>,
);

impl Kind {
    fn describe(self) -> Description {
        const SPACE: Option<(&str, &str)> = Some(("space", "bytes"));
        const CONTENTIONS: &[(&str, &str)] = &[("contentions", "count"), ("delay", "nanoseconds")];
        match self {
            Self::Cpu => (
                "process_cpu",
                &[("cpu", "nanoseconds")],
                Some(("cpu", "nanoseconds")),
            ),
            Self::SampledWall | Self::Wall => (
                "wall",
                &[("wall", "nanoseconds")],
                Some(("wall", "nanoseconds")),
            ),
            Self::InTlab => (
                "memory",
                &[
                    ("alloc_in_new_tlab_objects", "count"),
                    ("alloc_in_new_tlab_bytes", "bytes"),
                ],
                SPACE,
            ),
            Self::OutsideTlab => (
                "memory",
                &[
                    ("alloc_outside_tlab_objects", "count"),
                    ("alloc_outside_tlab_bytes", "bytes"),
                ],
                SPACE,
            ),
            Self::AllocSample => (
                "memory",
                &[
                    ("alloc_sample_objects", "count"),
                    ("alloc_sample_bytes", "bytes"),
                ],
                SPACE,
            ),
            Self::Lock => ("mutex", CONTENTIONS, Some(("mutex", "count"))),
            Self::Park => ("block", CONTENTIONS, Some(("block", "count"))),
            Self::Live => ("memory", &[("live", "count")], Some(("objects", "count"))),
            Self::Malloc => (
                "memory",
                &[("malloc_objects", "count"), ("malloc_bytes", "bytes")],
                None,
            ),
        }
    }

    fn counts_time(self) -> bool {
        matches!(self, Self::Cpu | Self::SampledWall | Self::Wall)
    }
}

/// What a sample belongs to besides its stack; 0 is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Correlation {
    /// Labels that the program has set.
    pub(super) context: u64,
    pub(super) span: u64,
    pub(super) span_name: u64,
}

#[derive(Debug)]
pub(super) struct Profiles {
    pub(super) stacks: Stacks,
    /// By kind, in the order of `KINDS`.
    rows: Vec<Rows<Correlation>>,
    event: String,
    /// Nanoseconds that a sample of time counts for; 0 is one each.
    period: i64,
}

impl Profiles {
    pub(super) fn new(period: i64, limits: &Limits) -> Self {
        let shared = Limits {
            uncompressed_bytes: limits.uncompressed_bytes.saturating_mul(SHARED),
            ..*limits
        };
        Self {
            stacks: Stacks::new(&shared),
            rows: KINDS.iter().map(|_| Rows::new(limits)).collect(),
            event: String::new(),
            period,
        }
    }

    pub(super) fn set_event(&mut self, event: &str) {
        event.clone_into(&mut self.event);
    }

    pub(super) fn add(
        &mut self,
        kind: Kind,
        stack: Stack,
        correlation: Correlation,
        mut values: [i64; 2],
    ) -> Result<(), IngestError> {
        if kind.counts_time() {
            values[0] = values[0].saturating_mul(self.period.max(1));
        }
        self.rows[kind as usize].add(stack, correlation, values)
    }

    /// Returns a series for each kind of event that occurred.
    pub(super) fn finish(
        &self,
        snapshot: &Snapshot,
        context: &Context,
        limits: &Limits,
    ) -> Result<Vec<Series>, IngestError> {
        let mut series = Vec::new();
        for (kind, rows) in KINDS.into_iter().zip(&self.rows) {
            let meant = kind != Kind::SampledWall || self.event == WALL;
            if rows.is_empty() || !meant {
                continue;
            }
            let (metric, sample_types, period_type) = kind.describe();
            let header = Header {
                sample_types,
                period_type,
                period: if kind.counts_time() { self.period } else { 0 },
                start: context.start,
                end: context.end,
            };
            let labels = context.series_labels(metric)?;
            series.push(Series {
                labels: labels.with(EVENT, &self.event),
                profile: self
                    .stacks
                    .profile(&header, rows, |of| snapshot.labels(of), limits)?,
            });
        }
        Ok(series)
    }
}
