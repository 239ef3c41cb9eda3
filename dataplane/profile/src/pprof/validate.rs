use proto::google::v1::{Sample, ValueType};

use super::{Limits, PprofError};
use crate::Profile;

/// Each sample type becomes a series, so their number is bounded; profilers
/// of today have up to about twenty.
const MAX_SAMPLE_TYPES: usize = 128;

/// Checks a pushed profile. Afterwards every string index is in range.
///
/// Samples whose locations do not exist pass: [`super::normalise`] drops them.
///
/// # Errors
/// The first rule that the profile breaks.
pub fn validate(profile: &Profile, limits: &Limits) -> Result<(), PprofError> {
    if profile.sample_type.is_empty() {
        return Err(PprofError::Empty);
    }
    limit_sample_types(profile.sample_type.len())?;
    if profile.sample.len() > limits.samples {
        return Err(PprofError::TooManySamples {
            actual: profile.sample.len(),
            limit: limits.samples,
        });
    }
    if profile
        .string_table
        .first()
        .is_none_or(|text| !text.is_empty())
    {
        return Err(PprofError::StringZero);
    }
    let strings = Strings(&profile.string_table);
    header(profile, strings)?;
    for column in &profile.sample_type {
        sample_type_name(strings.get("sample type", column.r#type)?)?;
    }
    for each in &profile.sample {
        sample(each, profile.sample_type.len(), limits, strings)?;
    }
    symbols(profile, strings)
}

fn limit_sample_types(actual: usize) -> Result<(), PprofError> {
    if actual > MAX_SAMPLE_TYPES {
        let limit = MAX_SAMPLE_TYPES;
        return Err(PprofError::TooManySampleTypes { actual, limit });
    }
    Ok(())
}

/// `:` separates the parts of a profile type, and the original refuses `-`.
fn sample_type_name(name: &str) -> Result<(), PprofError> {
    if name.contains(['-', ':']) {
        return Err(PprofError::SampleTypeName(name.to_owned()));
    }
    Ok(())
}

fn header(profile: &Profile, strings: Strings<'_>) -> Result<(), PprofError> {
    let value_type = |what, of: &ValueType| {
        strings.check(what, of.r#type)?;
        strings.check(what, of.unit)
    };
    for column in &profile.sample_type {
        value_type("sample type", column)?;
    }
    if let Some(period) = &profile.period_type {
        value_type("period type", period)?;
    }
    for comment in &profile.comment {
        strings.check("comment", *comment)?;
    }
    strings.check("drop frames", profile.drop_frames)?;
    strings.check("keep frames", profile.keep_frames)?;
    strings.check("default sample type", profile.default_sample_type)
}

fn sample(
    sample: &Sample,
    columns: usize,
    limits: &Limits,
    strings: Strings<'_>,
) -> Result<(), PprofError> {
    if sample.value.len() != columns {
        return Err(PprofError::ValueCount);
    }
    if sample.label.len() > limits.sample_labels {
        return Err(PprofError::TooManySampleLabels {
            actual: sample.label.len(),
            limit: limits.sample_labels,
        });
    }
    for label in &sample.label {
        strings.check("sample label name", label.key)?;
        strings.check("sample label value", label.str)?;
        strings.check("sample label unit", label.num_unit)?;
    }
    Ok(())
}

fn symbols(profile: &Profile, strings: Strings<'_>) -> Result<(), PprofError> {
    for location in &profile.location {
        nonzero("location", location.id)?;
    }
    for function in &profile.function {
        nonzero("function", function.id)?;
        strings.check("function name", function.name)?;
        strings.check("function system name", function.system_name)?;
        strings.check("function file name", function.filename)?;
    }
    for mapping in &profile.mapping {
        nonzero("mapping", mapping.id)?;
        strings.check("mapping file name", mapping.filename)?;
        strings.check("mapping build id", mapping.build_id)?;
    }
    Ok(())
}

fn nonzero(what: &'static str, id: u64) -> Result<(), PprofError> {
    if id == 0 {
        return Err(PprofError::ZeroId(what));
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Strings<'p>(&'p [String]);

impl<'p> Strings<'p> {
    fn get(self, what: &'static str, index: i64) -> Result<&'p str, PprofError> {
        let found = usize::try_from(index).ok().and_then(|at| self.0.get(at));
        found
            .map(String::as_str)
            .ok_or(PprofError::StringIndex(what))
    }

    fn check(self, what: &'static str, index: i64) -> Result<(), PprofError> {
        self.get(what, index).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::google::v1::{Function, Label, Location, Mapping};

    fn good() -> Profile {
        Profile {
            string_table: ["", "cpu", "nanoseconds", "main"].map(String::from).into(),
            sample_type: vec![ValueType { r#type: 1, unit: 2 }],
            sample: vec![Sample {
                location_id: vec![1],
                value: vec![5],
                label: vec![Label {
                    key: 3,
                    str: 3,
                    ..Label::default()
                }],
            }],
            location: vec![Location {
                id: 1,
                ..Location::default()
            }],
            function: vec![Function {
                id: 1,
                name: 3,
                ..Function::default()
            }],
            mapping: vec![Mapping {
                id: 1,
                ..Mapping::default()
            }],
            period_type: Some(ValueType { r#type: 1, unit: 2 }),
            ..Profile::default()
        }
    }

    #[test]
    fn a_good_profile_passes() {
        validate(&good(), &Limits::default()).unwrap();
    }

    #[test]
    fn each_rule_has_its_message() {
        type Break = fn(&mut Profile);
        let cases: [(&str, Break); 24] = [
            ("empty profile", |p| p.sample_type.clear()),
            ("profile has 129 sample types; limit 128", |p| {
                p.sample_type = vec![ValueType::default(); 129];
            }),
            ("sample type \"a-b\" contains '-' or ':'", |p| {
                p.string_table[1] = "a-b".into();
            }),
            ("sample value length mismatch", |p| {
                p.sample[0].value.push(1)
            }),
            ("string 0 should be empty string", |p| {
                p.string_table[0] = "x".into();
            }),
            ("string 0 should be empty string", |p| {
                p.string_table.clear()
            }),
            ("location id is 0", |p| p.location[0].id = 0),
            ("function id is 0", |p| p.function[0].id = 0),
            ("mapping id is 0", |p| p.mapping[0].id = 0),
            ("function name string index out of range", |p| {
                p.function[0].name = 4;
            }),
            ("function name string index out of range", |p| {
                p.function[0].name = -1;
            }),
            ("function system name string index out of range", |p| {
                p.function[0].system_name = 4;
            }),
            ("function file name string index out of range", |p| {
                p.function[0].filename = 4;
            }),
            ("mapping file name string index out of range", |p| {
                p.mapping[0].filename = 4;
            }),
            ("mapping build id string index out of range", |p| {
                p.mapping[0].build_id = 4;
            }),
            ("sample type string index out of range", |p| {
                p.sample_type[0].r#type = 4;
            }),
            ("sample type string index out of range", |p| {
                p.sample_type[0].unit = i64::MIN;
            }),
            ("period type string index out of range", |p| {
                p.period_type = Some(ValueType { r#type: 0, unit: 4 });
            }),
            ("sample label name string index out of range", |p| {
                p.sample[0].label[0].key = 4;
            }),
            ("sample label value string index out of range", |p| {
                p.sample[0].label[0].str = 4;
            }),
            ("sample label unit string index out of range", |p| {
                p.sample[0].label[0].num_unit = 4;
            }),
            ("comment string index out of range", |p| p.comment.push(4)),
            ("default sample type string index out of range", |p| {
                p.default_sample_type = 4;
            }),
            ("keep frames string index out of range", |p| {
                p.keep_frames = 4
            }),
        ];
        for (want, break_it) in cases {
            let mut profile = good();
            break_it(&mut profile);
            let error = validate(&profile, &Limits::default()).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn numbers_are_limited() {
        let limits = Limits {
            samples: 1,
            sample_labels: 1,
            ..Limits::default()
        };
        let mut profile = good();
        profile.sample[0].label.push(Label::default());
        let labels = validate(&profile, &limits).unwrap_err().to_string();
        assert!(labels.contains("actual: 2, limit: 1"), "{labels}");
        profile.sample.push(Sample::default());
        let samples = validate(&profile, &limits).unwrap_err().to_string();
        assert_eq!(
            samples,
            "profile exceeds the samples count limit \
             (max_profile_stacktrace_samples, actual: 2, limit: 1)"
        );
    }
}
