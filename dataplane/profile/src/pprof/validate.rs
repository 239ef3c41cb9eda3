use proto::google::v1::ValueType;

use super::view::{Row, View};
use super::{Limits, PprofError};

/// Each sample type becomes a series, so their number is bounded; profilers
/// of today have up to about twenty.
const MAX_SAMPLE_TYPES: usize = 128;

impl View {
    /// Checks a pushed profile, before it is normalised. Afterwards every string
    /// index is in range.
    ///
    /// Samples whose locations do not exist pass: [`View::normalise`] drops them.
    ///
    /// # Errors
    /// The first rule that the profile breaks.
    pub fn validate(&self, limits: &Limits) -> Result<(), PprofError> {
        if self.sample_types.is_empty() {
            return Err(PprofError::Empty);
        }
        limit_sample_types(self.sample_types.len())?;
        if self.samples.len() > limits.samples {
            return Err(PprofError::TooManySamples {
                actual: self.samples.len(),
                limit: limits.samples,
            });
        }
        if self.strings.first().is_none_or(|text| text.len() > 0) {
            return Err(PprofError::StringZero);
        }
        self.check_header()?;
        for column in &self.sample_types {
            sample_type_name(self.string(column.r#type))?;
        }
        for row in &self.samples {
            self.check_sample(*row, limits)?;
        }
        self.check_symbols()
    }

    fn check_header(&self) -> Result<(), PprofError> {
        let value_type = |what, of: &ValueType| {
            self.check_string(what, of.r#type)?;
            self.check_string(what, of.unit)
        };
        for column in &self.sample_types {
            value_type("sample type", column)?;
        }
        if let Some(period) = &self.header.period_type {
            value_type("period type", period)?;
        }
        for comment in &self.comments {
            self.check_string("comment", *comment)?;
        }
        self.check_string("drop frames", self.header.drop_frames)?;
        self.check_string("keep frames", self.header.keep_frames)?;
        self.check_string("default sample type", self.header.default_sample_type)
    }

    fn check_sample(&self, row: Row, limits: &Limits) -> Result<(), PprofError> {
        if row.values.len() != self.sample_types.len() {
            return Err(PprofError::ValueCount);
        }
        if row.labels.len() > limits.sample_labels {
            return Err(PprofError::TooManySampleLabels {
                actual: row.labels.len(),
                limit: limits.sample_labels,
            });
        }
        for label in &self.labels[row.labels.range()] {
            self.check_string("sample label name", label.key)?;
            self.check_string("sample label value", label.str)?;
            self.check_string("sample label unit", label.num_unit)?;
        }
        Ok(())
    }

    fn check_symbols(&self) -> Result<(), PprofError> {
        for location in &self.locations {
            nonzero("location", location.id)?;
        }
        for function in &self.functions {
            nonzero("function", function.id)?;
            self.check_string("function name", function.name)?;
            self.check_string("function system name", function.system_name)?;
            self.check_string("function file name", function.filename)?;
        }
        for mapping in &self.mappings {
            nonzero("mapping", mapping.id)?;
            self.check_string("mapping file name", mapping.filename)?;
            self.check_string("mapping build id", mapping.build_id)?;
        }
        Ok(())
    }

    fn check_string(&self, what: &'static str, index: i64) -> Result<(), PprofError> {
        match usize::try_from(index) {
            Ok(at) if at < self.strings.len() => Ok(()),
            _ => Err(PprofError::StringIndex(what)),
        }
    }
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

fn nonzero(what: &'static str, id: u64) -> Result<(), PprofError> {
    if id == 0 {
        return Err(PprofError::ZeroId(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use proto::google::v1::{Function, Label, Location, Mapping, Sample};

    fn validate(profile: &Profile, limits: &Limits) -> Result<(), PprofError> {
        View::of(profile).unwrap().validate(limits)
    }

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
