use std::borrow::Cow;

use super::Limits;
use super::view::{Form, Row, View};
use crate::stack::Ids;

/// Go heap profiles put the size class on each sample; it tells apart stacks
/// that should be summed.
const REDUNDANT_LABEL: &[u8] = b"bytes";

/// Opens the type parameters that the Go compiler adds to names.
const TYPE_PARAMETERS: &str = "[go.shape.";

impl View {
    /// Brings the profile into the form that is stored. Works on any input; a
    /// second time changes nothing.
    ///
    /// * Samples are dropped that have no positive value, a negative one, a wrong
    ///   number of values, or a location or function that does not exist.
    /// * Stacks are cut to the frames next to the root; strings count as cut to
    ///   their tail and are when they are copied out.
    /// * Labels are dropped that tell nothing.
    ///
    /// Whoever copies samples out sums those with the same stack and leaves out
    /// what is not referenced.
    pub fn normalise(&mut self, limits: &Limits) {
        if self.form != Form::AsRead {
            return;
        }
        let long = |view: &Self| view.strings.iter().any(|s| s.len() > limits.symbol_bytes);
        let mut cut = long(self) | self.cut_inlined(limits.stack_depth);
        let frames = self.resolve_symbols();
        let locations = Ids::new(self.locations.iter().map(|location| location.id));
        let mut rows = std::mem::take(&mut self.samples);
        rows.retain_mut(|row| {
            let counts = self.has_value(*row) && self.resolve(row, &locations, &frames);
            if counts {
                cut |= self.cut_stack(row, &frames, limits.stack_depth);
                self.clean_labels(row);
            }
            counts
        });
        self.samples = rows;
        self.form = Form::Normal {
            cut,
            symbol_bytes: limits.symbol_bytes,
        };
    }

    /// Tells whether normalising cut a stack or found a string to cut.
    pub fn is_cut(&self) -> bool {
        matches!(self.form, Form::Normal { cut: true, .. })
    }

    /// Cuts the inlined calls of each location and tells whether it did.
    fn cut_inlined(&mut self, depth: usize) -> bool {
        let mut cut = false;
        for location in &mut self.locations {
            let surplus = location.lines.len().saturating_sub(depth);
            location.lines.start += surplus as u32;
            cut |= surplus > 0;
        }
        cut
    }

    /// Finds functions and mappings by their ids. Returns the number of frames
    /// of each location, 0 where one of its functions does not exist.
    fn resolve_symbols(&mut self) -> Vec<u32> {
        let functions = Ids::new(self.functions.iter().map(|function| function.id));
        let mappings = Ids::new(self.mappings.iter().map(|mapping| mapping.id));
        let mut frames = Vec::with_capacity(self.locations.len());
        for location in &mut self.locations {
            location.mapping = mappings.position(location.mapping_id).map(|at| at as u32);
            let mut whole = true;
            for line in &mut self.lines[location.lines.range()] {
                match functions.position(line.function_id) {
                    Some(at) => line.function = at as u32,
                    None => whole = false,
                }
            }
            let count = location.lines.len().max(1) as u32;
            frames.push(if whole { count } else { 0 });
        }
        frames
    }

    fn has_value(&self, row: Row) -> bool {
        let values = &self.values[row.values.range()];
        values.len() == self.sample_types.len()
            && values.iter().all(|value| *value >= 0)
            && values.iter().any(|value| *value > 0)
    }

    /// Finds the locations of a sample and tells whether all exist.
    fn resolve(&mut self, row: &mut Row, locations: &Ids, frames: &[u32]) -> bool {
        let start = self.stacks.len();
        for id in &self.location_ids[row.stack.range()] {
            match locations.position(*id) {
                Some(at) if frames[at] > 0 => self.stacks.push(at as u32),
                _ => {
                    self.stacks.truncate(start);
                    return false;
                }
            }
        }
        row.stack.start = start as u32;
        row.stack.end = self.stacks.len() as u32;
        true
    }

    /// Cuts a stack to the frames next to the root and tells whether it did.
    fn cut_stack(&self, row: &mut Row, frames: &[u32], depth: usize) -> bool {
        let stack = &self.stacks[row.stack.range()];
        let mut left = depth as u64;
        for (at, location) in stack.iter().enumerate().rev() {
            match left.checked_sub(frames[*location as usize].into()) {
                Some(fewer) => left = fewer,
                None => {
                    row.stack.start += at as u32 + 1;
                    return true;
                }
            }
        }
        false
    }

    fn clean_labels(&mut self, row: &mut Row) {
        let strings = self.strings.len();
        let known = |index: i64| usize::try_from(index).is_ok_and(|at| at < strings);
        let mut end = row.labels.start;
        for at in row.labels.range() {
            let label = self.labels[at];
            let exists = known(label.key) && known(label.str) && known(label.num_unit);
            if exists && !(label.str == 0 && self.text(label.key) == REDUNDANT_LABEL) {
                self.labels[end as usize] = label;
                end += 1;
            }
        }
        row.labels.end = end;
    }
}

/// Replaces the type parameters of a Go function by `[...]`.
pub(super) fn without_type_parameters(name: &str) -> Cow<'_, str> {
    let from = name.find(TYPE_PARAMETERS);
    match from.zip(name.rfind(']')).filter(|(from, to)| from < to) {
        Some((from, to)) => format!("{}[...]{}", &name[..from], &name[to + 1..]).into(),
        None => name.into(),
    }
}

/// Cuts text to at most so many bytes at its end.
pub(super) fn tail(text: &str, max_bytes: usize) -> &str {
    let surplus = text.len().saturating_sub(max_bytes);
    &text[text.ceil_char_boundary(surplus)..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use proto::google::v1::{Function, Label, Line, Location, Sample, ValueType};

    /// One sample per stack of function names, leaf first.
    fn profile(names: &[&str], stacks: &[&[u64]]) -> Profile {
        let ids = || 1..=names.len() as u64;
        let strings = ["", "cpu", "ns"].iter().chain(names);
        Profile {
            string_table: strings.map(|text| (*text).to_owned()).collect(),
            sample_type: vec![ValueType { r#type: 1, unit: 2 }],
            sample: stacks
                .iter()
                .map(|stack| Sample {
                    location_id: stack.to_vec(),
                    value: vec![1],
                    ..Sample::default()
                })
                .collect(),
            location: ids()
                .map(|id| Location {
                    id,
                    line: vec![Line {
                        function_id: id,
                        line: 1,
                    }],
                    ..Location::default()
                })
                .collect(),
            function: ids()
                .map(|id| Function {
                    id,
                    name: id as i64 + 2,
                    ..Function::default()
                })
                .collect(),
            ..Profile::default()
        }
    }

    fn normalised(mut profile: Profile, change: impl FnOnce(&mut Profile)) -> Profile {
        change(&mut profile);
        let mut view = View::of(&profile).unwrap();
        view.normalise(&Limits::default());
        view.to_profile()
    }

    #[test]
    fn same_stacks_are_summed_in_place_of_the_first() {
        let stacks: [&[u64]; 4] = [&[2, 1], &[1], &[2, 1], &[1, 2]];
        let profile = normalised(profile(&["a", "b"], &stacks), |_| {});
        let got: Vec<_> = profile
            .sample
            .iter()
            .map(|s| (&*s.location_id, s.value[0]))
            .collect();
        assert_eq!(got, [(&[2, 1][..], 2), (&[1], 1), (&[1, 2], 1)]);
    }

    #[test]
    fn broken_samples_are_dropped() {
        let stacks: [&[u64]; 7] = [&[1], &[1], &[1], &[1], &[0], &[9], &[3, 1]];
        let profile = normalised(profile(&["a", "b", "c"], &stacks), |p| {
            p.sample[1].value = vec![0];
            p.sample[2].value = vec![-1];
            p.sample[3].value = vec![1, 1];
            p.location[2].line[0].function_id = 9;
        });
        assert_eq!(profile.sample.len(), 1);
        assert_eq!(profile.string_table, ["", "cpu", "ns", "a"]);
        assert_eq!((profile.location.len(), profile.function.len()), (1, 1));
    }

    #[test]
    fn the_size_class_of_go_heaps_tells_nothing_apart() {
        let profile = normalised(profile(&["bytes", "env"], &[&[1], &[1], &[1]]), |p| {
            let number = |key, num| Label {
                key,
                num,
                ..Label::default()
            };
            p.sample[0].label = vec![number(3, 48)];
            p.sample[1].label = vec![number(3, 64)];
            p.sample[2].label = vec![number(4, 64)];
        });
        let values: Vec<i64> = profile.sample.iter().map(|s| s.value[0]).collect();
        assert_eq!(values, [2, 1]);
    }

    #[test]
    fn long_strings_keep_their_tail() {
        let name = format!("é{}", "x".repeat(65_534));
        let profile = normalised(profile(&[&name], &[&[1]]), |_| {});
        assert_eq!(profile.string_table[3], "x".repeat(65_534));
    }

    #[test]
    fn type_parameters_of_go_are_dropped() {
        let names = [
            "slices.f[go.shape.[]int,go.shape.struct { a [2]int }].func1",
            "g[T]",
            "]h[go.shape.",
        ];
        let profile = normalised(profile(&names, &[&[1, 2, 3]]), |_| {});
        assert_eq!(
            profile.string_table[3..],
            ["slices.f[...].func1", "g[T]", "]h[go.shape."]
        );
    }
}
