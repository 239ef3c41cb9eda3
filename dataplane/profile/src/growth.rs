//! What counters grew by.

use proto::google::v1::Sample;

use crate::Profile;
use crate::assembly::{Assembly, Moved, Source};

/// Returns what the first value of each stack and its labels grew by since an
/// earlier profile. A counter that went down began anew.
///
/// The result has no sample types. Stacks are the same when all that is known of
/// their locations is, whatever these are numbered.
pub fn growth(profile: &Profile, since: &Profile) -> Profile {
    let mut assembly = Assembly::default();
    for (at, of) in [profile, since].into_iter().enumerate() {
        let source = Source::new(of);
        let mut moved = Moved::default();
        for sample in &of.sample {
            let mut values = [0; 2];
            values[at] = sample.value.first().copied().unwrap_or_default();
            assembly.add(&source, &mut moved, sample, &values, |_| true);
        }
    }
    let both = assembly.finish();
    let grown = both.sample.into_iter().filter_map(|sample| {
        let value = match *sample.value {
            [now, before] if now >= before => now.saturating_sub(before),
            [now, ..] => now,
            [] => 0,
        };
        (value != 0).then(|| Sample {
            value: vec![value],
            ..sample
        })
    });
    Profile {
        sample: grown.collect(),
        ..both
    }
}

#[cfg(test)]
mod tests {
    use proto::google::v1::{Function, Line, Location};

    use super::*;

    /// One sample per function, each numbered as it comes.
    fn profile(values: &[(&str, i64)]) -> Profile {
        let mut profile = Profile {
            string_table: vec![String::new()],
            ..Profile::default()
        };
        for (id, (name, value)) in (1..).zip(values) {
            profile.string_table.push((*name).to_owned());
            profile.function.push(Function {
                id,
                name: id as i64,
                ..Function::default()
            });
            let line = Line {
                function_id: id,
                line: 1,
            };
            profile.location.push(Location {
                id,
                line: vec![line],
                ..Location::default()
            });
            profile.sample.push(Sample {
                location_id: vec![id],
                value: vec![*value],
                label: Vec::new(),
            });
        }
        profile
    }

    fn values(profile: &Profile) -> Vec<(&str, i64)> {
        let name = |sample: &Sample| {
            let location = &profile.location[sample.location_id[0] as usize - 1];
            let function = &profile.function[location.line[0].function_id as usize - 1];
            &*profile.string_table[function.name as usize]
        };
        let samples = profile.sample.iter();
        samples.map(|it| (name(it), it.value[0])).collect()
    }

    #[test]
    fn each_stack_grows_by_itself_and_may_begin_anew() {
        let now = profile(&[("new", 4), ("grew", 7), ("same", 5), ("anew", 2)]);
        let before = profile(&[("same", 5), ("anew", 3), ("gone", 9), ("grew", 1)]);
        let grown = growth(&now, &before);
        assert_eq!(values(&grown), [("new", 4), ("grew", 6), ("anew", 2)]);
        assert_eq!(values(&growth(&now, &Profile::default())), values(&now));
    }
}
