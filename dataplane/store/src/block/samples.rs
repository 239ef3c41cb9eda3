//! Reading the samples of profiles, and what they grew by, in one pass over the row
//! groups that have them.

use std::collections::HashMap;

use super::error::{BlockError, Fault};
use super::rows::{RowGroups, Span, Stacks, Values, sample_paths, total_path};
use crate::head::grown;

/// Values of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the profile in the block.
    pub(crate) row: u64,
    /// Which of its columns.
    pub(crate) column: usize,
}

/// Values that are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    /// What they are to be subtracted from.
    pub(crate) base: Option<Place>,
    /// What the caller knows them by.
    pub(crate) at: usize,
}

/// A place that is met, and which of the wanted it is for.
type Event = (Place, Role, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Values,
    Base,
}

/// Stacks, as files number them, and values that wait for what they are to be
/// compared with.
type Held = Vec<(u32, i64)>;

/// What is read of a row group.
struct Group {
    /// Number of the first row.
    first: u64,
    stacks: Stacks,
    values: Vec<(usize, Values)>,
}

impl RowGroups<'_> {
    /// Calls `each` with the sum of the values of each place.
    pub(crate) fn each_total(
        &self,
        mut places: Vec<(Place, usize)>,
        mut each: impl FnMut(usize, i64),
    ) -> Result<(), BlockError> {
        places.sort_unstable();
        let rows = places.iter().map(|(place, _)| place.row..place.row + 1);
        let mut rest = &places[..];
        let spans = self.spans(rows);
        let mut at_hand = 0;
        for (at, span) in spans.iter().enumerate() {
            if at == at_hand {
                // Nearly always all are of the column of the first.
                let column = rest.first().map_or(0, |(place, _)| place.column);
                let paths = |_: &Span| vec![total_path(column)];
                at_hand += self.read_ahead(spans[at..].iter(), paths)?;
            }
            let end = span.first + span.rows as u64;
            let (here, later) = rest.split_at(rest.partition_point(|(at, _)| at.row < end));
            rest = later;
            let mut columns: Vec<usize> = here.iter().map(|(place, _)| place.column).collect();
            columns.dedup();
            columns.sort_unstable();
            columns.dedup();
            for column in columns {
                let totals = self.totals(span, column)?;
                for (place, at) in here.iter().filter(|(place, _)| place.column == column) {
                    each(*at, totals[(place.row - span.first) as usize]);
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the samples of all that is wanted, in no particular order:
    /// stacks as files number them, and values.
    ///
    /// What waits for its base, or is one, is held; profiles of a source are in the
    /// order of time, so that is one at a time of each.
    pub(crate) fn each_sample(
        &self,
        wanted: Vec<Wanted>,
        mut each: impl FnMut(usize, &mut dyn Iterator<Item = (u32, i64)>),
    ) -> Result<(), BlockError> {
        let mut events: Vec<Event> = Vec::with_capacity(wanted.len());
        for (at, one) in wanted.iter().enumerate() {
            events.push((one.place, Role::Values, at));
            events.extend(one.base.map(|base| (base, Role::Base, at)));
        }
        events.sort_unstable();
        let rows = events.iter().map(|(place, ..)| place.row..place.row + 1);
        let mut held: HashMap<usize, Held> = HashMap::new();
        let spans = self.spans(rows);
        let mut at_hand = 0;
        for (at, span) in spans.iter().enumerate() {
            if at == at_hand {
                let paths = |span: &Span| sample_paths(&columns(within(&events, span)));
                at_hand += self.read_ahead(spans[at..].iter(), paths)?;
            }
            let here = within(&events, span);
            let group = self.load(span, here)?;
            for (place, role, at) in here {
                let one = &wanted[*at];
                let samples = || group.samples(*place).map_err(|fault| self.fault(fault));
                if one.base.is_none() {
                    each(one.at, &mut samples()?);
                    continue;
                }
                match (held.remove(at), role) {
                    (None, _) => drop(held.insert(*at, samples()?.collect())),
                    (Some(base), Role::Values) => {
                        each(one.at, &mut grown(samples()?, base.into_iter()));
                    }
                    (Some(values), Role::Base) => {
                        each(one.at, &mut grown(values.into_iter(), samples()?));
                    }
                }
            }
        }
        Ok(())
    }

    fn load(&self, span: &Span, events: &[Event]) -> Result<Group, BlockError> {
        let columns = columns(events);
        let (stacks, values) = self.samples(span, &columns)?;
        let group = Group {
            first: span.first,
            stacks,
            values: columns.into_iter().zip(values).collect(),
        };
        Ok(group)
    }
}

/// Returns the events of a span.
fn within<'a>(events: &'a [Event], span: &Span) -> &'a [Event] {
    let until = |row: u64| events.partition_point(|(place, ..)| place.row < row);
    &events[until(span.first)..until(span.first + span.rows as u64)]
}

/// Returns the columns of places, each once.
fn columns(events: &[Event]) -> Vec<usize> {
    let columns = events.iter().map(|(place, ..)| place.column);
    let mut columns: Vec<usize> = columns.collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

impl Group {
    fn samples(&self, place: Place) -> Result<impl Iterator<Item = (u32, i64)>, Fault> {
        let row = (place.row - self.first) as usize;
        let values = self
            .values
            .iter()
            .find(|(column, _)| *column == place.column);
        let (_, values) = values.ok_or_else(|| Fault::damaged("a column is missing"))?;
        let stacks = self.stacks.0.get(row);
        if stacks.len() != values.count(row) {
            return Err(Fault::damaged("a profile has not one value for each stack"));
        }
        let stacks = stacks.iter().map(|stack| *stack as u32);
        Ok(stacks.zip(values.of(row)))
    }
}
