use std::collections::BTreeMap;

use proto::google::v1::{Label, Sample, ValueType};

use super::normalise::sum_same_stacks;
use crate::Profile;
use crate::assembly::{Assembly, Moved, Source};
use crate::labels::Labels;

/// Sample labels that stay on samples: each value occurs in few samples, so a
/// series for each would be one series per request.
const STAY: [&str; 3] = ["profile_id", "span_id", "trace_id"];

/// Symbols that splitting may copy, in bytes. Beyond it samples keep their
/// values and stacks and lose their labels; no honest profile comes near.
const COPY_BUDGET: usize = 64 << 20;

/// Splits a profile by the string labels of its samples, which become labels of
/// the series: one profile per distinct set.
///
/// Labels of the series win over those of samples. Labels `profile_id`,
/// `span_id`, `trace_id`, `__private` and numeric ones stay on their samples. A
/// profile without other labels is returned as it is, without copying.
pub fn split_by_sample_labels(mut profile: Profile, labels: &Labels) -> Vec<(Labels, Profile)> {
    if profile.sample.iter().all(|sample| sample.label.is_empty()) {
        return vec![(labels.clone(), profile)];
    }
    let mut groups = group(&profile, labels);
    if groups.len() > 1 {
        return split(&profile, labels, groups, COPY_BUDGET);
    }
    let mut samples = std::mem::take(&mut profile.sample);
    let source = Source::new(&profile);
    for sample in &mut samples {
        sample.label.retain(|label| !is_lifted(&source, label));
    }
    sum_same_stacks(&mut samples);
    profile.sample = samples;
    let (labels, _) = groups
        .pop_first()
        .unwrap_or_else(|| (labels.clone(), Vec::new()));
    vec![(labels, profile)]
}

/// Positions of samples by the labels of the series that they go to.
type Groups = BTreeMap<Labels, Vec<usize>>;

fn group(profile: &Profile, labels: &Labels) -> Groups {
    let source = Source::new(profile);
    let mut groups = Groups::new();
    let mut known: BTreeMap<Vec<(i64, i64)>, Labels> = BTreeMap::new();
    for (at, sample) in profile.sample.iter().enumerate() {
        let lifted = sample.label.iter().filter(|l| is_lifted(&source, l));
        let raw: Vec<(i64, i64)> = lifted.map(|label| (label.key, label.str)).collect();
        let series = known
            .entry(raw)
            .or_insert_with_key(|raw| with_sample_labels(&source, labels, raw));
        match groups.get_mut(series) {
            Some(samples) => samples.push(at),
            None => drop(groups.insert(series.clone(), vec![at])),
        }
    }
    groups
}

fn is_lifted(source: &Source<'_>, label: &Label) -> bool {
    let name = source.string(label.key);
    let private = name.is_empty() || name.starts_with("__") || STAY.contains(&name);
    !private && !source.string(label.str).is_empty()
}

/// The first value of a name counts.
fn with_sample_labels(source: &Source<'_>, labels: &Labels, raw: &[(i64, i64)]) -> Labels {
    let mut pairs: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, value) in raw {
        let value = source.string(*value);
        pairs.entry(source.string(*key)).or_insert(value);
    }
    pairs.extend(labels.iter());
    Labels::new(pairs).expect("keys of a map are distinct and lifted names are not empty")
}

fn split(
    profile: &Profile,
    labels: &Labels,
    mut groups: Groups,
    budget: usize,
) -> Vec<(Labels, Profile)> {
    let source = Source::new(profile);
    let mut rest = groups.remove(labels).unwrap_or_default();
    let mut copied = 0;
    let mut parts = Vec::with_capacity(groups.len() + 1);
    for (series, samples) in groups {
        if copied > budget {
            rest.extend(samples);
            continue;
        }
        let part = extract(&source, profile, &samples);
        copied += part.symbol_bytes();
        parts.push((series, finish(part, &source, profile)));
    }
    if !rest.is_empty() {
        let part = extract(&source, profile, &rest);
        parts.push((labels.clone(), finish(part, &source, profile)));
    }
    parts
}

fn extract(source: &Source<'_>, profile: &Profile, samples: &[usize]) -> Assembly {
    let mut part = Assembly::default();
    let mut moved = Moved::default();
    for at in samples {
        let sample: &Sample = &profile.sample[*at];
        part.add(source, &mut moved, sample, &sample.value, |label| {
            !is_lifted(source, label)
        });
    }
    part
}

/// Adds what is not samples or symbols.
fn finish(mut part: Assembly, source: &Source<'_>, profile: &Profile) -> Profile {
    let mut string = |index: i64| part.string(source.string(index));
    let mut value_type = |of: &ValueType| ValueType {
        r#type: string(of.r#type),
        unit: string(of.unit),
    };
    let sample_type = profile.sample_type.iter().map(&mut value_type).collect();
    let period_type = profile.period_type.as_ref().map(value_type);
    let header = Profile {
        sample_type,
        period_type,
        comment: profile.comment.iter().map(|index| string(*index)).collect(),
        drop_frames: string(profile.drop_frames),
        keep_frames: string(profile.keep_frames),
        default_sample_type: string(profile.default_sample_type),
        time_nanos: profile.time_nanos,
        duration_nanos: profile.duration_nanos,
        period: profile.period,
        ..Profile::default()
    };
    let Profile {
        sample,
        location,
        function,
        mapping,
        string_table,
        ..
    } = part.finish();
    Profile {
        sample,
        location,
        function,
        mapping,
        string_table,
        ..header
    }
}
