use std::cmp::Ordering;

use proto::google::v1::{Function, Label, Line, Location, Mapping, Sample, ValueType};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::normalise::{tail, without_type_parameters};
use super::view::{self, Form, View};
use crate::Profile;

impl View {
    /// Copies the profile out: as it was read, or as it is stored once it is
    /// normalised. Then samples with the same stack and labels are summed in
    /// place of the first, and only what is referenced is there: the id of entry
    /// `i` of a table is `i + 1`.
    pub fn to_profile(&self) -> Profile {
        match self.form {
            Form::AsRead => self.as_read(),
            Form::Normal { .. } => {
                let all: Vec<usize> = (0..self.samples.len()).collect();
                self.extract(&all, |_| true)
            }
        }
    }

    /// Copies out some samples, with those of their labels that are kept, and
    /// what they refer to. The view is normalised.
    pub(super) fn extract(&self, rows: &[usize], keep: impl Fn(&Label) -> bool) -> Profile {
        let Form::Normal { symbol_bytes, .. } = self.form else {
            return Profile::default();
        };
        let used = self.used(rows);
        let mut profile = Profile {
            sample: rows
                .iter()
                .map(|row| self.sample(*row, &used, &keep))
                .collect(),
            location: used.locations.kept(&self.locations, |id, location| {
                self.location(id, location, &used)
            }),
            function: used.functions.kept(&self.functions, function),
            mapping: used.mappings.kept(&self.mappings, mapping),
            ..self.head()
        };
        sum_same_stacks(&mut profile.sample);
        self.copy_strings(&mut profile, symbol_bytes);
        profile
    }

    fn used(&self, rows: &[usize]) -> Used {
        let mut used = Used {
            locations: Renumber::new(self.locations.len()),
            functions: Renumber::new(self.functions.len()),
            mappings: Renumber::new(self.mappings.len()),
        };
        for row in rows {
            for at in &self.stacks[self.samples[*row].stack.range()] {
                used.locations.mark(*at as usize);
            }
        }
        for (at, location) in self.locations.iter().enumerate() {
            if used.locations.id(at) == 0 {
                continue;
            }
            for line in self.lines(location) {
                used.functions.mark(line.function as usize);
            }
            if let Some(mapping) = location.mapping {
                used.mappings.mark(mapping as usize);
            }
        }
        used.locations.number();
        used.functions.number();
        used.mappings.number();
        used
    }

    fn sample(&self, row: usize, used: &Used, keep: impl Fn(&Label) -> bool) -> Sample {
        let row = self.samples[row];
        let stack = self.stacks[row.stack.range()].iter();
        let labels = self.labels[row.labels.range()].iter();
        let mut label: Vec<Label> = labels.filter(|label| keep(label)).copied().collect();
        label.sort_unstable_by_key(label_key);
        Sample {
            location_id: stack.map(|at| used.locations.id(*at as usize)).collect(),
            value: self.values[row.values.range()].to_vec(),
            label,
        }
    }

    fn location(&self, id: u64, from: &view::Location, used: &Used) -> Location {
        let line = |line: &view::Line| Line {
            function_id: used.functions.id(line.function as usize),
            line: line.line,
        };
        Location {
            id,
            mapping_id: from.mapping.map_or(0, |at| used.mappings.id(at as usize)),
            address: from.address,
            line: self.lines(from).iter().map(line).collect(),
            is_folded: from.is_folded,
        }
    }

    /// Everything but samples and symbols.
    fn head(&self) -> Profile {
        Profile {
            sample_type: self.sample_types.clone(),
            period_type: self.header.period_type,
            comment: self.comments.clone(),
            drop_frames: self.header.drop_frames,
            keep_frames: self.header.keep_frames,
            time_nanos: self.header.time_nanos,
            duration_nanos: self.header.duration_nanos,
            period: self.header.period,
            default_sample_type: self.header.default_sample_type,
            ..Profile::default()
        }
    }

    /// Copies the strings that a profile refers to and renumbers the references.
    /// An index that is out of range becomes that of the empty string.
    fn copy_strings(&self, profile: &mut Profile, symbol_bytes: usize) {
        let mut strings = Renumber::new(self.strings.len().max(1));
        strings.mark(0);
        for_each_string(profile, |index| match usize::try_from(*index) {
            Ok(at) if at < self.strings.len() => strings.mark(at),
            _ => *index = 0,
        });
        strings.number();
        let mut is_name = vec![false; self.strings.len().max(1)];
        for function in &profile.function {
            is_name[function.name as usize] = true;
        }
        for_each_string(profile, |index| {
            *index = strings.id(*index as usize) as i64 - 1;
        });
        let texts = (0..).zip(is_name).filter(|(at, _)| strings.id(*at) != 0);
        profile.string_table = texts
            .map(|(at, is_name)| {
                let text = self.string(at as i64);
                match is_name {
                    true => tail(&without_type_parameters(text), symbol_bytes).to_owned(),
                    false => tail(text, symbol_bytes).to_owned(),
                }
            })
            .collect();
    }

    fn as_read(&self) -> Profile {
        let sample = self.samples.iter().map(|row| Sample {
            location_id: self.location_ids[row.stack.range()].to_vec(),
            value: self.values[row.values.range()].to_vec(),
            label: self.labels[row.labels.range()].to_vec(),
        });
        let location = self.locations.iter().map(|location| Location {
            id: location.id,
            mapping_id: location.mapping_id,
            address: location.address,
            line: self
                .lines(location)
                .iter()
                .map(|line| Line {
                    function_id: line.function_id,
                    line: line.line,
                })
                .collect(),
            is_folded: location.is_folded,
        });
        let strings = 0..self.strings.len() as i64;
        Profile {
            sample: sample.collect(),
            location: location.collect(),
            function: self.functions.iter().map(|f| function(f.id, f)).collect(),
            mapping: self.mappings.iter().map(|m| mapping(m.id, m)).collect(),
            string_table: strings.map(|at| self.string(at).to_owned()).collect(),
            ..self.head()
        }
    }
}

fn function(id: u64, from: &view::Function) -> Function {
    Function {
        id,
        name: from.name,
        system_name: from.system_name,
        filename: from.filename,
        start_line: from.start_line,
    }
}

fn mapping(id: u64, from: &view::Mapping) -> Mapping {
    Mapping {
        id,
        memory_start: from.memory_start,
        memory_limit: from.memory_limit,
        file_offset: from.file_offset,
        filename: from.filename,
        build_id: from.build_id,
        has_functions: from.has_functions,
        has_filenames: from.has_filenames,
        has_line_numbers: from.has_line_numbers,
        has_inline_frames: from.has_inline_frames,
    }
}

fn for_each_string(profile: &mut Profile, mut visit: impl FnMut(&mut i64)) {
    let types = profile.sample_type.iter_mut();
    for ValueType { r#type, unit } in types.chain(&mut profile.period_type) {
        visit(r#type);
        visit(unit);
    }
    for label in profile.sample.iter_mut().flat_map(|s| &mut s.label) {
        visit(&mut label.key);
        visit(&mut label.str);
        visit(&mut label.num_unit);
    }
    for mapping in &mut profile.mapping {
        visit(&mut mapping.filename);
        visit(&mut mapping.build_id);
    }
    for function in &mut profile.function {
        visit(&mut function.name);
        visit(&mut function.system_name);
        visit(&mut function.filename);
    }
    profile.comment.iter_mut().for_each(&mut visit);
    visit(&mut profile.drop_frames);
    visit(&mut profile.keep_frames);
    visit(&mut profile.default_sample_type);
}

/// Sums the values of samples that agree in stack and labels; the labels of
/// each sample are in one fixed order.
///
/// Sorting by hash and then by content keeps the cost at n·log n for inputs
/// made to collide.
fn sum_same_stacks(samples: &mut Vec<Sample>) {
    let hashes: Vec<u64> = samples.iter().map(stack_hash).collect();
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_unstable_by(|&a, &b| {
        let by_content = || same_stack_order(&samples[a], &samples[b]);
        hashes[a]
            .cmp(&hashes[b])
            .then_with(by_content)
            .then(a.cmp(&b))
    });
    let mut absorbed = vec![false; samples.len()];
    let mut first = 0;
    for at in 1..order.len() {
        let (into, from) = (order[first], order[at]);
        let same = hashes[into] == hashes[from]
            && same_stack_order(&samples[into], &samples[from]) == Ordering::Equal;
        if !same {
            first = at;
            continue;
        }
        let values = std::mem::take(&mut samples[from].value);
        for (sum, value) in samples[into].value.iter_mut().zip(values) {
            *sum = sum.saturating_add(value);
        }
        absorbed[from] = true;
    }
    let mut absorbed = absorbed.into_iter();
    samples.retain(|_| absorbed.next() == Some(false));
}

fn label_key(label: &Label) -> (i64, i64, i64, i64) {
    (label.key, label.str, label.num, label.num_unit)
}

fn stack_hash(sample: &Sample) -> u64 {
    // Mixing eight bytes at a time beats copying the stack into a byte buffer.
    let mut hash = sample.location_id.len() as u64;
    for id in &sample.location_id {
        hash = (hash.rotate_left(5) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    for label in &sample.label {
        let (key, text, number, unit) = label_key(label);
        for part in [key, text, number, unit] {
            hash = xxh3_64_with_seed(&part.to_le_bytes(), hash);
        }
    }
    hash
}

fn same_stack_order(a: &Sample, b: &Sample) -> Ordering {
    let by_labels = || {
        let (a, b) = (a.label.iter(), b.label.iter());
        a.map(label_key).cmp(b.map(label_key))
    };
    a.location_id.cmp(&b.location_id).then_with(by_labels)
}

/// Which entries of the tables some samples refer to.
struct Used {
    locations: Renumber,
    functions: Renumber,
    mappings: Renumber,
}

/// Which entries of a table are used, and their ids once the others are gone.
struct Renumber {
    /// 0: unused; before [`Renumber::number`] any other value means used.
    ids: Vec<u64>,
}

impl Renumber {
    fn new(len: usize) -> Self {
        Self { ids: vec![0; len] }
    }

    fn mark(&mut self, at: usize) {
        self.ids[at] = 1;
    }

    fn number(&mut self) {
        let used = self.ids.iter_mut().filter(|id| **id != 0);
        for (next, id) in (1..).zip(used) {
            *id = next;
        }
    }

    fn id(&self, at: usize) -> u64 {
        self.ids[at]
    }

    fn kept<T, U>(&self, table: &[T], copy: impl Fn(u64, &T) -> U) -> Vec<U> {
        let entries = self.ids.iter().zip(table);
        let used = entries.filter(|(id, _)| **id != 0);
        used.map(|(id, entry)| copy(*id, entry)).collect()
    }
}
