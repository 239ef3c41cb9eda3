//! Profiles of the OpenTelemetry protocol, version v1development, as pprof.
//!
//! All profiles of a request share the tables of a dictionary. What is converted
//! is handed out one by one, as a small table can make many large profiles.

mod convert;
mod entries;

use proto::otlp::v1::{AnyValue, Dictionary, KeyValue, Profile, ResourceProfiles, any_value};

use crate::labels::{self, LabelError, Labels};
use crate::pprof::{Limits, PprofError};

pub use entries::entries;

/// Attribute that names the service, of resources and samples.
const SERVICE_NAME: &str = "service.name";
const EXECUTABLE: &str = "process.executable.name";
const UNKNOWN_SERVICE: &str = "unknown_service";

/// A converted profile with the labels of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The labels, `__name__` and `service_name` among them.
    pub labels: Labels,
    /// The profile; it may have no time.
    pub profile: crate::Profile,
}

/// Why a profile is refused; always the fault of whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// An index points outside its table.
    #[error("failed to convert otel profile: {table} index {index} is out of bounds")]
    Index {
        /// The table.
        table: &'static str,
        /// The index.
        index: i32,
    },
    /// A profile does not say what its values are.
    #[error("failed to convert otel profile: sample type is missing")]
    NoSampleType,
    /// A sample has neither values nor timestamps.
    #[error("failed to convert otel profile: sample value is required")]
    NoValue,
    /// The labels make no series.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The profile is beyond a limit.
    #[error(transparent)]
    Profile(#[from] PprofError),
}

/// Converts all profiles of some resources, each into one per service that its
/// samples are of. An error is that of one profile; others may follow.
pub fn convert<'r>(
    resources: &'r [ResourceProfiles],
    dictionary: &'r Dictionary,
    limits: &'r Limits,
) -> impl Iterator<Item = Result<Series, OtlpError>> + 'r {
    let profiles = resources.iter().flat_map(move |resource| {
        let of_resource = resource.resource.as_ref();
        let of_resource = of_resource.map_or(&[][..], |resource| &resource.attributes);
        resource.scope_profiles.iter().flat_map(move |scope| {
            let of_scope = scope.scope.as_ref();
            let of_scope = of_scope.map_or(&[][..], |scope| &scope.attributes);
            let attributes = Attributes {
                of_resource,
                of_scope,
                dictionary,
            };
            scope
                .profiles
                .iter()
                .map(move |profile| (attributes, profile))
        })
    });
    profiles.flat_map(move |(attributes, profile)| one(attributes, profile, dictionary, limits))
}

fn one(
    attributes: Attributes<'_>,
    profile: &Profile,
    dictionary: &Dictionary,
    limits: &Limits,
) -> Vec<Result<Series, OtlpError>> {
    let converted = match convert::by_service(profile, dictionary, limits) {
        Ok(converted) => converted,
        Err(error) => return vec![Err(error)],
    };
    let series = converted.into_iter().map(|one| {
        Ok(Series {
            labels: attributes.labels(&one.metric, &one.service)?,
            profile: one.profile,
        })
    });
    series.collect()
}

/// What a profile's surroundings say of it.
#[derive(Clone, Copy, Debug)]
struct Attributes<'r> {
    of_resource: &'r [KeyValue],
    of_scope: &'r [KeyValue],
    dictionary: &'r Dictionary,
}

impl Attributes<'_> {
    /// Returns the labels of a series; `service` is what the samples say, empty
    /// if nothing. Of attributes of one name the first counts, and only texts do.
    fn labels(&self, metric: &str, service: &str) -> Result<Labels, LabelError> {
        let service = match service {
            "" => self.service(),
            service => service.to_owned(),
        };
        let own = [
            (labels::NAME, metric),
            (labels::DELTA, "false"),
            (labels::OTEL, "true"),
            (labels::SERVICE_NAME, &*service),
        ];
        let mut pairs: Vec<(&str, &str)> = own.to_vec();
        for attribute in self.of_resource.iter().chain(self.of_scope) {
            let name = key(attribute, self.dictionary);
            let value = attribute.value.as_ref();
            let value = value.map_or("", |value| text(value, self.dictionary));
            let taken = pairs.iter().any(|(taken, _)| *taken == name);
            if !taken && !value.is_empty() {
                pairs.push((name, value));
            }
            if pairs.len() > MAX_ATTRIBUTES {
                break;
            }
        }
        Labels::new(pairs)
    }

    fn service(&self) -> String {
        let attribute = |name: &str| {
            let mut found = self.of_resource.iter();
            let found = found.find(|attribute| key(attribute, self.dictionary) == name)?;
            let value = text(found.value.as_ref()?, self.dictionary);
            (!value.is_empty()).then_some(value)
        };
        match (attribute(SERVICE_NAME), attribute(EXECUTABLE)) {
            (Some(service), _) => service.to_owned(),
            (None, Some(executable)) => format!("{UNKNOWN_SERVICE}:{executable}"),
            (None, None) => UNKNOWN_SERVICE.to_owned(),
        }
    }
}

/// Attributes that are looked at; a series has fewer labels by far, and this
/// many are refused by their number.
const MAX_ATTRIBUTES: usize = 1000;

fn key<'a>(attribute: &'a KeyValue, dictionary: &'a Dictionary) -> &'a str {
    match &*attribute.key {
        "" => string(dictionary, attribute.key_strindex).unwrap_or_default(),
        key => key,
    }
}

/// Returns a value that is a text, else the empty text.
fn text<'a>(value: &'a AnyValue, dictionary: &'a Dictionary) -> &'a str {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::StringValueStrindex(index)) => {
            string(dictionary, *index).unwrap_or_default()
        }
        _ => "",
    }
}

fn string(dictionary: &Dictionary, index: i32) -> Option<&str> {
    let index = usize::try_from(index).ok()?;
    dictionary.string_table.get(index).map(String::as_str)
}

#[cfg(test)]
mod tests;
