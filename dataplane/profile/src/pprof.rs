//! pprof: reading, validation, normalisation, splitting and encoding.
//!
//! The message is the public `profile.proto` of pprof; limits, rules and the
//! texts of errors are those clients of Grafana Pyroscope know.

mod codec;
mod extract;
mod inflate;
mod normalise;
mod reuse;
mod split;
mod validate;
mod view;
mod walk;
mod wire;

pub use codec::{decode, encode, encode_gzip};
pub use inflate::claimed_bytes;
pub use reuse::ReusedView;
pub use view::{Function, Line, Location, Mapping, Sample, View};
pub use wire::Malformed;

use proto::google::v1;

use crate::stack::Symbols;
use crate::{CallSite, Profile};

/// Limits on a pushed profile; the defaults are those of Grafana Pyroscope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest profile after decompression, in bytes.
    pub uncompressed_bytes: usize,
    /// Most samples.
    pub samples: usize,
    /// Most labels on one sample.
    pub sample_labels: usize,
    /// Most frames of a stack; longer ones are cut.
    pub stack_depth: usize,
    /// Longest string, in bytes; longer ones are cut.
    pub symbol_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uncompressed_bytes: 4 << 20,
            samples: 16_000,
            sample_labels: 100,
            stack_depth: 1000,
            symbol_bytes: 65_535,
        }
    }
}

/// Returns the sum of one column over the stacks below a call site.
pub fn total(profile: &Profile, column: usize, call_site: &CallSite) -> i64 {
    let values = |sample: &v1::Sample| sample.value.get(column).copied().unwrap_or_default();
    if call_site.is_empty() {
        let values = profile.sample.iter().map(values);
        return values.fold(0, i64::saturating_add);
    }
    let symbols = Symbols::new(profile);
    let mut frames = Vec::new();
    let mut sum = 0_i64;
    for sample in &profile.sample {
        symbols.frames(sample, &mut frames);
        if symbols.is_under(&frames, call_site) {
            sum = sum.saturating_add(values(sample));
        }
    }
    sum
}

/// Why a profile is refused; always the fault of whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum PprofError {
    /// The profile is larger than allowed after decompression.
    #[error("uncompressed profile payload size exceeds limit of {}", megabytes(*limit))]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The gzip stream is broken.
    #[error("failed to decompress profile: {0}")]
    Gzip(#[source] std::io::Error),
    /// The bytes are no pprof message.
    #[error("failed to parse profile: {0}")]
    Malformed(#[from] Malformed),
    /// There are more samples and symbols than such a size can honestly hold.
    #[error("profile has more than {limit} samples, symbols and strings")]
    TooManyEntries {
        /// Limit on the number of all entries of all tables.
        limit: usize,
    },
    /// There are no sample types.
    #[error("empty profile")]
    Empty,
    /// There are too many sample types.
    #[error("profile has {actual} sample types; limit {limit}")]
    TooManySampleTypes {
        /// Number of sample types.
        actual: usize,
        /// Limit on that number.
        limit: usize,
    },
    /// A sample type has a character that profile types cannot carry.
    #[error("sample type {0:?} contains '-' or ':'")]
    SampleTypeName(String),
    /// There are too many samples.
    #[error(
        "profile exceeds the samples count limit \
         (max_profile_stacktrace_samples, actual: {actual}, limit: {limit})"
    )]
    TooManySamples {
        /// Number of samples.
        actual: usize,
        /// Limit on that number.
        limit: usize,
    },
    /// A sample has too many labels.
    #[error(
        "profile exceeds the sample labels limit \
         (max_profile_stacktrace_sample_labels, actual: {actual}, limit: {limit})"
    )]
    TooManySampleLabels {
        /// Number of labels of the sample.
        actual: usize,
        /// Limit on that number.
        limit: usize,
    },
    /// A sample has not one value per sample type.
    #[error("sample value length mismatch")]
    ValueCount,
    /// The string table does not start with the empty string.
    #[error("string 0 should be empty string")]
    StringZero,
    /// A string index points outside the string table.
    #[error("{0} string index out of range")]
    StringIndex(&'static str),
    /// An entry of a table has the id that means "none".
    #[error("{0} id is 0")]
    ZeroId(&'static str),
}

fn megabytes(bytes: usize) -> String {
    let tenths = (bytes as u128 + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
