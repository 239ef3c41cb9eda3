use std::cmp::Ordering;

use proto::google::v1::{Label, Location, Profile, Sample};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Limits;
use crate::stack::Ids;

/// Go heap profiles put the size class on each sample; it tells apart stacks
/// that should be summed.
const REDUNDANT_LABEL: &str = "bytes";

/// Brings a profile into the form that is stored. Works on any input.
///
/// * Samples are dropped that have no positive value, a negative one, a wrong
///   number of values, or a location or function that does not exist.
/// * Stacks are cut to the frames next to the root, strings to their tail.
/// * Samples with the same stack and labels are summed; the first one's place
///   is kept.
/// * What is not referenced is dropped, and ids become dense: the id of entry
///   `i` of a table is `i + 1`.
///
/// Allocates tables proportional to the profile, nothing per sample.
pub fn normalise(profile: &mut Profile, limits: &Limits) {
    let strings = profile.string_table.len();
    let functions = Ids::new(profile.function.iter().map(|f| f.id));
    let frames_of = cut_locations(&mut profile.location, &functions, limits.stack_depth);
    let locations = Ids::new(profile.location.iter().map(|l| l.id));
    let columns = profile.sample_type.len();
    let redundant: Vec<bool> = profile
        .string_table
        .iter()
        .map(|name| name == REDUNDANT_LABEL)
        .collect();
    profile.sample.retain_mut(|sample| {
        has_value(sample, columns)
            && resolve(sample, &locations, &frames_of, limits.stack_depth)
            && {
                clean_labels(&mut sample.label, strings, &redundant);
                true
            }
    });
    sum_same_stacks(&mut profile.sample);
    prune(profile, &functions);
    for text in &mut profile.string_table {
        keep_tail(text, limits.symbol_bytes);
    }
}

/// Cuts inlined calls to the depth limit and returns the number of frames of
/// each location, `None` where one of its functions does not exist.
fn cut_locations(locations: &mut [Location], functions: &Ids, depth: usize) -> Vec<Option<usize>> {
    let frames = locations.iter_mut().map(|location| {
        let surplus = location.line.len().saturating_sub(depth);
        location.line.drain(..surplus);
        let known = |id| functions.position(id).is_some();
        let whole = location.line.iter().all(|line| known(line.function_id));
        whole.then_some(location.line.len().max(1))
    });
    frames.collect()
}

fn has_value(sample: &Sample, columns: usize) -> bool {
    sample.value.len() == columns
        && sample.value.iter().all(|value| *value >= 0)
        && sample.value.iter().any(|value| *value > 0)
}

/// Replaces location ids by positions, cuts the stack, and tells whether all
/// locations exist.
fn resolve(
    sample: &mut Sample,
    locations: &Ids,
    frames_of: &[Option<usize>],
    depth: usize,
) -> bool {
    let mut frames = 0_usize;
    let mut keep_from = sample.location_id.len();
    for (at, id) in sample.location_id.iter_mut().enumerate().rev() {
        let Some(position) = locations.position(*id) else {
            return false;
        };
        let Some(count) = frames_of[position] else {
            return false;
        };
        *id = position as u64;
        frames = frames.saturating_add(count);
        if frames <= depth {
            keep_from = at;
        }
    }
    sample.location_id.drain(..keep_from);
    true
}

fn clean_labels(labels: &mut Vec<Label>, strings: usize, redundant: &[bool]) {
    let known = |index: i64| usize::try_from(index).is_ok_and(|at| at < strings);
    labels.retain(|label| {
        known(label.key)
            && known(label.str)
            && known(label.num_unit)
            && !(label.str == 0 && redundant[label.key as usize])
    });
    labels.sort_unstable_by_key(label_key);
}

fn label_key(label: &Label) -> (i64, i64, i64, i64) {
    (label.key, label.str, label.num, label.num_unit)
}

/// Sums the values of samples that agree in stack and labels; the labels of
/// each sample are in one fixed order.
///
/// Sorting by hash and then by content keeps the cost at n·log n for inputs
/// made to collide.
pub(super) fn sum_same_stacks(samples: &mut Vec<Sample>) {
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
        a.label
            .iter()
            .map(label_key)
            .cmp(b.label.iter().map(label_key))
    };
    a.location_id.cmp(&b.location_id).then_with(by_labels)
}

/// Drops what no sample references and numbers the rest densely. Locations of
/// samples are positions here, not ids.
fn prune(profile: &mut Profile, functions: &Ids) {
    let mut locations = Renumber::new(profile.location.len());
    for sample in &profile.sample {
        for at in &sample.location_id {
            locations.mark(*at as usize);
        }
    }
    locations.number();
    locations.keep(&mut profile.location);

    let mappings = Ids::new(profile.mapping.iter().map(|m| m.id));
    let mut used_functions = Renumber::new(profile.function.len());
    let mut used_mappings = Renumber::new(profile.mapping.len());
    for location in &profile.location {
        for line in &location.line {
            if let Some(at) = functions.position(line.function_id) {
                used_functions.mark(at);
            }
        }
        if let Some(at) = mappings.position(location.mapping_id) {
            used_mappings.mark(at);
        }
    }
    used_functions.number();
    used_mappings.number();
    for (at, location) in profile.location.iter_mut().enumerate() {
        location.id = at as u64 + 1;
        let mapping = mappings.position(location.mapping_id);
        location.mapping_id = mapping.map_or(0, |at| used_mappings.id(at));
        for line in &mut location.line {
            let function = functions.position(line.function_id);
            line.function_id = function.map_or(0, |at| used_functions.id(at));
        }
    }
    used_functions.keep(&mut profile.function);
    used_mappings.keep(&mut profile.mapping);
    for (id, function) in (1..).zip(&mut profile.function) {
        function.id = id;
    }
    for (id, mapping) in (1..).zip(&mut profile.mapping) {
        mapping.id = id;
    }
    for sample in &mut profile.sample {
        for at in &mut sample.location_id {
            *at = locations.id(*at as usize);
        }
    }
    prune_strings(profile);
}

fn prune_strings(profile: &mut Profile) {
    if profile.string_table.is_empty() {
        profile.string_table.push(String::new());
    }
    let mut strings = Renumber::new(profile.string_table.len());
    strings.mark(0);
    for_each_string(profile, |index| match usize::try_from(*index) {
        Ok(at) if at < strings.len() => strings.mark(at),
        _ => *index = 0,
    });
    strings.number();
    for_each_string(profile, |index| {
        *index = strings.id(*index as usize) as i64 - 1
    });
    strings.keep(&mut profile.string_table);
}

fn for_each_string(profile: &mut Profile, mut visit: impl FnMut(&mut i64)) {
    for column in profile
        .sample_type
        .iter_mut()
        .chain(&mut profile.period_type)
    {
        visit(&mut column.r#type);
        visit(&mut column.unit);
    }
    for sample in &mut profile.sample {
        for label in &mut sample.label {
            visit(&mut label.key);
            visit(&mut label.str);
            visit(&mut label.num_unit);
        }
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

/// Which entries of a table are used, and their ids once the others are gone.
struct Renumber {
    /// 0: unused; before [`Renumber::number`] any other value means used.
    ids: Vec<u64>,
}

impl Renumber {
    fn new(len: usize) -> Self {
        Self { ids: vec![0; len] }
    }

    fn len(&self) -> usize {
        self.ids.len()
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

    fn keep<T>(&self, table: &mut Vec<T>) {
        let mut ids = self.ids.iter();
        table.retain(|_| ids.next().is_some_and(|id| *id != 0));
    }
}

fn keep_tail(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        let from = text.ceil_char_boundary(text.len() - max_bytes);
        text.drain(..from);
    }
}
