//! The parameters of `/ingest`: application name, sample type configuration and
//! the labels that follow from them.

use std::collections::HashMap;
use std::str::FromStr;

use serde::Deserialize;

use crate::Profile;
use crate::labels::{self, LabelError, Labels};

/// Endings of application names that say the profile type, not the service.
const TYPE_SUFFIXES: [&str; 24] = [
    "cpu",
    "wall",
    "itimer",
    "inuse_space",
    "inuse_objects",
    "alloc_space",
    "alloc_objects",
    "goroutines",
    "mutex_count",
    "mutex_duration",
    "block_count",
    "block_duration",
    "lock_count",
    "lock_duration",
    "live",
    "exceptions",
    "alloc_in_new_tlab_objects",
    "alloc_in_new_tlab_bytes",
    "alloc_outside_tlab_objects",
    "alloc_outside_tlab_bytes",
    "samples",
    "mutex",
    "block",
    "memory",
];

/// Most tags of an application name.
const MAX_TAGS: usize = 100;

/// An application name with tags: `app.cpu{region=eu,zone=a}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppName {
    /// The name as sent, with its type suffix.
    pub name: String,
    /// Tags in the order sent.
    pub labels: Vec<(String, String)>,
}

impl FromStr for AppName {
    type Err = IngestError;

    fn from_str(text: &str) -> Result<Self, IngestError> {
        let text = text.trim();
        let (name, tags) = match text.split_once('{') {
            Some((name, rest)) => {
                let tags = rest.strip_suffix('}').ok_or(IngestError::UnclosedTags)?;
                (name.trim(), tags)
            }
            None => (text, ""),
        };
        if name.is_empty() {
            return Err(IngestError::NoName);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if let Some(invalid) = name.chars().find(|c| !valid(*c)) {
            return Err(IngestError::NameCharacter(invalid));
        }
        Ok(Self {
            name: name.to_owned(),
            labels: parse_tags(tags)?,
        })
    }
}

fn parse_tags(text: &str) -> Result<Vec<(String, String)>, IngestError> {
    let mut tags = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        if tags.len() == MAX_TAGS {
            return Err(IngestError::TooManyTags);
        }
        let (name, value) = tag
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| IngestError::Tag(tag.to_owned()))?;
        tags.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(tags)
}

impl AppName {
    /// Returns the name of the service: the name without its type suffix.
    pub fn service_name(&self) -> &str {
        match self.name.rsplit_once('.') {
            Some((service, suffix)) if TYPE_SUFFIXES.contains(&suffix) && !service.is_empty() => {
                service
            }
            _ => &self.name,
        }
    }

    /// Returns the labels of the series of an `/ingest` request.
    ///
    /// The service is `service_name`, or `app_name` when a tag says another
    /// `service_name`. Private tags are dropped, except the session id that
    /// client libraries send.
    ///
    /// # Errors
    /// Tags that occur twice.
    pub fn series_labels(&self, metric: &str, spy_name: &str) -> Result<Labels, LabelError> {
        let tagged = self
            .labels
            .iter()
            .any(|(name, _)| name == labels::SERVICE_NAME);
        let service = if tagged {
            "app_name"
        } else {
            labels::SERVICE_NAME
        };
        let own = [
            (labels::NAME, metric),
            (labels::DELTA, "false"),
            (labels::SPY_NAME, spy_name),
            (service, self.service_name()),
        ];
        let tags = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let tags = tags.filter(|(name, _)| {
            let private = name.starts_with("__") && *name != labels::SESSION_ID;
            !private && !own.iter().any(|(taken, _)| taken == name)
        });
        Labels::new(own.into_iter().chain(tags))
    }
}

/// What a client says about the sample types of its pprof, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SampleTypeConfig {
    types: HashMap<String, SampleTypeOptions>,
}

/// What a client says about one sample type; what is not used is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct SampleTypeOptions {
    display_name: String,
}

impl SampleTypeConfig {
    /// Parses the JSON of the multipart field `sample_type_config`.
    ///
    /// # Errors
    /// JSON that is not an object of objects.
    pub fn parse(json: &[u8]) -> Result<Self, IngestError> {
        serde_json::from_slice(json).map_err(IngestError::SampleTypeConfig)
    }

    fn display_name<'a>(&'a self, sample_type: &'a str) -> &'a str {
        match self.types.get(sample_type) {
            Some(options) if !options.display_name.is_empty() => &options.display_name,
            _ => sample_type,
        }
    }
}

/// Derives `__name__` from the sample types of a pprof: `process_cpu`, `memory`,
/// `mutex`, `block`, `goroutines` or `wall`, else the first sample type.
pub fn metric_name(profile: &Profile, config: &SampleTypeConfig) -> String {
    let names = || {
        profile.sample_type.iter().filter_map(|column| {
            let at = usize::try_from(column.r#type).ok()?;
            Some(config.display_name(profile.string_table.get(at)?))
        })
    };
    // Profilers that sample wall time say `cpu` beside it.
    if names().any(|name| name == "wall") {
        return "wall".to_owned();
    }
    let known = names().find_map(known_metric);
    known
        .or_else(|| names().next())
        .unwrap_or_default()
        .to_owned()
}

fn known_metric(sample_type: &str) -> Option<&'static str> {
    let has = |part: &str| sample_type.contains(part);
    match sample_type {
        _ if has("cpu") => Some("process_cpu"),
        "space" | "objects" => Some("memory"),
        _ if has("alloc_") || has("inuse_") => Some("memory"),
        _ if has("mutex_") => Some("mutex"),
        _ if has("block_") => Some("block"),
        _ if has("goroutine") => Some("goroutines"),
        _ => None,
    }
}

/// Why the parameters of an `/ingest` request are refused.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// There is no application name.
    #[error("name: service name is required")]
    NoName,
    /// The application name has a character that is not allowed.
    #[error("name: application name has invalid character {0:?}")]
    NameCharacter(char),
    /// The tags are not closed.
    #[error("name: tags do not end in '}}'")]
    UnclosedTags,
    /// A tag is not `name=value`.
    #[error("name: tag {0:?} is not of the form name=value")]
    Tag(String),
    /// There are too many tags.
    #[error("name: more than {MAX_TAGS} tags")]
    TooManyTags,
    /// The sample type configuration is not valid JSON for it.
    #[error("sample_type_config: {0}")]
    SampleTypeConfig(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::google::v1::ValueType;

    fn app(text: &str) -> AppName {
        text.parse().unwrap()
    }

    #[test]
    fn names_have_tags() {
        assert_eq!(app("my-app.cpu").labels, []);
        let tagged = app(" app.cpu{ region = eu , zone=a=b,} ");
        assert_eq!(tagged.name, "app.cpu");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(tagged.labels, [pair("region", "eu"), pair("zone", "a=b")]);
    }

    #[test]
    fn bad_names_are_refused() {
        let error = |text: &str| text.parse::<AppName>().unwrap_err().to_string();
        for text in ["", " ", "{a=b}"] {
            assert_eq!(error(text), "name: service name is required");
        }
        assert_eq!(error("a{b=c"), "name: tags do not end in '}'");
        assert_eq!(
            error("a{b}"),
            "name: tag \"b\" is not of the form name=value"
        );
        assert_eq!(
            error("a{=b}"),
            "name: tag \"=b\" is not of the form name=value"
        );
        assert_eq!(
            error("a b"),
            "name: application name has invalid character ' '"
        );
    }

    #[test]
    fn labels_follow_from_name_and_tags() {
        let labels = app("simple.golang.app{region=eu,__session_id__=1,__name__=x}");
        assert_eq!(
            labels
                .series_labels("process_cpu", "gospy")
                .unwrap()
                .to_string(),
            r#"{__delta__="false", __name__="process_cpu", __session_id__="1", pyroscope_spy="gospy", region="eu", service_name="simple.golang.app"}"#
        );
        let labels = app("app.cpu{service_name=b}")
            .series_labels("process_cpu", "x")
            .unwrap();
        assert_eq!(labels.get("service_name"), Some("b"));
        assert_eq!(labels.get("app_name"), Some("app"));
        assert!(app("a{b=c,b=d}").series_labels("m", "x").is_err());
    }

    fn pprof(types: &[&str]) -> Profile {
        let strings = std::iter::once("").chain(types.iter().copied());
        Profile {
            string_table: strings.map(String::from).collect(),
            sample_type: (1..)
                .zip(types)
                .map(|(at, _)| ValueType {
                    r#type: at,
                    unit: 0,
                })
                .collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn the_metric_follows_from_the_sample_types() {
        let config = SampleTypeConfig::parse(
            br#"{"contentions":{"units":"lock_samples","display-name":"mutex_count","cumulative":false}}"#,
        )
        .unwrap();
        for (types, want) in [
            (&["samples", "cpu"][..], "process_cpu"),
            (
                &[
                    "alloc_objects",
                    "alloc_space",
                    "inuse_objects",
                    "inuse_space",
                ],
                "memory",
            ),
            (&["objects", "space"], "memory"),
            (&["contentions", "delay"], "mutex"),
            (&["block_count"], "block"),
            (&["goroutine"], "goroutines"),
            (&["cpu", "wall"], "wall"),
            (&["exceptions"], "exceptions"),
            (&[], ""),
        ] {
            assert_eq!(metric_name(&pprof(types), &config), want, "{types:?}");
        }
        assert!(SampleTypeConfig::parse(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a.]{0,3}(\\{)?[a=,{} é]{0,12}\\PC*") {
            if let Ok(app) = text.parse::<AppName>() {
                let _ = app.series_labels("m", "spy");
            }
        }
    }
}
