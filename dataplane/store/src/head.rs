//! The profiles of one tenant in memory, ready to be queried.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use profile::{Labels, Profile, ProfileType, Selector};

use crate::query::{TenantStats, TimeRange};

mod append_log;
pub(crate) mod cost;
mod symbols;
mod view;

use symbols::Symbols;
pub(crate) use view::SymbolView;

/// A normalised profile with the series that it belongs to.
#[derive(Debug)]
pub(crate) struct NewProfile {
    /// Labels as pushed.
    pub(crate) labels: Labels,
    pub(crate) id: [u8; 16],
    /// Unix milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) profile: Profile,
    /// One series per sample type, all different.
    pub(crate) series: Vec<NewSeries>,
}

/// A series that a profile belongs to with one of its columns.
#[derive(Clone, Debug)]
pub(crate) struct NewSeries {
    pub(crate) labels: Labels,
    pub(crate) profile_type: ProfileType,
    pub(crate) column: usize,
}

/// What inserting a profile added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) bytes: u64,
    pub(crate) series: usize,
}

/// Series, profiles and symbols of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Head {
    symbols: Symbols,
    series: Vec<Series>,
    by_labels: HashMap<Labels, u32>,
    by_type: BTreeMap<ProfileType, Vec<u32>>,
    /// Identities of the profiles by the labels they were pushed under.
    ids: HashMap<Labels, HashSet<[u8; 16]>>,
    profiles: usize,
}

/// The profiles of one label set and sample type.
#[derive(Debug)]
struct Series {
    labels: Labels,
    profile_type: ProfileType,
    /// By time.
    rows: Vec<Row>,
}

/// A profile in a series.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) timestamp: i64,
    column: u32,
    profile: Arc<StoredProfile>,
}

/// Samples as columns, shared by the series of all sample types.
#[derive(Debug)]
struct StoredProfile {
    id: [u8; 16],
    stacks: Box<[u32]>,
    columns: Box<[Column]>,
}

#[derive(Debug)]
struct Column {
    values: Box<[i64]>,
    total: i64,
}

impl Row {
    pub(crate) fn id(&self) -> [u8; 16] {
        self.profile.id
    }

    /// Sum of the values.
    pub(crate) fn total(&self) -> i64 {
        self.column().total
    }

    /// Iterates over stack and value of each sample that has a value.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (u32, i64)> {
        let stacks = self.profile.stacks.iter().copied();
        let values = self.column().values.iter().copied();
        stacks.zip(values).filter(|(_, value)| *value != 0)
    }

    fn column(&self) -> &Column {
        &self.profile.columns[self.column as usize]
    }
}

/// The rows of a series that a query selected.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) labels: Labels,
    pub(crate) rows: Vec<Row>,
}

impl Head {
    /// Tells whether a profile is stored.
    pub(crate) fn contains(&self, labels: &Labels, id: &[u8; 16]) -> bool {
        self.ids.get(labels).is_some_and(|ids| ids.contains(id))
    }

    /// Stores a profile; `None` if it is stored already.
    pub(crate) fn insert(&mut self, new: &NewProfile) -> Option<Added> {
        if self.contains(&new.labels, &new.id) {
            return None;
        }
        let mut added = Added::default();
        let symbols_before = self.symbols.bytes();
        let stored = Arc::new(self.stored(new));
        added.bytes += self.symbols.bytes() - symbols_before;
        added.bytes += cost::profile(stored.stacks.len(), stored.columns.len());
        for series in &new.series {
            let (index, is_new) = self.series_index(series);
            if is_new {
                added.series += 1;
                added.bytes += cost::series(&series.labels);
            }
            self.series[index as usize].insert(Row {
                timestamp: new.timestamp,
                column: series.column as u32,
                profile: stored.clone(),
            });
        }
        if !self.ids.contains_key(&new.labels) {
            added.bytes += cost::series(&new.labels);
        }
        self.ids
            .entry(new.labels.clone())
            .or_default()
            .insert(new.id);
        self.profiles += 1;
        Some(added)
    }

    fn stored(&mut self, new: &NewProfile) -> StoredProfile {
        let stacks = self.symbols.intern(&new.profile);
        let columns = (0..new.profile.sample_type.len()).map(|column| {
            let samples = new.profile.sample.iter();
            let values: Box<[i64]> = samples
                .map(|sample| sample.value.get(column).copied().unwrap_or(0))
                .collect();
            let total = values
                .iter()
                .fold(0_i64, |sum, value| sum.saturating_add(*value));
            Column { values, total }
        });
        StoredProfile {
            id: new.id,
            stacks,
            columns: columns.collect(),
        }
    }

    fn series_index(&mut self, new: &NewSeries) -> (u32, bool) {
        if let Some(index) = self.by_labels.get(&new.labels) {
            return (*index, false);
        }
        let index =
            u32::try_from(self.series.len()).expect("the budget of the head ends before ids do");
        self.series.push(Series {
            labels: new.labels.clone(),
            profile_type: new.profile_type.clone(),
            rows: Vec::new(),
        });
        self.by_labels.insert(new.labels.clone(), index);
        self.by_type
            .entry(new.profile_type.clone())
            .or_default()
            .push(index);
        (index, true)
    }

    /// Returns the rows of a type within a range whose series match, by series.
    pub(crate) fn select(
        &self,
        profile_type: &ProfileType,
        selector: &Selector,
        range: TimeRange,
    ) -> Vec<Selected> {
        let of_type = self.by_type.get(profile_type).into_iter().flatten();
        of_type
            .map(|index| &self.series[*index as usize])
            .filter(|series| selector.matches(&series.labels))
            .map(|series| (series, series.within(range)))
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(series, rows)| Selected {
                labels: series.labels.clone(),
                rows: rows.to_vec(),
            })
            .collect()
    }

    /// Iterates over the labels and types of series that match any of the
    /// selectors, or all if there are none, and have a profile within a range.
    pub(crate) fn series<'a>(
        &'a self,
        matchers: &'a [Selector],
        range: TimeRange,
    ) -> impl Iterator<Item = (&'a Labels, &'a ProfileType)> {
        self.series
            .iter()
            .filter(move |series| {
                matchers.is_empty() || matchers.iter().any(|any| any.matches(&series.labels))
            })
            .filter(move |series| !series.within(range).is_empty())
            .map(|series| (&series.labels, &series.profile_type))
    }

    /// Returns the symbols that the rows selected so far refer to.
    pub(crate) fn symbols(&self) -> SymbolView {
        self.symbols.view()
    }

    pub(crate) fn stats(&self) -> TenantStats {
        let first = self.series.iter().filter_map(|series| series.rows.first());
        let last = self.series.iter().filter_map(|series| series.rows.last());
        TenantStats {
            series: self.series.len(),
            profiles: self.profiles,
            oldest: first.map(|row| row.timestamp).min(),
            newest: last.map(|row| row.timestamp).max(),
        }
    }
}

impl Series {
    fn insert(&mut self, row: Row) {
        let at = self
            .rows
            .partition_point(|before| before.timestamp <= row.timestamp);
        self.rows.insert(at, row);
    }

    fn within(&self, range: TimeRange) -> &[Row] {
        let from = self.rows.partition_point(|row| row.timestamp < range.start);
        let to = self.rows.partition_point(|row| row.timestamp <= range.end);
        self.rows.get(from..to).unwrap_or_default()
    }
}
