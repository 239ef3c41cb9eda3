//! What normalising a pprof means, written the plain way to compare with.

use std::collections::{BTreeMap, BTreeSet};

use profile::{Profile, pprof::Limits};
use proto::google::v1::{Label, Location, Sample};

type LabelKey = (i64, i64, i64, i64);

/// Returns the profile in the form in which it is stored.
pub(crate) fn normalised(from: &Profile, limits: &Limits) -> Profile {
    let mut profile = from.clone();
    let functions = positions(profile.function.iter().map(|function| function.id));
    let mappings = positions(profile.mapping.iter().map(|mapping| mapping.id));
    let locations = positions(profile.location.iter().map(|location| location.id));
    for location in &mut profile.location {
        let surplus = location.line.len().saturating_sub(limits.stack_depth);
        location.line.drain(..surplus);
    }
    let whole = |location: &Location| {
        let mut lines = location.line.iter();
        lines.all(|line| functions.contains_key(&line.function_id))
    };
    let stack = |sample: &Sample| -> Option<Vec<usize>> {
        let ids = sample.location_id.iter();
        let found: Option<Vec<usize>> = ids.map(|id| locations.get(id).copied()).collect();
        found.filter(|stack| stack.iter().all(|at| whole(&profile.location[*at])))
    };
    let mut samples: Vec<(Vec<usize>, Vec<Label>, Vec<i64>)> = Vec::new();
    let mut known: BTreeMap<(Vec<usize>, Vec<LabelKey>), usize> = BTreeMap::new();
    for sample in &from.sample {
        let columns = from.sample_type.len();
        let negative = sample.value.iter().any(|value| *value < 0);
        let zero = sample.value.iter().all(|value| *value == 0);
        if sample.value.len() != columns || negative || zero {
            continue;
        }
        let Some(mut stack) = stack(sample) else {
            continue;
        };
        let frames = |stack: &[usize]| -> usize {
            let counts = stack
                .iter()
                .map(|at| profile.location[*at].line.len().max(1));
            counts.sum()
        };
        while frames(&stack) > limits.stack_depth {
            stack.remove(0);
        }
        let labels = labels(from, sample);
        let keys = labels.iter().map(label_key).collect();
        let next = samples.len();
        let at = *known.entry((stack.clone(), keys)).or_insert(next);
        if at == next {
            samples.push((stack, labels, sample.value.clone()));
            continue;
        }
        for (sum, value) in samples[at].2.iter_mut().zip(&sample.value) {
            *sum = sum.saturating_add(*value);
        }
    }

    let used: BTreeSet<usize> = samples
        .iter()
        .flat_map(|(stack, ..)| stack.clone())
        .collect();
    let lines = used.iter().flat_map(|at| &profile.location[*at].line);
    let used_functions: BTreeSet<usize> = lines.map(|line| functions[&line.function_id]).collect();
    let ids = used.iter().map(|at| profile.location[*at].mapping_id);
    let used_mappings: BTreeSet<usize> = ids.filter_map(|id| mappings.get(&id).copied()).collect();
    let new_id = |used: &BTreeSet<usize>, at: usize| used.range(..=at).count() as u64;
    profile.sample = samples
        .into_iter()
        .map(|(stack, label, value)| Sample {
            location_id: stack.into_iter().map(|at| new_id(&used, at)).collect(),
            value,
            label,
        })
        .collect();
    for (at, location) in profile.location.iter_mut().enumerate() {
        location.id = new_id(&used, at);
        let mapping = mappings.get(&location.mapping_id);
        location.mapping_id = mapping.map_or(0, |at| new_id(&used_mappings, *at));
        for line in &mut location.line {
            let function = functions.get(&line.function_id);
            line.function_id = function.map_or(0, |at| new_id(&used_functions, *at));
        }
    }
    for (at, function) in profile.function.iter_mut().enumerate() {
        function.id = new_id(&used_functions, at);
    }
    for (at, mapping) in profile.mapping.iter_mut().enumerate() {
        mapping.id = new_id(&used_mappings, at);
    }
    keep(&mut profile.location, &used);
    keep(&mut profile.function, &used_functions);
    keep(&mut profile.mapping, &used_mappings);
    strings(&mut profile, limits);
    profile
}

fn positions(ids: impl Iterator<Item = u64>) -> BTreeMap<u64, usize> {
    let mut positions = BTreeMap::new();
    for (at, id) in ids.enumerate().filter(|(_, id)| *id != 0) {
        positions.entry(id).or_insert(at);
    }
    positions
}

fn keep<T>(table: &mut Vec<T>, used: &BTreeSet<usize>) {
    let mut at = 0..;
    table.retain(|_| at.next().is_some_and(|at| used.contains(&at)));
}

fn label_key(label: &Label) -> LabelKey {
    (label.key, label.str, label.num, label.num_unit)
}

fn text(profile: &Profile, index: i64) -> Option<&String> {
    profile.string_table.get(usize::try_from(index).ok()?)
}

fn labels(profile: &Profile, sample: &Sample) -> Vec<Label> {
    let known = |index| text(profile, index).is_some();
    let labels = sample.label.iter().filter(|label| {
        let all = known(label.key) && known(label.str) && known(label.num_unit);
        let size_class =
            label.str == 0 && text(profile, label.key).is_some_and(|key| key == "bytes");
        all && !size_class
    });
    let mut labels: Vec<Label> = labels.copied().collect();
    labels.sort_by_key(label_key);
    labels
}

fn strings(profile: &mut Profile, limits: &Limits) {
    if profile.string_table.is_empty() {
        profile.string_table.push(String::new());
    }
    let count = profile.string_table.len();
    let mut used = BTreeSet::from([0]);
    each_string(profile, |index| {
        let at = usize::try_from(*index).ok().filter(|at| *at < count);
        *index = at.unwrap_or(0) as i64;
        used.insert(at.unwrap_or(0));
    });
    for function in &profile.function {
        let name = &mut profile.string_table[function.name as usize];
        if let (Some(from), Some(to)) = (name.find("[go.shape."), name.rfind(']'))
            && from < to
        {
            name.replace_range(from..=to, "[...]");
        }
    }
    each_string(profile, |index| {
        *index = used.range(..*index as usize).count() as i64;
    });
    keep(&mut profile.string_table, &used);
    for text in &mut profile.string_table {
        while text.len() > limits.symbol_bytes {
            text.remove(0);
        }
    }
}

fn each_string(profile: &mut Profile, mut visit: impl FnMut(&mut i64)) {
    let types = profile.sample_type.iter_mut();
    for value_type in types.chain(&mut profile.period_type) {
        visit(&mut value_type.r#type);
        visit(&mut value_type.unit);
    }
    for label in profile
        .sample
        .iter_mut()
        .flat_map(|sample| &mut sample.label)
    {
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
