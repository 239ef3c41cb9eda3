//! What the head's parts are estimated to take, in bytes.
//!
//! Each figure is the size of the entry, its share of the hash table that finds
//! it at two thirds load, and its allocations. [`bound`] never is less than
//! what inserting the profile adds.

use profile::{Labels, Profile};

/// An empty tenant: its name, tables and locks.
pub(crate) const TENANT: u64 = 4096;
pub(crate) const FUNCTION: u64 = 96;
pub(crate) const MAPPING: u64 = 176;
pub(crate) const NODE: u64 = 40;

pub(crate) fn string(text: &str) -> u64 {
    96 + text.len() as u64
}

pub(crate) fn location(lines: usize) -> u64 {
    160 + 16 * lines as u64
}

/// A profile of so many stacks and sample types, with its place in each series.
pub(crate) fn profile(stacks: usize, columns: usize) -> u64 {
    192 + 4 * stacks as u64 + columns as u64 * (96 + 8 * stacks as u64)
}

/// A series, or the entry that finds the profiles pushed under these labels.
pub(crate) fn series(labels: &Labels) -> u64 {
    let texts: usize = labels
        .iter()
        .map(|(name, value)| 32 + name.len() + value.len())
        .sum();
    512 + texts as u64
}

/// The most that inserting a normalised profile adds: as if nothing of it were
/// known yet.
pub(crate) fn bound<'a>(
    profile: &Profile,
    pushed: &'a Labels,
    stored: impl Iterator<Item = &'a Labels>,
) -> u64 {
    let stacks = profile.sample.len();
    let nodes: usize = profile
        .sample
        .iter()
        .map(|sample| sample.location_id.len())
        .sum();
    series(pushed)
        + stored.map(series).sum::<u64>()
        + self::profile(stacks, profile.sample_type.len())
        + nodes as u64 * NODE
        + profile
            .string_table
            .iter()
            .map(|text| string(text))
            .sum::<u64>()
        + profile.function.len() as u64 * FUNCTION
        + profile.mapping.len() as u64 * MAPPING
        + profile
            .location
            .iter()
            .map(|at| location(at.line.len()))
            .sum::<u64>()
}
