//! Writing what the head has as a block.

use std::collections::HashMap;
use std::path::Path;

use super::error::BlockError;
use super::meta::{Description, Meta};
use super::profiles::Row;
use super::series::{Column, MAX_COLUMNS, Source};
use super::union::{Moved, Union};
use super::writer::BlockWriter;
use crate::head::{Head, Reading, Series};
use crate::query::TimeRange;

/// A profile of the head in one of its series.
struct Part<'a> {
    /// Position of the series among those of the head.
    series: usize,
    reading: Reading<'a>,
}

/// What tells sources of the head apart: series, and which of them are cumulative.
type Key = Vec<(usize, bool)>;

/// A profile with the source that it is of and with its columns.
struct Profile<'a> {
    source: usize,
    parts: Vec<Reading<'a>>,
}

/// Writes the profiles of a head that are within a range as a block under `root`. The
/// head stays as it is; what is pushed meanwhile is not part of the block.
///
/// # Errors
/// There are none, or they cannot be written.
pub(crate) fn write(
    head: &Head,
    range: TimeRange,
    root: &Path,
    description: Description,
) -> Result<Meta, BlockError> {
    let view = head.series();
    // Symbols are stored before the profiles that refer to them are visible.
    let symbols = head.symbols();
    let series: Vec<&Series> = view.iter().collect();
    let selected: Vec<_> = series.iter().map(|of| view.select(of, range)).collect();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (series, selected) in selected.iter().enumerate() {
        parts.extend(selected.readings().map(|reading| Part { series, reading }));
    }
    parts.sort_unstable_by_key(|part| (part.reading.sequence(), part.reading.column()));
    let (sources, mut profiles) = profiles(&series, &parts);
    let stacks = profiles
        .iter()
        .flat_map(|profile| profile.parts[0].values());
    let mut union = Union::default();
    let moved = union.add(&symbols, stacks.map(|(stack, _)| stack));
    let mut moved = [moved];
    let symbols = union.finish(&mut moved);
    profiles.sort_unstable_by_key(Profile::order);
    let mut writer = BlockWriter::create(root, description, &symbols, sources)?;
    let mut row = Row::default();
    for profile in &profiles {
        profile.fill(&mut row, &moved[0]);
        writer.push(&row)?;
    }
    writer.finish()
}

/// Puts the parts of each profile together, and finds the sources.
fn profiles<'a>(series: &[&Series], parts: &[Part<'a>]) -> (Vec<Source>, Vec<Profile<'a>>) {
    let same = |a: &Part<'_>, b: &Part<'_>| a.reading.sequence() == b.reading.sequence();
    let mut numbers: HashMap<Key, usize> = HashMap::new();
    let mut profiles = Vec::new();
    for parts in parts
        .chunk_by(same)
        .flat_map(|parts| parts.chunks(MAX_COLUMNS))
    {
        let key: Key = parts
            .iter()
            .map(|part| (part.series, part.reading.is_cumulative()))
            .collect();
        let next = numbers.len();
        profiles.push(Profile {
            source: *numbers.entry(key).or_insert(next),
            parts: parts.iter().map(|part| part.reading).collect(),
        });
    }
    let column = |(at, is_cumulative): &(usize, bool)| {
        let of = series[*at];
        Column::new(of.labels.clone(), of.profile_type.clone(), *is_cumulative)
    };
    let sources = numbers.into_iter().map(|(key, number)| {
        let columns = key.iter().map(column).collect();
        (Source { columns }, number)
    });
    let mut sources: Vec<(Source, usize)> = sources.collect();
    sources.sort_unstable();
    let mut moved = vec![0; sources.len()];
    let in_order = sources.into_iter().zip(0..);
    let sources = in_order.map(|((source, from), to)| {
        moved[from] = to;
        source
    });
    let sources = sources.collect();
    for profile in &mut profiles {
        profile.source = moved[profile.source];
    }
    (sources, profiles)
}

impl Profile<'_> {
    fn order(&self) -> (usize, i64, [u8; 16]) {
        let first = &self.parts[0];
        (self.source, first.timestamp(), first.id())
    }

    /// Makes a row of it, in the place of another one.
    fn fill(&self, row: &mut Row, moved: &Moved) {
        (row.source, row.timestamp, row.id) = self.order();
        row.stacks.clear();
        row.stacks
            .extend(self.parts[0].values().map(|(stack, _)| stack));
        row.columns.resize_with(self.parts.len(), Vec::new);
        for (values, part) in row.columns.iter_mut().zip(&self.parts) {
            values.clear();
            values.extend(part.values().map(|(_, value)| value));
        }
        row.move_stacks(|stack| moved.stack(stack));
    }
}
