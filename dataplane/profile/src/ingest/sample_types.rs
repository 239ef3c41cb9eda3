//! What clients say about the sample types of their pprof.

use std::collections::HashMap;

use serde::Deserialize;

use super::IngestError;

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
pub fn metric_name<'a>(
    sample_types: impl Iterator<Item = &'a str> + Clone,
    config: &SampleTypeConfig,
) -> String {
    let mut names = sample_types.map(|name| config.display_name(name));
    // Profilers that sample wall time say `cpu` beside it.
    if names.clone().any(|name| name == "wall") {
        return "wall".to_owned();
    }
    let known = names.clone().find_map(known_metric);
    known
        .or_else(|| names.next())
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(
                metric_name(types.iter().copied(), &config),
                want,
                "{types:?}"
            );
        }
        assert!(SampleTypeConfig::parse(b"[]").is_err());
    }
}
