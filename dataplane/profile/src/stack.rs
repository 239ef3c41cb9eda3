//! Resolving the stacks of a pprof to function names.

use std::collections::{BTreeMap, HashMap};

use proto::google::v1::Sample;

use crate::{CallSite, Profile};

/// Looks up symbols of one profile. Building it allocates only when ids are not
/// `1..=n` in order, which [`crate::pprof::View::to_profile`] makes them, or when
/// locations have no lines; resolving a stack does not allocate.
pub(crate) struct Symbols<'p> {
    profile: &'p Profile,
    locations: Ids,
    functions: Ids,
    /// Stand-in names of locations that have no lines, by position.
    addresses: BTreeMap<usize, String>,
}

/// A function name: an index into the string table or, above it, the position
/// of a location without lines.
pub(crate) type Frame = usize;

impl<'p> Symbols<'p> {
    pub(crate) fn new(profile: &'p Profile) -> Self {
        let bare = profile.location.iter().enumerate();
        let bare = bare.filter(|(_, location)| location.line.is_empty());
        Self {
            profile,
            locations: Ids::new(profile.location.iter().map(|location| location.id)),
            functions: Ids::new(profile.function.iter().map(|function| function.id)),
            addresses: bare
                .map(|(at, location)| (at, format!("{:#x}", location.address)))
                .collect(),
        }
    }

    /// Replaces `frames` by the frames of a sample, root first. Symbols that do
    /// not exist are left out.
    pub(crate) fn frames(&self, sample: &Sample, frames: &mut Vec<Frame>) {
        frames.clear();
        for id in sample.location_id.iter().rev() {
            let Some(at) = self.locations.position(*id) else {
                continue;
            };
            let lines = &self.profile.location[at].line;
            if lines.is_empty() {
                frames.push(self.profile.string_table.len() + at);
            }
            let names = lines.iter().rev();
            frames.extend(names.filter_map(|line| self.function_name(line.function_id)));
        }
    }

    /// Name of a frame that [`Symbols::frames`] returned.
    pub(crate) fn name(&self, frame: Frame) -> &str {
        let strings = &self.profile.string_table;
        match strings.get(frame) {
            Some(name) => name,
            None => self
                .addresses
                .get(&(frame - strings.len()))
                .map_or("", String::as_str),
        }
    }

    /// Number of different frames there can be.
    pub(crate) fn frame_count(&self) -> usize {
        self.profile.string_table.len() + self.profile.location.len()
    }

    /// Tells whether a stack, root first, is below a call site.
    pub(crate) fn is_under(&self, frames: &[Frame], call_site: &CallSite) -> bool {
        call_site.matches(frames.iter().map(|frame| self.name(*frame)))
    }

    fn function_name(&self, id: u64) -> Option<Frame> {
        let function = &self.profile.function[self.functions.position(id)?];
        let name = usize::try_from(function.name).ok()?;
        (name < self.profile.string_table.len()).then_some(name)
    }
}

/// Position of each id of a table; of several equal ids the first counts.
pub(crate) enum Ids {
    /// Ids are `1..=n` in order.
    Dense(usize),
    /// Ids come from outside, so the map is one that resists chosen keys.
    Sparse(HashMap<u64, usize>),
}

impl Ids {
    pub(crate) fn new(ids: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        let count = ids.len();
        if (1..)
            .zip(ids.clone())
            .all(|(want, id): (u64, u64)| want == id)
        {
            return Self::Dense(count);
        }
        let mut positions = HashMap::with_capacity(count);
        for (at, id) in ids.enumerate() {
            positions.entry(id).or_insert(at);
        }
        Self::Sparse(positions)
    }

    /// Position of an id; 0 is no id.
    pub(crate) fn position(&self, id: u64) -> Option<usize> {
        let before = usize::try_from(id.checked_sub(1)?).ok()?;
        match self {
            Self::Dense(count) => (before < *count).then_some(before),
            Self::Sparse(positions) => positions.get(&id).copied(),
        }
    }
}
