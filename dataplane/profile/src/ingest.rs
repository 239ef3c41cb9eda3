//! What agents send to `/ingest`: names, sample types, and the formats of bodies
//! besides pprof. Each parser turns bytes of a stranger into profiles.

mod column;
pub mod folded;
pub mod jfr;
mod name;
mod nodes;
mod sample_types;
pub mod speedscope;
mod stacks;
pub mod tree;
pub mod trie;

use crate::labels::LabelError;
use crate::pprof::{Limits, PprofError};
use crate::{Labels, Profile};

pub use column::Column;
pub use name::AppName;
pub use sample_types::{SampleTypeConfig, metric_name};
use stacks::{Header, Rows, Stacks};

/// What a request says beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Whose profile it is.
    pub name: AppName,
    /// The client library.
    pub spy_name: String,
    /// Samples per second; what counts samples of time is scaled by it. 0 leaves
    /// counts as they are.
    pub sample_rate: u32,
    /// When the profile begins, in Unix nanoseconds.
    pub start: i64,
    /// When it ends, in Unix nanoseconds.
    pub end: i64,
}

impl Context {
    /// Samples of time are this long, in nanoseconds.
    fn period(&self) -> i64 {
        match self.sample_rate {
            0 => 0,
            rate => 1_000_000_000 / i64::from(rate),
        }
    }

    fn series_labels(&self, metric: &str) -> Result<Labels, IngestError> {
        Ok(self.name.series_labels(metric, &self.spy_name)?)
    }

    /// Makes the series of a format that has one profile and says nothing of its
    /// type.
    fn series(
        &self,
        column: &Column,
        stacks: &Stacks,
        rows: &Rows<()>,
        limits: &Limits,
    ) -> Result<Vec<Series>, IngestError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let header = Header {
            sample_types: &[(column.sample_type, column.unit)],
            period_type: column.period_type(),
            period: column.period,
            start: self.start,
            end: self.end,
        };
        let profile = stacks.profile(&header, rows, |()| Vec::new(), limits)?;
        Ok(vec![Series {
            labels: self.series_labels(column.metric)?,
            profile,
        }])
    }
}

/// A profile with the labels of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The labels, `__name__` and `service_name` among them.
    pub labels: Labels,
    /// The profile; valid, and with time and duration.
    pub profile: Profile,
}

/// Why a request is refused; always the fault of whoever sent it.
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
    #[error("name: more than {} tags", name::MAX_TAGS)]
    TooManyTags,
    /// The last part of the application name is no profile type.
    #[error("pyroscopeIngesterAdapter failed to convert metadata: unknown profile type: {0}")]
    UnknownType(String),
    /// The labels make no series.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The profile is beyond a limit.
    #[error(transparent)]
    Profile(#[from] PprofError),
    /// The sample type configuration is not valid JSON for it.
    #[error("sample_type_config: {0}")]
    SampleTypeConfig(#[source] serde_json::Error),
    /// The body is not of the format that it should be of.
    #[error("{0}")]
    Malformed(String),
}

impl IngestError {
    /// Tells whether the body cannot be read, as opposed to what it says being
    /// refused.
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::SampleTypeConfig(_) => true,
            Self::Profile(error) => {
                matches!(error, PprofError::Gzip(_) | PprofError::Malformed(_))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallSite;
    use crate::labels;

    pub(super) fn context(name: &str) -> Context {
        Context {
            name: name.parse().unwrap(),
            spy_name: "spy".to_owned(),
            sample_rate: 100,
            start: 1_700_000_000_000_000_000,
            end: 1_700_000_010_000_000_000,
        }
    }

    /// Every stack of every profile as `name type:unit stack value`.
    pub(super) fn folded(series: &[Series]) -> Vec<String> {
        let mut lines = Vec::new();
        for Series { labels, profile } in series {
            crate::pprof::View::of(profile)
                .and_then(|view| view.validate(&Limits::default()))
                .unwrap();
            let symbols = crate::stack::Symbols::new(profile);
            let mut frames = Vec::new();
            for sample in &profile.sample {
                symbols.frames(sample, &mut frames);
                let names: Vec<_> = frames.iter().map(|frame| symbols.name(*frame)).collect();
                for (column, value) in profile.sample_type.iter().zip(&sample.value) {
                    let text = |index: i64| &profile.string_table[index as usize];
                    lines.push(format!(
                        "{} {}:{} {} {value}",
                        labels.get(labels::NAME).unwrap(),
                        text(column.r#type),
                        text(column.unit),
                        names.join(";"),
                    ));
                }
            }
            let total = crate::pprof::total(profile, 0, &CallSite::default());
            assert!(total > 0);
        }
        lines
    }
}
