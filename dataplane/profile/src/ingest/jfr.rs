//! Recordings of Java Flight Recorder, as the Java agent sends them.
//!
//! A recording is a sequence of chunks. Each has events, of which some define
//! the classes of all others (metadata) and some hold what events refer to by
//! number (constant pools). Events say their length, so everything is found by
//! going through them in order; offsets in the file are not trusted.

mod chunk;
mod classes;
mod events;
mod labels;
mod pools;
mod profiles;
mod reader;
mod symbol;

use super::{Context, IngestError, Series};
use crate::pprof::Limits;
use chunk::Chunk;
use labels::Snapshot;
use profiles::Profiles;

/// Largest snapshot of labels, in bytes; decoded it takes some times as much.
pub const MAX_LABEL_BYTES: usize = 16 << 20;

/// Parses a recording, not compressed, and the snapshot of labels that its
/// events refer to, which may be empty.
///
/// Profiles are those that Grafana Pyroscope makes of it:
///
/// | Events | Series |
/// |---|---|
/// | `jdk.ExecutionSample` | `process_cpu`: `cpu`, but for sleeping threads; `wall` too in recordings of event `wall` |
/// | `profiler.WallClockSample` | `wall`: `wall` |
/// | `jdk.ObjectAllocationInNewTLAB` | `memory`: `alloc_in_new_tlab_objects`, `alloc_in_new_tlab_bytes` |
/// | `jdk.ObjectAllocationOutsideTLAB` | `memory`: `alloc_outside_tlab_objects`, `alloc_outside_tlab_bytes` |
/// | `jdk.ObjectAllocationSample` | `memory`: `alloc_sample_objects`, `alloc_sample_bytes` |
/// | `jdk.JavaMonitorEnter` | `mutex`: `contentions`, `delay` |
/// | `jdk.ThreadPark` | `block`: `contentions`, `delay` |
/// | `profiler.LiveObject` | `memory`: `live` |
/// | `profiler.Malloc` | `memory`: `malloc_objects`, `malloc_bytes` |
///
/// # Errors
/// Bytes that are no recording, an unreadable snapshot, or a profile beyond the
/// limits.
pub fn parse(
    recording: &[u8],
    labels: &[u8],
    context: &Context,
    limits: &Limits,
) -> Result<Vec<Series>, IngestError> {
    let snapshot = Snapshot::decode(labels)?;
    let mut profiles = Profiles::new(context.period(), limits);
    let mut rest = recording;
    let mut offset = 0;
    while !rest.is_empty() {
        let chunk = Chunk::parse(rest).map_err(|error| error.at_chunk(offset))?;
        chunk.events(&mut profiles).map_err(|error| match error {
            events::EventError::Malformed(error) => error.at_chunk(offset),
            events::EventError::Refused(error) => error,
        })?;
        offset += chunk.len();
        rest = &rest[chunk.len()..];
    }
    profiles.finish(&snapshot, context, limits)
}
