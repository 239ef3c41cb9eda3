//! `profiles.parquet`: the rows of profiles, by source, time and identity.

use std::fs::File;
use std::path::Path;

use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;

use super::encode::{Encoder, Levels, REQUIRED, column_path, properties, with_plain};
use super::error::Fault;
use super::meta::FileMeta;
use super::series::{Placed, Source};
use super::symbols::stack_to_file;
use super::table::create;

pub(crate) const PROFILES: &str = "profiles.parquet";

/// Most profiles of a row group, which is what a query reads at least.
const GROUP_ROWS: usize = 512;

/// Most values of a row group, of all columns, unless a single profile has more.
const GROUP_VALUES: usize = 1 << 20;

/// Most stacks of a profile.
const MAX_STACKS: usize = 1 << 25;

/// A profile on its way into a block or out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// Position of its source.
    pub(crate) source: usize,
    /// Unix milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) id: [u8; 16],
    /// In ascending order, each once.
    pub(crate) stacks: Vec<u32>,
    /// The values of each column of the source, one per stack.
    pub(crate) columns: Vec<Vec<i64>>,
}

impl Row {
    /// What rows are ordered by.
    pub(crate) fn order(&self) -> (usize, i64, [u8; 16]) {
        (self.source, self.timestamp, self.id)
    }

    /// Replaces the stacks, which may change their order and become the same.
    pub(crate) fn move_stacks(&mut self, moved: impl Fn(u32) -> u32) {
        let mut order: Vec<(u32, usize)> = self.stacks.iter().map(|s| moved(*s)).zip(0..).collect();
        order.sort_unstable_by_key(|(stack, at)| (stack_to_file(*stack), *at));
        let same = |a: &(u32, usize), b: &(u32, usize)| a.0 == b.0;
        for values in &mut self.columns {
            let sums = order.chunk_by(same).map(|same| {
                let values = same.iter().map(|(_, at)| values[*at]);
                values.fold(0, i64::saturating_add)
            });
            *values = sums.collect();
        }
        self.stacks = order.chunk_by(same).map(|same| same[0].0).collect();
    }
}

/// Returns the schema of a file in which sources have up to so many columns.
pub(crate) fn schema(columns: usize) -> String {
    let columns = (0..columns).map(|i| {
        format!(
            "optional int64 unit_{i};
            optional int64 total_{i};
            optional group values_{i} (LIST) {{
                repeated group list {{ required int64 element; }}
            }}"
        )
    });
    format!(
        "message profiles {{
            required int32 source;
            required int64 timestamp (TIMESTAMP(MILLIS, true));
            required fixed_len_byte_array(16) id (UUID);
            required group stacks (LIST) {{
                repeated group list {{ required int32 element; }}
            }}
            {}
        }}",
        columns.collect::<Vec<_>>().join("\n")
    )
}

pub(crate) const STACKS: &str = "stacks.list.element";

pub(crate) fn values(column: usize) -> String {
    format!("values_{column}.list.element")
}

fn file_properties(columns: usize) -> WriterProperties {
    // Stacks of one profile after another are much the same, which zstd finds where
    // each has four bytes; and so are values, of which there are few.
    let mut properties = with_plain(properties(), &["id", STACKS]);
    for column in 0..columns {
        let path = values(column);
        properties = with_plain(properties, &[&path])
            .set_column_dictionary_enabled(column_path(&path), true);
    }
    properties.build()
}

/// Writes profiles in their order, row group by row group.
pub(crate) struct ProfilesWriter {
    encoder: Encoder<File>,
    group: RowGroup,
    /// The sources that a profile has come of.
    placed: Vec<Placed>,
    sources: Vec<Source>,
    rows: u64,
    samples: u64,
    last: Option<(usize, i64, [u8; 16])>,
}

/// Rows that are not written yet.
#[derive(Debug, Default)]
struct RowGroup {
    sources: Vec<i32>,
    timestamps: Vec<i64>,
    ids: Vec<FixedLenByteArray>,
    stacks: Values<i32>,
    columns: Vec<Values<i64>>,
    units: Vec<Values<i64>>,
    totals: Vec<Values<i64>>,
    /// How many values all columns have.
    values: usize,
}

/// Values with their levels.
#[derive(Debug, Default)]
struct Values<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<T> Values<T> {
    /// Adds a list, whose values are one level above its being there.
    fn push_list(&mut self, list: impl ExactSizeIterator<Item = T>, is_there: i16) {
        let count = list.len();
        self.repetition.push(0);
        if count == 0 {
            self.definition.push(is_there);
        } else {
            self.repetition.resize(self.repetition.len() + count - 1, 1);
            self.definition
                .resize(self.definition.len() + count, is_there + 1);
        }
        self.values.extend(list);
    }

    /// Adds a value; `None` has no list either.
    fn push(&mut self, value: Option<T>) {
        self.repetition.push(0);
        self.definition.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn optional(&self) -> Levels<'_> {
        (Some(&self.definition), None)
    }

    fn lists(&self) -> Levels<'_> {
        (Some(&self.definition), Some(&self.repetition))
    }

    fn clear(&mut self) {
        self.values.clear();
        self.definition.clear();
        self.repetition.clear();
    }
}

impl ProfilesWriter {
    /// Begins the file for profiles of sources, which are in order.
    pub(crate) fn new(directory: &Path, sources: Vec<Source>) -> Result<Self, Fault> {
        let columns = sources.iter().map(|source| source.columns.len()).max();
        let columns = columns.unwrap_or_default();
        let file = create(directory, PROFILES)?;
        let mut group = RowGroup::default();
        group.columns.resize_with(columns, Values::default);
        group.units.resize_with(columns, Values::default);
        group.totals.resize_with(columns, Values::default);
        Ok(Self {
            encoder: Encoder::new(file, &schema(columns), file_properties(columns))?,
            group,
            placed: Vec::new(),
            sources,
            rows: 0,
            samples: 0,
            last: None,
        })
    }

    /// Adds a profile, which comes after those that were added.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), Fault> {
        let order = row.order();
        let columns = self
            .sources
            .get(row.source)
            .map(|source| source.columns.len());
        let next = self.placed.len();
        let fits = columns == Some(row.columns.len())
            && !row.columns.is_empty()
            && (row.source == next || row.source + 1 == next)
            && row
                .columns
                .iter()
                .all(|values| values.len() == row.stacks.len());
        if self.last.is_some_and(|last| last >= order) || !fits {
            return Err(Fault::Refused("profiles come out of order".to_owned()));
        }
        if row.stacks.len() > MAX_STACKS {
            let count = row.stacks.len();
            return Err(Fault::Refused(format!("a profile has {count} stacks")));
        }
        let more = row.stacks.len() * (1 + row.columns.len());
        let is_full = self.group.values + more > GROUP_VALUES;
        if self.group.sources.len() == GROUP_ROWS || is_full && self.group.values > 0 {
            self.flush()?;
        }
        self.last = Some(order);
        self.place(row);
        self.group.push(row);
        self.rows += 1;
        self.samples += row.stacks.len() as u64;
        Ok(())
    }

    fn place(&mut self, row: &Row) {
        if self.placed.len() == row.source {
            self.placed.push(Placed {
                source: self.sources[row.source].clone(),
                rows: self.rows..self.rows,
                times: (row.timestamp, row.timestamp),
            });
        }
        let placed = &mut self.placed[row.source];
        placed.rows.end += 1;
        placed.times.1 = row.timestamp;
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let group = &mut self.group;
        if group.sources.is_empty() {
            return Ok(());
        }
        self.encoder.group(|to| {
            to.column::<Int32Type>(&group.sources, REQUIRED)?;
            to.column::<Int64Type>(&group.timestamps, REQUIRED)?;
            to.column::<FixedLenByteArrayType>(&group.ids, REQUIRED)?;
            to.column::<Int32Type>(&group.stacks.values, group.stacks.lists())?;
            let columns = group.units.iter().zip(&group.totals).zip(&group.columns);
            for ((units, totals), values) in columns {
                to.column::<Int64Type>(&units.values, units.optional())?;
                to.column::<Int64Type>(&totals.values, totals.optional())?;
                to.column::<Int64Type>(&values.values, values.lists())?;
            }
            Ok(())
        })?;
        group.clear();
        Ok(())
    }

    /// Ends the file. Returns what was written, the sources with their rows, and
    /// the number of samples.
    pub(crate) fn finish(mut self) -> Result<(FileMeta, Vec<Placed>, u64), Fault> {
        self.flush()?;
        if self.placed.len() != self.sources.len() {
            return Err(Fault::Refused("a source has no profiles".to_owned()));
        }
        let meta = self.encoder.finish(PROFILES, |file| file.sync_all())?;
        Ok((meta, self.placed, self.samples))
    }
}

impl RowGroup {
    fn push(&mut self, row: &Row) {
        self.sources.push(row.source as i32);
        self.timestamps.push(row.timestamp);
        self.ids.push(row.id.to_vec().into());
        let stacks = row.stacks.iter().map(|stack| stack_to_file(*stack));
        self.stacks.push_list(stacks, 0);
        self.values += row.stacks.len() * (1 + row.columns.len());
        let columns = self.units.iter_mut().zip(&mut self.totals);
        let columns = columns.zip(&mut self.columns).enumerate();
        for (column, ((units, totals), lists)) in columns {
            let Some(values) = row.columns.get(column) else {
                units.push(None);
                totals.push(None);
                lists.push(None);
                continue;
            };
            let unit = values
                .iter()
                .fold(0, |unit, value| gcd(unit, *value))
                .max(1);
            units.push(Some(unit));
            totals.push(Some(
                values
                    .iter()
                    .fold(0, |sum, value| i64::saturating_add(sum, *value)),
            ));
            lists.push_list(values.iter().map(|value| value / unit), 1);
        }
    }

    fn clear(&mut self) {
        self.sources.clear();
        self.timestamps.clear();
        self.ids.clear();
        self.stacks.clear();
        let columns = self
            .units
            .iter_mut()
            .chain(&mut self.totals)
            .chain(&mut self.columns);
        columns.for_each(Values::clear);
        self.values = 0;
    }
}

/// Greatest common divisor of numbers that are not negative.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a.wrapping_rem(b));
    }
    a
}
