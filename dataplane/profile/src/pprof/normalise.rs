use std::cmp::Ordering;

use proto::google::v1::{Label, Location, Profile, Sample};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Limits;
use super::prune::prune;
use crate::stack::Ids;

/// Go heap profiles put the size class on each sample; it tells apart stacks
/// that should be summed.
const REDUNDANT_LABEL: &str = "bytes";

/// Brings a profile into the form that is stored. Works on any input.
///
/// * Samples are dropped that have no positive value, a negative one, a wrong
///   number of values, or a location or function that does not exist.
/// * Stacks are cut to the frames next to the root, strings to their tail.
/// * Type parameters of Go functions become `[...]`, as `f[go.shape.int]` and
///   `f[go.shape.string]` are one function to a reader.
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
    drop_type_parameters(profile);
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

fn drop_type_parameters(profile: &mut Profile) {
    for function in &profile.function {
        // `prune` made every index valid.
        let name = &mut profile.string_table[function.name as usize];
        let from = name.find("[go.shape.");
        if let Some((from, to)) = from.zip(name.rfind(']')).filter(|(from, to)| from < to) {
            name.replace_range(from..=to, "[...]");
        }
    }
}

fn keep_tail(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        let from = text.ceil_char_boundary(text.len() - max_bytes);
        text.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::google::v1::{Function, Line, ValueType};

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
        normalise(&mut profile, &Limits::default());
        profile
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
