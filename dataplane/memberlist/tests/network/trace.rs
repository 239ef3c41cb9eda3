//! What happened in a run, for people and for comparing runs.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::Timestamp;

/// Most lines kept; the first ones go.
const MAX_LINES: usize = 20_000;

/// A record of a run: nothing, a digest, or lines to read.
#[derive(Debug, Default)]
pub(crate) enum Trace {
    #[default]
    Off,
    Digest(DefaultHasher),
    Lines(Vec<String>),
}

impl Trace {
    pub(crate) fn digest() -> Self {
        Self::Digest(DefaultHasher::new())
    }

    pub(crate) fn lines() -> Self {
        Self::Lines(Vec::new())
    }

    /// Records what a person wants to read, and a digest too.
    pub(crate) fn note(&mut self, now: Timestamp, what: fmt::Arguments<'_>) {
        match self {
            Self::Off => {}
            Self::Digest(digest) => format!("{now:?} {what}").hash(digest),
            Self::Lines(lines) => {
                if lines.len() == MAX_LINES {
                    lines.drain(..MAX_LINES / 2);
                }
                lines.push(format!("{:>9.3}s  {what}", seconds(now)));
            }
        }
    }

    /// Records what only a digest has room for.
    pub(crate) fn hash(&mut self, what: &impl Hash) {
        if let Self::Digest(digest) = self {
            what.hash(digest);
        }
    }

    /// Returns a number that stands for everything that was recorded.
    pub(crate) fn finish(&self) -> u64 {
        match self {
            Self::Digest(digest) => digest.finish(),
            _ => 0,
        }
    }

    /// Returns the lines recorded, the last `count` of them.
    pub(crate) fn tail(&self, count: usize) -> String {
        match self {
            Self::Lines(lines) => lines[lines.len().saturating_sub(count)..].join("\n"),
            _ => String::new(),
        }
    }
}

fn seconds(now: Timestamp) -> f64 {
    now.saturating_since(Timestamp::from_duration(super::START))
        .as_secs_f64()
}

/// Shows a duration as people write it.
pub(crate) fn brief(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
