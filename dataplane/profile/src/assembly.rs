//! Putting a profile together from parts of others.

use std::collections::HashMap;
use std::hash::Hash;

use proto::google::v1::{Function, Label, Line, Location, Mapping, Sample};
use rustc_hash::FxHashMap;

use crate::Profile;
use crate::stack::Ids;

/// Tables in which each string, function, mapping, location and stack occurs
/// once, numbered in the order of arrival.
///
/// Keys come from outside, hence maps that resist chosen keys.
#[derive(Debug)]
pub(crate) struct Assembly {
    strings: HashMap<String, i64>,
    functions: HashMap<Function, u64>,
    mappings: HashMap<Mapping, u64>,
    locations: HashMap<LocationKey, u64>,
    samples: HashMap<SampleKey, usize>,
    values: Vec<Vec<i64>>,
    /// Reused for each sample, so that one that is known already costs nothing.
    scratch: SampleKey,
}

/// A location without its id.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LocationKey {
    mapping_id: u64,
    address: u64,
    lines: Vec<Line>,
    is_folded: bool,
}

/// What samples have in common that are summed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct SampleKey {
    locations: Vec<u64>,
    labels: Vec<Label>,
}

/// A profile that parts are taken from.
pub(crate) struct Source<'p> {
    profile: &'p Profile,
    locations: Ids,
    functions: Ids,
    mappings: Ids,
}

impl<'p> Source<'p> {
    pub(crate) fn new(profile: &'p Profile) -> Self {
        Self {
            profile,
            locations: Ids::new(profile.location.iter().map(|l| l.id)),
            functions: Ids::new(profile.function.iter().map(|f| f.id)),
            mappings: Ids::new(profile.mapping.iter().map(|m| m.id)),
        }
    }

    /// Text at an index of the string table; empty when it is out of range.
    pub(crate) fn string(&self, index: i64) -> &'p str {
        usize::try_from(index)
            .ok()
            .and_then(|at| self.profile.string_table.get(at))
            .map_or("", String::as_str)
    }
}

/// Ids in an [`Assembly`] by position in one [`Source`].
#[derive(Debug, Default)]
pub(crate) struct Moved {
    locations: FxHashMap<usize, u64>,
}

impl Default for Assembly {
    fn default() -> Self {
        Self {
            // The format wants the empty string first.
            strings: HashMap::from([(String::new(), 0)]),
            functions: HashMap::new(),
            mappings: HashMap::new(),
            locations: HashMap::new(),
            samples: HashMap::new(),
            values: Vec::new(),
            scratch: SampleKey::default(),
        }
    }
}

impl Assembly {
    /// Adds values to the stack of a sample, under those of its labels that are
    /// kept. Locations and functions that do not exist are left out.
    pub(crate) fn add(
        &mut self,
        source: &Source<'_>,
        moved: &mut Moved,
        sample: &Sample,
        values: &[i64],
        keep: impl Fn(&Label) -> bool,
    ) {
        let mut key = std::mem::take(&mut self.scratch);
        key.locations.clear();
        for id in &sample.location_id {
            if let Some(at) = source.locations.position(*id) {
                key.locations.push(self.location(source, moved, at));
            }
        }
        key.labels.clear();
        for label in sample.label.iter().filter(|label| keep(label)) {
            key.labels.push(Label {
                key: self.string(source.string(label.key)),
                str: self.string(source.string(label.str)),
                num: label.num,
                num_unit: self.string(source.string(label.num_unit)),
            });
        }
        key.labels
            .sort_unstable_by_key(|l| (l.key, l.str, l.num, l.num_unit));
        match self.samples.get(&key) {
            Some(at) => {
                for (sum, value) in self.values[*at].iter_mut().zip(values) {
                    *sum = sum.saturating_add(*value);
                }
            }
            None => {
                self.samples.insert(key.clone(), self.values.len());
                self.values.push(values.to_vec());
            }
        }
        self.scratch = key;
    }

    /// Returns the index of a string, adding it if it is new.
    pub(crate) fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = self.strings.len() as i64;
        self.strings.insert(text.to_owned(), index);
        index
    }

    /// Returns the tables as a profile without sample types.
    pub(crate) fn finish(self) -> Profile {
        let samples = in_order(self.samples);
        let stack = samples.zip(self.values);
        let location = (1..).zip(in_order(self.locations));
        Profile {
            sample: stack
                .map(|(key, value)| Sample {
                    location_id: key.locations,
                    value,
                    label: key.labels,
                })
                .collect(),
            location: location
                .map(|(id, key)| Location {
                    id,
                    mapping_id: key.mapping_id,
                    address: key.address,
                    line: key.lines,
                    is_folded: key.is_folded,
                })
                .collect(),
            function: (1..)
                .zip(in_order(self.functions))
                .map(|(id, function)| Function { id, ..function })
                .collect(),
            mapping: (1..)
                .zip(in_order(self.mappings))
                .map(|(id, mapping)| Mapping { id, ..mapping })
                .collect(),
            string_table: in_order(self.strings).collect(),
            ..Profile::default()
        }
    }

    fn location(&mut self, source: &Source<'_>, moved: &mut Moved, at: usize) -> u64 {
        if let Some(id) = moved.locations.get(&at) {
            return *id;
        }
        let location = &source.profile.location[at];
        let mut lines = Vec::with_capacity(location.line.len());
        for line in &location.line {
            if let Some(function) = source.functions.position(line.function_id) {
                lines.push(Line {
                    function_id: self.function(source, function),
                    line: line.line,
                });
            }
        }
        let mapping = source.mappings.position(location.mapping_id);
        let key = LocationKey {
            mapping_id: mapping.map_or(0, |at| self.mapping(source, at)),
            address: location.address,
            lines,
            is_folded: location.is_folded,
        };
        let next = self.locations.len() as u64 + 1;
        let id = *self.locations.entry(key).or_insert(next);
        moved.locations.insert(at, id);
        id
    }

    fn function(&mut self, source: &Source<'_>, at: usize) -> u64 {
        let function = &source.profile.function[at];
        let key = Function {
            id: 0,
            name: self.string(source.string(function.name)),
            system_name: self.string(source.string(function.system_name)),
            filename: self.string(source.string(function.filename)),
            start_line: function.start_line,
        };
        let next = self.functions.len() as u64 + 1;
        *self.functions.entry(key).or_insert(next)
    }

    fn mapping(&mut self, source: &Source<'_>, at: usize) -> u64 {
        let mapping = &source.profile.mapping[at];
        let key = Mapping {
            id: 0,
            filename: self.string(source.string(mapping.filename)),
            build_id: self.string(source.string(mapping.build_id)),
            ..*mapping
        };
        let next = self.mappings.len() as u64 + 1;
        *self.mappings.entry(key).or_insert(next)
    }
}

/// Keys of a map in the order of their values.
fn in_order<K, I: Ord>(map: HashMap<K, I>) -> impl Iterator<Item = K> {
    let mut entries: Vec<(K, I)> = map.into_iter().collect();
    entries.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    entries.into_iter().map(|(key, _)| key)
}
