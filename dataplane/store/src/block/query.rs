//! Answering queries from a block, as the head answers them for the same profiles.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::{BufMut as _, BytesMut};
use profile::Labels;
use proto::reader::v1::{MergeFormat, MergeRequest, MergeResponse, SelectRequest, SelectResponse};

use super::error::{BlockError, Fault};
use super::profiles::PROFILES;
use super::reader::Block;
use super::rows::{Names, RowGroups};
use super::samples::{Place, Wanted};
use super::symbols::stack_from_file;
use crate::query::{self, Criteria, Groups, QueryError, Runs, Totals};

/// Why a block does not answer.
#[derive(Debug, thiserror::Error)]
pub enum BlockQueryError {
    /// The fault is the caller's.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The block cannot be read.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A profile as one of a series.
#[derive(Clone, Copy, Debug)]
struct Entry {
    timestamp: i64,
    id: [u8; 16],
    place: Place,
    /// Whether the values count from the start of the process that was profiled.
    is_cumulative: bool,
}

/// The profiles of a stored series, of whatever sources, by time and identity.
struct Series<'a> {
    labels: &'a Labels,
    entries: Vec<Entry>,
}

/// A profile within the range of a query, and the one before it that counts from the
/// start of the same process.
#[derive(Clone, Copy, Debug)]
struct Reading {
    entry: Entry,
    base: Option<Entry>,
}

impl Entry {
    fn name(&self) -> ([u8; 16], i64) {
        (self.id, self.timestamp)
    }
}

impl Series<'_> {
    /// The last entry before a range that later ones grow from.
    fn before(&self, criteria: &Criteria) -> Option<Entry> {
        let before = self.entries.iter().rev();
        let mut before = before.skip_while(|entry| entry.timestamp >= criteria.range.start);
        before.find(|entry| entry.is_cumulative).copied()
    }

    fn readings(&self, criteria: &Criteria) -> impl Iterator<Item = Reading> {
        let range = criteria.range.start..=criteria.range.end;
        let entries = self.entries.iter();
        let within = entries.filter(move |entry| range.contains(&entry.timestamp));
        let mut before = self.before(criteria);
        within.map(move |entry| {
            let base = match entry.is_cumulative {
                true => before.replace(*entry),
                false => None,
            };
            Reading {
                entry: *entry,
                base,
            }
        })
    }
}

impl Block {
    /// Names the profiles that a query is about: [`Database::select`] of a block.
    ///
    /// [`Database::select`]: crate::Database::select
    ///
    /// # Errors
    /// The request does not parse, or the block cannot be read.
    pub fn select(&self, request: &SelectRequest) -> Result<SelectResponse, BlockQueryError> {
        let criteria = Criteria::parse(request)?;
        let groups = RowGroups::of(self)?;
        let all = self.found(&criteria, &groups)?;
        let mut response = SelectResponse::default();
        let mut numbers = Groups::default();
        let mut keys = BytesMut::new();
        let (mut stored, mut sums) = (Vec::new(), Vec::new());
        for series in &all {
            let before = series.before(&criteria).map(|entry| entry.name());
            let mut runs = Runs::new(series.labels, before, response.timestamps.len());
            for Reading { entry, base } in series.readings(&criteria) {
                let at = response.timestamps.len();
                if entry.is_cumulative {
                    runs.push(at, base.map(|base| base.name()));
                }
                match (entry.is_cumulative, base) {
                    // Of a base it is not known, only that others may know it.
                    (true, None) => {}
                    (false, _) if criteria.call_site.is_empty() => stored.push((entry.place, at)),
                    _ => sums.push(Wanted {
                        place: entry.place,
                        base: base.map(|base| base.place),
                        at,
                    }),
                }
                keys.put_slice(&entry.id);
                response.timestamps.push(entry.timestamp);
                response.totals.push(0);
                let group = numbers.index(series.labels.only(&request.group_by));
                response.series_index.push(group);
            }
            response.runs.append(&mut runs.runs);
        }
        groups.each_total(stored, |at, total| response.totals[at] = total)?;
        if !sums.is_empty() {
            let symbols = self.symbols()?;
            let mut totals = Totals::new(&symbols, &criteria.call_site);
            groups.each_sample(sums, |at, samples| {
                let samples = samples.map(|(stack, value)| (stack_from_file(stack as i32), value));
                response.totals[at] = match criteria.call_site.is_empty() {
                    true => samples.fold(0, |sum, (_, value)| i64::saturating_add(sum, value)),
                    false => totals.sum(samples),
                };
            })?;
        }
        response.keys = keys.freeze();
        response.series = numbers.labels;
        Ok(response)
    }

    /// Merges those profiles of a selection whose keys are given:
    /// [`Database::merge`] of a block.
    ///
    /// [`Database::merge`]: crate::Database::merge
    ///
    /// # Errors
    /// The request does not parse, or the block cannot be read.
    pub fn merge(&self, request: &MergeRequest) -> Result<MergeResponse, BlockQueryError> {
        let criteria = Criteria::parse(&request.select.clone().unwrap_or_default())?;
        let format = MergeFormat::try_from(request.format)
            .map_err(|_| QueryError::Format(request.format))?;
        let wanted = query::wanted(request)?;
        let mut missing: HashSet<[u8; 16]> = wanted.keys().copied().collect();
        let groups = RowGroups::of(self)?;
        let mut found = Vec::new();
        for series in &self.found(&criteria, &groups)? {
            let mut of_ids = None;
            for Reading { entry, base } in series.readings(&criteria) {
                let base = match wanted.get(&entry.id) {
                    None => continue,
                    Some(None) => None,
                    Some(Some(id)) => match base.filter(|base| base.id == *id) {
                        Some(before) => Some(before),
                        None => {
                            let of_ids = of_ids.get_or_insert_with(|| series.by_id());
                            let Some(base) = of_ids.get(id) else { continue };
                            Some(*base)
                        }
                    },
                };
                missing.remove(&entry.id);
                found.push(Wanted {
                    place: entry.place,
                    base: base.map(|base| base.place),
                    at: 0,
                });
            }
        }
        let symbols = self.symbols()?;
        let mut sums = vec![0_i64; symbols.nodes.len() + 1];
        let mut strays = false;
        groups.each_sample(found, |_, samples| {
            for (stack, value) in samples {
                match sums.get_mut(stack as usize) {
                    Some(sum) => *sum = sum.saturating_add(value),
                    None => strays = true,
                }
            }
        })?;
        if strays {
            let fault = Fault::damaged("a profile has a stack that is not there");
            return Err(self.fault(PROFILES, fault).into());
        }
        let sums = sums.into_iter().zip(0..).filter(|(sum, _)| *sum != 0);
        let merged = symbols.profile(sums.map(|(sum, stack)| (stack_from_file(stack), sum)));
        let keys = request.keys.as_chunks::<16>().0.iter();
        let missing = keys.filter(|key| missing.remove(*key)).flatten();
        Ok(MergeResponse {
            missing: missing.copied().collect(),
            data: query::encode(&merged, &criteria, format),
        })
    }

    /// Finds the series of a query with all their profiles.
    fn found(
        &self,
        criteria: &Criteria,
        groups: &RowGroups<'_>,
    ) -> Result<Vec<Series<'_>>, BlockError> {
        let mut parts: BTreeMap<&Labels, Vec<(usize, usize)>> = BTreeMap::new();
        for (source, placed) in self.sources.iter().enumerate() {
            for (column, of) in placed.source.columns.iter().enumerate() {
                if of.profile_type == criteria.profile_type && criteria.selector.matches(&of.labels)
                {
                    parts.entry(&of.labels).or_default().push((source, column));
                }
            }
        }
        let rows = parts.values().flatten();
        let rows = rows.map(|(source, _)| self.sources[*source].rows.clone());
        let spans = groups.spans(rows);
        let names = groups.all_names(&spans)?;
        let series = parts.into_iter().map(|(labels, parts)| {
            let parts = parts.into_iter();
            let entries = parts.flat_map(|(source, column)| self.entries(source, column, &names));
            let mut entries: Vec<Entry> = entries.collect();
            entries.sort_by_key(|entry| (entry.timestamp, entry.id));
            Series { labels, entries }
        });
        Ok(series.collect())
    }

    /// Iterates over the profiles of a source, all of which were named.
    fn entries<'a>(
        &'a self,
        source: usize,
        column: usize,
        names: &'a [Names],
    ) -> impl Iterator<Item = Entry> + use<'a> {
        let placed = &self.sources[source];
        let is_cumulative = placed.source.columns[column].is_cumulative;
        let end = |names: &Names| names.first + names.names.len() as u64;
        let first = names.partition_point(|names| end(names) <= placed.rows.start);
        let names = names[first..].iter();
        let names = names.take_while(|names| names.first < placed.rows.end);
        names.flat_map(move |names| {
            let rows = names.first.max(placed.rows.start)..end(names).min(placed.rows.end);
            rows.map(move |row| {
                let (timestamp, id) = names.names[(row - names.first) as usize];
                Entry {
                    timestamp,
                    id,
                    place: Place { row, column },
                    is_cumulative,
                }
            })
        })
    }
}

impl Series<'_> {
    fn by_id(&self) -> HashMap<[u8; 16], Entry> {
        let entries = self.entries.iter().rev();
        entries.map(|entry| (entry.id, *entry)).collect()
    }
}
