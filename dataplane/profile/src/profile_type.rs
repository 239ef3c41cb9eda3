//! Profile types: what the values of a series mean.

use std::fmt;
use std::str::FromStr;

use crate::Profile;
use crate::labels::{self, Labels};
use crate::pprof::View;

/// `<name>:<sample type>:<sample unit>:<period type>:<period unit>[:delta]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileType {
    /// Value of the label `__name__`, such as `process_cpu`.
    pub name: String,
    /// Such as `cpu`.
    pub sample_type: String,
    /// Such as `nanoseconds`.
    pub sample_unit: String,
    /// Such as `cpu`; may be empty.
    pub period_type: String,
    /// Such as `nanoseconds`; may be empty.
    pub period_unit: String,
    /// Whether the text form ends in `:delta`; says nothing about storage.
    pub delta: bool,
}

impl ProfileType {
    /// Returns the text form without `:delta`, the value of `__profile_type__`.
    pub fn id(&self) -> String {
        let Self {
            name,
            sample_type,
            sample_unit,
            period_type,
            period_unit,
            ..
        } = self;
        format!("{name}:{sample_type}:{sample_unit}:{period_type}:{period_unit}")
    }

    /// Returns the type of each sample type column of a pprof, in order.
    pub fn of_columns(name: &str, profile: &Profile) -> Vec<Self> {
        let text = |index| string(profile, index).to_owned();
        let period = profile.period_type.unwrap_or_default();
        profile
            .sample_type
            .iter()
            .map(|column| Self {
                name: name.to_owned(),
                sample_type: text(column.r#type),
                sample_unit: text(column.unit),
                period_type: text(period.r#type),
                period_unit: text(period.unit),
                delta: false,
            })
            .collect()
    }

    /// Returns the type of each sample type column of a pprof that was read into
    /// a view, in order.
    pub fn of_view(name: &str, view: &View) -> Vec<Self> {
        let (period_type, period_unit) = view.period_type();
        view.sample_types()
            .map(|(sample_type, sample_unit)| Self {
                name: name.to_owned(),
                sample_type: sample_type.to_owned(),
                sample_unit: sample_unit.to_owned(),
                period_type: period_type.to_owned(),
                period_unit: period_unit.to_owned(),
                delta: false,
            })
            .collect()
    }

    /// Returns the first column of a pprof that has this sample type and unit.
    pub fn column_in(&self, profile: &Profile) -> Option<usize> {
        profile.sample_type.iter().position(|column| {
            string(profile, column.r#type) == self.sample_type
                && string(profile, column.unit) == self.sample_unit
        })
    }

    /// Returns the labels under which a series of this type is stored: the
    /// pushed ones, the parts of the type, and a copy of the service name;
    /// labels that only steer ingestion are dropped.
    pub fn series_labels(&self, pushed: &Labels) -> Labels {
        let id = self.id();
        let own = [
            (labels::PROFILE_TYPE, id.as_str()),
            (labels::TYPE, &self.sample_type),
            (labels::UNIT, &self.sample_unit),
            (labels::PERIOD_TYPE, &self.period_type),
            (labels::PERIOD_UNIT, &self.period_unit),
            (
                labels::SERVICE_NAME_PRIVATE,
                pushed.get(labels::SERVICE_NAME).unwrap_or_default(),
            ),
        ];
        let steering = [labels::DELTA, labels::OTEL, labels::ORDER];
        let kept = pushed.iter().filter(|(name, _)| {
            !steering.contains(name) && !own.iter().any(|(replaced, _)| replaced == name)
        });
        Labels::new(kept.chain(own)).expect("names of a label set and of `own` are distinct")
    }

    /// Reads the type from the label `__profile_type__` of a stored series.
    pub fn from_labels(labels: &Labels) -> Option<Self> {
        labels.get(labels::PROFILE_TYPE)?.parse().ok()
    }
}

/// Text at an index of the string table; empty when it is out of range.
fn string(profile: &Profile, index: i64) -> &str {
    usize::try_from(index)
        .ok()
        .and_then(|index| profile.string_table.get(index))
        .map_or("", String::as_str)
}

impl fmt::Display for ProfileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())?;
        if self.delta {
            f.write_str(":delta")?;
        }
        Ok(())
    }
}

impl FromStr for ProfileType {
    type Err = ProfileTypeError;

    fn from_str(text: &str) -> Result<Self, ProfileTypeError> {
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        let (five, delta) = match parts.len() {
            5 => (&parts[..], false),
            6 if parts[5] == "delta" => (&parts[..5], true),
            _ => return Err(ProfileTypeError::new(text)),
        };
        if five[..3].iter().any(|part| part.is_empty()) {
            return Err(ProfileTypeError::new(text));
        }
        let part = |i: usize| five[i].to_owned();
        Ok(Self {
            name: part(0),
            sample_type: part(1),
            sample_unit: part(2),
            period_type: part(3),
            period_unit: part(4),
            delta,
        })
    }
}

impl From<&ProfileType> for proto::types::v1::ProfileType {
    fn from(from: &ProfileType) -> Self {
        Self {
            id: from.id(),
            name: from.name.clone(),
            sample_type: from.sample_type.clone(),
            sample_unit: from.sample_unit.clone(),
            period_type: from.period_type.clone(),
            period_unit: from.period_unit.clone(),
        }
    }
}

/// A text is not a profile type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "profile type {text:?} is not of the form \
     <name>:<sample type>:<sample unit>:<period type>:<period unit>[:delta]"
)]
pub struct ProfileTypeError {
    text: String,
}

impl ProfileTypeError {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::google::v1::ValueType;

    const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

    #[test]
    fn text_round_trips() {
        for text in [CPU, "a:b:c:d:e:delta", "a:b:c::"] {
            assert_eq!(text.parse::<ProfileType>().unwrap().to_string(), text);
        }
        let delta: ProfileType = "a:b:c:d:e:delta".parse().unwrap();
        assert_eq!(delta.id(), "a:b:c:d:e");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "cpu",
            "a:b:c:d",
            "a:b:c:d:e:f",
            "a:b:c:d:e:delta:",
            ":b:c:d:e",
            "a:b::d:e",
        ] {
            let error = text.parse::<ProfileType>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn each_column_is_a_type() {
        let mut profile = Profile {
            string_table: ["", "samples", "count", "cpu", "nanoseconds"]
                .map(String::from)
                .into(),
            sample_type: vec![
                ValueType { r#type: 1, unit: 2 },
                ValueType { r#type: 3, unit: 4 },
            ],
            period_type: Some(ValueType { r#type: 3, unit: 4 }),
            ..Profile::default()
        };
        let types = ProfileType::of_columns("process_cpu", &profile);
        assert_eq!(types[0].id(), "process_cpu:samples:count:cpu:nanoseconds");
        assert_eq!(types[1].id(), CPU);
        assert_eq!(types[1].column_in(&profile), Some(1));
        profile.sample_type[1].r#type = 99;
        assert_eq!(types[1].column_in(&profile), None);
    }

    #[test]
    fn series_labels_carry_the_type() {
        let pushed = Labels::new([
            ("__name__", "process_cpu"),
            ("service_name", "a"),
            ("__delta__", "false"),
            ("__type__", "forged"),
        ])
        .unwrap();
        let profile_type: ProfileType = CPU.parse().unwrap();
        let series = profile_type.series_labels(&pushed);
        assert_eq!(
            series.to_string(),
            r#"{__name__="process_cpu", __period_type__="cpu", __period_unit__="nanoseconds", __profile_type__="process_cpu:cpu:nanoseconds:cpu:nanoseconds", __service_name__="a", __type__="cpu", __unit__="nanoseconds", service_name="a"}"#
        );
        assert_eq!(ProfileType::from_labels(&series), Some(profile_type));
    }
}
