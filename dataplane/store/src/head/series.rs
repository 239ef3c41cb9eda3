//! A series: the profiles of one label set and sample type by time.

use std::sync::Arc;

use parking_lot::Mutex;
use profile::{Labels, ProfileType, labels};

use super::columns::Columns;
use crate::query::TimeRange;

/// The profiles of one label set and sample type.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) profile_type: ProfileType,
    /// By time; copied on the next write when a reader holds them.
    rows: Mutex<Arc<Vec<Row>>>,
}

/// A profile in a series.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) timestamp: i64,
    pub(crate) column: u32,
    /// Whether the values count from the start of the process that was profiled.
    pub(crate) is_cumulative: bool,
    pub(crate) profile: Arc<StoredProfile>,
}

/// What the series of all sample types of a profile share.
#[derive(Debug)]
pub(crate) struct StoredProfile {
    pub(crate) id: [u8; 16],
    /// Its place in the order in which profiles became visible.
    pub(crate) sequence: u64,
    pub(crate) columns: Columns,
}

impl Series {
    pub(crate) fn new(labels: Labels, profile_type: ProfileType) -> Self {
        Self {
            labels,
            profile_type,
            rows: Mutex::default(),
        }
    }

    pub(crate) fn insert(&self, row: Row) {
        let mut rows = self.rows.lock();
        let rows = Arc::make_mut(&mut rows);
        let at = rows.partition_point(|before| before.order() <= row.order());
        rows.insert(at, row);
    }

    /// Returns the profiles of a range that became visible up to a place in
    /// their order.
    pub(crate) fn select(&self, range: TimeRange, sequence: u64) -> Selected {
        let rows = Arc::clone(&self.rows.lock());
        let from = rows.partition_point(|row| row.timestamp < range.start);
        let to = rows.partition_point(|row| row.timestamp <= range.end);
        let is_base = |row: &Row| row.is_cumulative && row.profile.sequence <= sequence;
        let before = match is_counter(&self.profile_type) {
            true => rows[..from].iter().rposition(is_base),
            false => None,
        };
        Selected {
            rows,
            from,
            to: to.max(from),
            sequence,
            before,
        }
    }

    /// Times of the first and the last profile.
    pub(crate) fn ends(&self) -> Option<(i64, i64)> {
        let rows = self.rows.lock();
        let (first, last) = rows.first().zip(rows.last())?;
        Some((first.timestamp, last.timestamp))
    }
}

/// Tells whether a profiler counts this type from the start of the process, so
/// that profiles are to be read as differences: allocations and contention of
/// Go, unless the label `__delta__` says that the client has done so.
pub(crate) fn is_cumulative(pushed: &Labels, profile_type: &ProfileType) -> bool {
    is_counter(profile_type) && pushed.get(labels::DELTA) != Some("false")
}

fn is_counter(profile_type: &ProfileType) -> bool {
    let counters = match &*profile_type.name {
        "memory" => ["alloc_objects", "alloc_space"],
        "block" => ["contentions", "delay"],
        _ => return false,
    };
    counters.contains(&&*profile_type.sample_type)
}

impl Row {
    /// Identity and time.
    fn name(&self) -> ([u8; 16], i64) {
        (self.profile.id, self.timestamp)
    }

    /// The same whatever the order of arrival.
    fn order(&self) -> (i64, [u8; 16]) {
        (self.timestamp, self.profile.id)
    }

    fn samples(&self) -> impl Iterator<Item = (u32, i64)> {
        self.profile.columns.samples(self.column as usize)
    }
}

/// Profiles of a series that a query selected, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Selected {
    rows: Arc<Vec<Row>>,
    from: usize,
    to: usize,
    sequence: u64,
    /// The last row before these whose values count from the start of the process
    /// that was profiled.
    before: Option<usize>,
}

impl Selected {
    /// Iterates over the profiles by time, each with the one before it if its
    /// values count from the start of the process that was profiled.
    pub(crate) fn readings(&self) -> impl Iterator<Item = Reading<'_>> {
        let mut before = self.before.map(|at| &self.rows[at]);
        let rows = self.rows[self.from..self.to].iter();
        let visible = rows.filter(|row| row.profile.sequence <= self.sequence);
        visible.map(move |row| {
            if !row.is_cumulative {
                return Reading { row, base: None };
            }
            let base = before.replace(row);
            Reading { row, base }
        })
    }

    /// Returns identity and time of the last profile before the range whose values
    /// count from the start of the process that was profiled.
    pub(crate) fn before(&self) -> Option<([u8; 16], i64)> {
        self.before.map(|at| self.rows[at].name())
    }

    /// Returns a reading whose base is the profile of this identity, whether it
    /// is the one before or not; `None` if the series does not have that.
    pub(crate) fn against<'a>(
        &'a self,
        reading: Reading<'a>,
        base: [u8; 16],
    ) -> Option<Reading<'a>> {
        let is_wanted = |row: &&Row| row.profile.id == base;
        let base = match reading.base.filter(is_wanted) {
            Some(before) => before,
            None => self.rows.iter().find(is_wanted)?,
        };
        Some(Reading {
            base: Some(base),
            ..reading
        })
    }

    /// Tells whether there is nothing, or only a base of later profiles.
    pub(crate) fn is_empty(&self) -> bool {
        self.readings().all(|reading| reading.is_base())
    }
}

/// A profile as a query reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    row: &'a Row,
    /// What its values are to be subtracted from.
    base: Option<&'a Row>,
}

impl<'a> Reading<'a> {
    pub(crate) fn id(&self) -> [u8; 16] {
        self.row.profile.id
    }

    pub(crate) fn timestamp(&self) -> i64 {
        self.row.timestamp
    }

    /// Tells whether the values count from the start of the process that was
    /// profiled.
    pub(crate) fn is_cumulative(&self) -> bool {
        self.row.is_cumulative
    }

    /// Identity and time of the profile before, of values that grow.
    pub(crate) fn base(&self) -> Option<([u8; 16], i64)> {
        self.base.map(Row::name)
    }

    /// Tells whether it says nothing of itself: how much its values grew is not
    /// known.
    pub(crate) fn is_base(&self) -> bool {
        self.is_cumulative() && self.base.is_none()
    }

    /// The reading of the values as they are.
    pub(crate) fn as_it_is(self) -> Self {
        Self { base: None, ..self }
    }

    /// Sum of the values.
    pub(crate) fn total(&self) -> i64 {
        match self.base {
            None => self.row.profile.columns.total(self.row.column as usize),
            Some(_) => self
                .samples()
                .fold(0, |sum, (_, value)| sum.saturating_add(value)),
        }
    }

    /// Iterates over stack and value of each sample that has a value.
    ///
    /// Of counters it is what they grew by since the base; one that went down
    /// began anew.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (u32, i64)> + use<'a> {
        let base = self.base.map(Row::samples);
        grown(self.row.samples(), base.into_iter().flatten())
    }

    /// Its profile's place in the order in which profiles became visible.
    pub(crate) fn sequence(&self) -> u64 {
        self.row.profile.sequence
    }

    /// Which column of its profile it is.
    pub(crate) fn column(&self) -> u32 {
        self.row.column
    }

    /// Iterates over stack and value of each sample as they are, zeros included.
    pub(crate) fn values(&self) -> impl Iterator<Item = (u32, i64)> + use<'a> {
        self.row.samples()
    }
}

/// Iterates over what values grew by since a base, both in ascending order of the
/// stacks, where that is not 0; one that went down began anew.
pub(crate) fn grown(
    values: impl Iterator<Item = (u32, i64)>,
    base: impl Iterator<Item = (u32, i64)>,
) -> impl Iterator<Item = (u32, i64)> {
    let mut base = base.peekable();
    let grown = values.map(move |(stack, value)| {
        while base.next_if(|(before, _)| *before < stack).is_some() {}
        let before = base.next_if(|(before, _)| *before == stack);
        let before = before.map_or(0, |(_, before)| before);
        let value = if value >= before {
            value - before
        } else {
            value
        };
        (stack, value)
    });
    grown.filter(|(_, value)| *value != 0)
}
