//! The profiles of one tenant in memory, ready to be queried.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;
use profile::pprof::View;
use profile::{Labels, ProfileType};

use crate::digest::Digest;
use crate::query::TimeRange;

mod append_log;
mod columns;
pub(crate) mod cost;
pub(crate) mod fingerprint;
mod series;
mod symbols;
mod view;

use append_log::AppendLog;
pub(crate) use append_log::Snapshot;
use columns::Columns;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use series::{Reading, Selected, Series, grown};
use series::{Row, StoredProfile};
use symbols::Symbols;
pub(crate) use symbols::{EMPTY_STACK, Function, Location, Mapping, NO_MAPPING, Node};
pub(crate) use view::SymbolView;

/// What a profile is stored under.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Labels as pushed.
    pub(crate) labels: Labels,
    pub(crate) id: [u8; 16],
    /// Unix milliseconds.
    pub(crate) timestamp: i64,
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

/// The samples of a profile whose stacks are stored.
#[derive(Debug)]
pub(crate) struct NewProfile {
    columns: Columns,
    /// Estimated size of what was new of the symbols, in bytes.
    pub(crate) symbol_bytes: u64,
}

impl NewProfile {
    /// Encodes a profile whose stacks are known.
    pub(crate) fn of(digest: &Digest, stacks: Vec<u32>) -> Self {
        let samples = stacks.into_iter().zip(digest.values());
        Self {
            columns: Columns::encode(digest.columns(), samples),
            symbol_bytes: 0,
        }
    }
}

/// What inserting a profile added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) bytes: u64,
    pub(crate) series: usize,
}

/// Series, profiles and symbols of a tenant.
///
/// Writes and reads may come from any thread. A profile becomes visible with all
/// its series at once; reads hold a lock only while they take a snapshot, which
/// does not copy profiles.
#[derive(Debug)]
pub(crate) struct Head {
    symbols: Symbols,
    index: RwLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    series: AppendLog<Arc<Series>>,
    by_labels: HashMap<Labels, Arc<Series>>,
    by_type: BTreeMap<ProfileType, AppendLog<Arc<Series>>>,
    /// Identities of the profiles by the labels they were pushed under.
    ids: HashMap<Labels, HashSet<[u8; 16]>>,
    /// Number of profiles, and so the sequence of the latest.
    profiles: u64,
}

/// The series of a tenant, or those of one type, at one moment.
#[derive(Debug)]
pub(crate) struct SeriesView {
    series: Snapshot<Arc<Series>>,
    sequence: u64,
}

impl SeriesView {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().map(|series| &**series)
    }

    /// Returns the profiles of a series that are part of the view.
    pub(crate) fn select(&self, series: &Series, range: TimeRange) -> Selected {
        series.select(range, self.sequence)
    }
}

impl Head {
    /// Creates an empty head; the key, which is secret, is that of the hashes of
    /// stacks.
    pub(crate) fn new(key: u64) -> Self {
        Self {
            symbols: Symbols::new(key),
            index: RwLock::default(),
        }
    }

    /// Tells whether a profile is stored.
    pub(crate) fn contains(&self, labels: &Labels, id: &[u8; 16]) -> bool {
        let index = self.index.read();
        index.ids.get(labels).is_some_and(|ids| ids.contains(id))
    }

    /// Returns the stacks of a profile, if all are stored.
    pub(crate) fn known(&self, digest: &Digest) -> Option<Vec<u32>> {
        self.symbols.known(digest)
    }

    /// Stores the stacks of a normalised profile, which is not visible before it
    /// is inserted.
    pub(crate) fn intern(&self, view: &View, digest: &Digest) -> NewProfile {
        let interned = self.symbols.intern(view, digest);
        NewProfile {
            symbol_bytes: interned.bytes,
            ..NewProfile::of(digest, interned.stacks)
        }
    }

    /// Makes a profile visible; `None` if it is stored already.
    pub(crate) fn insert(&self, place: &Place, new: NewProfile) -> Option<Added> {
        let mut index = self.index.write();
        let mut added = Added {
            bytes: cost::profile(&new.columns),
            series: 0,
        };
        match index.ids.get_mut(&place.labels) {
            Some(ids) => {
                if !ids.insert(place.id) {
                    return None;
                }
            }
            None => {
                added.bytes += cost::series(&place.labels);
                let ids = HashSet::from([place.id]);
                index.ids.insert(place.labels.clone(), ids);
            }
        }
        index.profiles += 1;
        let stored = Arc::new(StoredProfile {
            id: place.id,
            sequence: index.profiles,
            columns: new.columns,
        });
        for new in &place.series {
            let (series, is_new) = index.series_or_new(new);
            if is_new {
                added.series += 1;
                added.bytes += cost::series(&new.labels);
            }
            series.insert(Row {
                timestamp: place.timestamp,
                column: new.column as u32,
                is_cumulative: series::is_cumulative(&place.labels, &new.profile_type),
                profile: stored.clone(),
            });
        }
        Some(added)
    }

    /// Returns the series of a type, and the symbols that their profiles refer
    /// to.
    pub(crate) fn of_type(&self, profile_type: &ProfileType) -> (SeriesView, SymbolView) {
        let series = {
            let index = self.index.read();
            let series = index.by_type.get(profile_type).map(AppendLog::snapshot);
            SeriesView {
                series: series.unwrap_or_default(),
                sequence: index.profiles,
            }
        };
        // Symbols are stored before the profiles that refer to them are visible.
        (series, self.symbols.view())
    }

    /// Returns all series.
    pub(crate) fn series(&self) -> SeriesView {
        let index = self.index.read();
        SeriesView {
            series: index.series.snapshot(),
            sequence: index.profiles,
        }
    }

    /// Returns the symbols of all profiles that are visible.
    pub(crate) fn symbols(&self) -> SymbolView {
        self.symbols.view()
    }

    /// Number of profiles.
    pub(crate) fn profiles(&self) -> u64 {
        self.index.read().profiles
    }
}

impl Index {
    fn series_or_new(&mut self, new: &NewSeries) -> (Arc<Series>, bool) {
        if let Some(series) = self.by_labels.get(&new.labels) {
            return (Arc::clone(series), false);
        }
        let series = Arc::new(Series::new(new.labels.clone(), new.profile_type.clone()));
        self.by_labels.insert(new.labels.clone(), series.clone());
        self.series.push(series.clone());
        self.by_type
            .entry(new.profile_type.clone())
            .or_default()
            .push(series.clone());
        (series, true)
    }
}
