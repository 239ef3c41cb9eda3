//! What the head's parts are estimated to take, in bytes.
//!
//! Each figure is the size of the entry, its share of the hash table that finds
//! it at two thirds load, and its allocations. [`bound`] never is less than
//! what inserting the profile adds.

use profile::Labels;
use profile::pprof::View;

use super::columns::{COLUMN_BYTES, Columns, MAX_STACK_BYTES, MAX_VALUE_BYTES};
use crate::digest::Digest;

/// An empty tenant: its name, tables and locks.
pub(crate) const TENANT: u64 = 4096;
pub(crate) const FUNCTION: u64 = 96;
pub(crate) const MAPPING: u64 = 176;
pub(crate) const NODE: u64 = 40;
/// The hash by which a stack is found.
pub(crate) const STACK: u64 = 40;

/// A profile with its identity and its place in a series, without samples.
const PROFILE: u64 = 224;
/// A profile's place in a series of its own, and its columns.
const ROW: u64 = 48 + COLUMN_BYTES as u64;

pub(crate) fn string(len: usize) -> u64 {
    96 + len as u64
}

pub(crate) fn location(lines: usize) -> u64 {
    160 + 16 * lines as u64
}

/// A profile, with its place in each series.
pub(crate) fn profile(columns: &Columns) -> u64 {
    PROFILE + columns.count() as u64 * ROW + columns.encoded_len() as u64
}

/// A series, or the entry that finds the profiles pushed under these labels.
pub(crate) fn series(labels: &Labels) -> u64 {
    let texts: usize = labels
        .iter()
        .map(|(name, value)| 32 + name.len() + value.len())
        .sum();
    512 + texts as u64
}

/// The most that inserting a profile adds whose stacks are known.
pub(crate) fn bound<'a>(
    digest: &Digest,
    pushed: &'a Labels,
    stored: impl Iterator<Item = &'a Labels>,
) -> u64 {
    let columns = digest.columns() as u64;
    let samples = MAX_STACK_BYTES as u64 + columns * MAX_VALUE_BYTES as u64;
    series(pushed)
        + stored.map(series).sum::<u64>()
        + PROFILE
        + columns * ROW
        + digest.stacks().len() as u64 * samples
}

/// The most that the symbols of a normalised profile add: as if nothing of them
/// were known yet.
pub(crate) fn symbols_bound(view: &View) -> u64 {
    let stacks = view.sample_count() as u64;
    let nodes: usize = view.samples().map(|sample| sample.stack.len()).sum();
    let strings = view.string_count() as u64 * string(0) + view.uncompressed_bytes() as u64;
    let lines = view
        .locations()
        .iter()
        .map(|at| location(view.lines(at).len()));
    stacks * STACK
        + nodes as u64 * NODE
        + strings
        + view.functions().len() as u64 * FUNCTION
        + view.mappings().len() as u64 * MAPPING
        + lines.sum::<u64>()
}
