//! Which sample types of a profile are stored; pure.

use profile::Labels;
use proto::google::v1::Profile;

use super::relabel::Rules;

/// Leaves in a profile of the series `labels` what the rules keep. Returns
/// whether anything is left.
pub(super) fn retain(profile: &mut Profile, labels: &Labels, rules: &Rules) -> bool {
    let text = |index: i64| {
        let text = usize::try_from(index)
            .ok()
            .and_then(|at| profile.string_table.get(at));
        text.map_or("", String::as_str)
    };
    let kept: Vec<bool> = profile
        .sample_type
        .iter()
        .map(|column| rules.keeps_sample_type(labels, text(column.r#type), text(column.unit)))
        .collect();
    if kept.iter().all(|kept| *kept) {
        return true;
    }
    retain_columns(&mut profile.sample_type, &kept);
    for sample in &mut profile.sample {
        retain_columns(&mut sample.value, &kept);
    }
    profile
        .sample
        .retain(|sample| sample.value.iter().any(|value| *value != 0));
    !profile.sample.is_empty()
}

fn retain_columns<T>(columns: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    columns.retain(|_| kept.next().copied().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use contract::config::{RelabelAction, RelabelRule};
    use proto::google::v1::{Sample, ValueType};

    use super::*;

    fn heap() -> Profile {
        let column = |r#type| ValueType { r#type, unit: 3 };
        let sample = |value: [i64; 2]| Sample {
            value: value.to_vec(),
            ..Sample::default()
        };
        Profile {
            string_table: ["", "alloc_space", "inuse_space", "bytes"]
                .map(str::to_owned)
                .to_vec(),
            sample_type: vec![column(1), column(2)],
            sample: vec![sample([5, 7]), sample([6, 0])],
            ..Profile::default()
        }
    }

    fn dropping(regex: &str) -> Rules {
        Rules::compile(&[RelabelRule {
            action: RelabelAction::Drop,
            source_labels: vec!["__type__".to_owned()],
            regex: regex.to_owned(),
            ..RelabelRule::default()
        }])
        .unwrap()
    }

    #[test]
    fn dropped_types_take_their_values_along() {
        let mut profile = heap();
        assert!(retain(
            &mut profile,
            &Labels::default(),
            &dropping("alloc_.*")
        ));
        assert_eq!(profile.sample_type, [ValueType { r#type: 2, unit: 3 }]);
        assert_eq!(profile.sample.len(), 1, "what has no values is no sample");
        assert_eq!(profile.sample[0].value, [7]);
    }

    #[test]
    fn all_or_nothing_may_be_left() {
        let mut profile = heap();
        assert!(retain(&mut profile, &Labels::default(), &dropping("none")));
        assert_eq!(profile, heap());
        assert!(!retain(&mut profile, &Labels::default(), &dropping(".*")));
    }
}
