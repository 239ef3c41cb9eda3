//! `series.parquet`: what the profiles of a block are of.

use std::path::Path;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use profile::{Labels, ProfileType, labels};

use super::encode::{Encoder, REQUIRED, properties, with_plain};
use super::error::Fault;
use super::meta::FileMeta;
use super::table::{Table, create};

pub(crate) const SERIES: &str = "series.parquet";

/// Most series of a source, so that `profiles.parquet` has a bounded number of
/// columns. A profile with more sample types is several rows.
pub(crate) const MAX_COLUMNS: usize = 16;

const SCHEMA: &str = "message series {
    required int32 id;
    required int32 source;
    required int32 column;
    required binary profile_type (STRING);
    required group labels (MAP) {
        repeated group key_value {
            required binary key (STRING);
            required binary value (STRING);
        }
    }
    required boolean is_cumulative;
    required int64 first_row;
    required int64 profiles;
    required int64 min_time (TIMESTAMP(MILLIS, true));
    required int64 max_time (TIMESTAMP(MILLIS, true));
}";

const TEXTS: [&str; 3] = [
    "profile_type",
    "labels.key_value.key",
    "labels.key_value.value",
];

/// What profiles of the same labels and sample types have in common.
///
/// Sources are ordered by their first series: those of a profile type are side by
/// side, and among these those of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source {
    /// By columns of values.
    pub(crate) columns: Vec<Column>,
}

/// A series that a profile belongs to with one of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Column {
    pub(crate) profile_type: ProfileType,
    /// Copy of a label, for the order.
    service: Box<str>,
    pub(crate) labels: Labels,
    /// Whether the values count from the start of the process that was profiled.
    pub(crate) is_cumulative: bool,
}

impl Column {
    pub(crate) fn new(labels: Labels, profile_type: ProfileType, is_cumulative: bool) -> Self {
        Self {
            profile_type,
            service: labels.get(labels::SERVICE_NAME).unwrap_or_default().into(),
            labels,
            is_cumulative,
        }
    }
}

/// A source with the rows of its profiles in `profiles.parquet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) source: Source,
    pub(crate) rows: std::ops::Range<u64>,
    /// Times of the first and the last of them, in Unix milliseconds.
    pub(crate) times: (i64, i64),
}

/// Writes the series of sources, which are in order.
pub(crate) fn write(directory: &Path, sources: &[Placed]) -> Result<FileMeta, Fault> {
    let properties = with_plain(properties(), &TEXTS);
    let properties = with_plain(properties, &["is_cumulative"]).build();
    let mut encoder = Encoder::new(create(directory, SERIES)?, SCHEMA, properties)?;
    // Source and column of each series.
    let series: Vec<(usize, usize)> = sources
        .iter()
        .enumerate()
        .flat_map(|(at, placed)| (0..placed.source.columns.len()).map(move |column| (at, column)))
        .collect();
    let of = |(source, column): &(usize, usize)| &sources[*source].source.columns[*column];
    let numbers = |number: &dyn Fn(&Placed) -> i64| -> Vec<i64> {
        let placed = series.iter().map(|(source, _)| &sources[*source]);
        placed.map(number).collect()
    };
    let int32 = |numbers: &mut dyn Iterator<Item = usize>| -> Vec<i32> {
        numbers.map(|number| number as i32).collect()
    };
    if i32::try_from(series.len()).is_err() {
        return Err(Fault::Refused(format!(
            "it would have {} series",
            series.len()
        )));
    }
    encoder.group(|group| {
        group.column::<Int32Type>(&int32(&mut (0..series.len())), REQUIRED)?;
        group.column::<Int32Type>(&int32(&mut series.iter().map(|s| s.0)), REQUIRED)?;
        group.column::<Int32Type>(&int32(&mut series.iter().map(|s| s.1)), REQUIRED)?;
        let types = series.iter().map(|at| of(at).profile_type.id());
        let types: Vec<ByteArray> = types.map(|id| ByteArray::from(id.as_str())).collect();
        group.column::<ByteArrayType>(&types, REQUIRED)?;
        let (mut definition, mut repetition) = (Vec::new(), Vec::new());
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for labels in series.iter().map(|at| &of(at).labels) {
            let count = labels.len();
            definition.extend(std::iter::repeat_n(i16::from(count > 0), count.max(1)));
            repetition.extend((0..count.max(1)).map(|at| i16::from(at > 0)));
            names.extend(labels.iter().map(|(name, _)| ByteArray::from(name)));
            values.extend(labels.iter().map(|(_, value)| ByteArray::from(value)));
        }
        let levels = (Some(&definition[..]), Some(&repetition[..]));
        group.column::<ByteArrayType>(&names, levels)?;
        group.column::<ByteArrayType>(&values, levels)?;
        let cumulative: Vec<bool> = series.iter().map(|at| of(at).is_cumulative).collect();
        group.column::<BoolType>(&cumulative, REQUIRED)?;
        let columns: [&dyn Fn(&Placed) -> i64; 4] = [
            &|placed| placed.rows.start as i64,
            &|placed| (placed.rows.end - placed.rows.start) as i64,
            &|placed| placed.times.0,
            &|placed| placed.times.1,
        ];
        for column in columns {
            group.column::<Int64Type>(&numbers(column), REQUIRED)?;
        }
        Ok(())
    })?;
    encoder.finish(SERIES, |file| file.sync_all())
}

/// Reads the sources of a block whose `profiles.parquet` has so many rows.
pub(crate) fn read(table: &Table, profiles: u64) -> Result<Vec<Placed>, Fault> {
    let of_sources = table.required::<Int32Type>("source")?;
    let of_columns = table.required::<Int32Type>("column")?;
    let names = table.lists_of_texts("labels.key_value.key")?;
    let values = table.lists_of_texts("labels.key_value.value")?;
    let cumulative = table.required::<BoolType>("is_cumulative")?;
    let firsts = table.required::<Int64Type>("first_row")?;
    let counts = table.required::<Int64Type>("profiles")?;
    let min_times = table.required::<Int64Type>("min_time")?;
    let max_times = table.required::<Int64Type>("max_time")?;
    let mut sources: Vec<Placed> = Vec::new();
    let mut end = 0;
    for (row, (names, values)) in names.into_iter().zip(values).enumerate() {
        if names.len() != values.len() {
            return Err(Fault::damaged("labels have a name and no value"));
        }
        let labels = Labels::new(names.into_iter().zip(values));
        let labels = labels.map_err(|error| Fault::damaged(error.to_string()))?;
        let profile_type = profile_type(&labels);
        let column = Column::new(labels, profile_type, cumulative[row]);
        if of_columns[row] == 0 {
            let (first, count) = (firsts[row], counts[row]);
            if u64::try_from(first) != Ok(end) {
                return Err(Fault::damaged("sources do not follow each other"));
            }
            let count = u64::try_from(count).ok();
            let next = count.and_then(|count| end.checked_add(count));
            let next = next.filter(|next| *next <= profiles);
            let next = next.ok_or_else(|| Fault::damaged("sources have too many profiles"))?;
            sources.push(Placed {
                source: Source {
                    columns: Vec::new(),
                },
                rows: end..next,
                times: (min_times[row], max_times[row]),
            });
            end = next;
        }
        let source = sources.len().wrapping_sub(1);
        let fits = |placed: &&mut Placed| {
            let columns = placed.source.columns.len();
            of_sources[row] as usize == source
                && of_columns[row] as usize == columns
                && columns < MAX_COLUMNS
        };
        let placed = sources.last_mut().filter(fits);
        let placed = placed.ok_or_else(|| Fault::damaged("series are not in order"))?;
        placed.source.columns.push(column);
    }
    if !sources.is_sorted_by(|a, b| a.source < b.source) {
        return Err(Fault::damaged("sources are not in order"));
    }
    match end == profiles {
        true => Ok(sources),
        false => Err(Fault::damaged("profiles are of no source")),
    }
}

/// Returns the type of a stored series.
fn profile_type(of: &Labels) -> ProfileType {
    let text = |name| of.get(name).unwrap_or_default().to_owned();
    ProfileType {
        name: text(labels::NAME),
        sample_type: text(labels::TYPE),
        sample_unit: text(labels::UNIT),
        period_type: text(labels::PERIOD_TYPE),
        period_unit: text(labels::PERIOD_UNIT),
        delta: false,
    }
}
