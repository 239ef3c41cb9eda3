use std::fmt::{self, Write as _};

use super::Labels;

/// Longest text that a message repeats, in bytes. It is more than honest labels
/// have; a stranger's may be as long as a whole request.
const SHOWN_BYTES: usize = 4 << 10;

/// Why labels are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A name occurs twice.
    #[error("profile with labels '{}' has duplicate label name: '{}'", Shown(.labels), Shown(.name))]
    Duplicate {
        /// All labels, the one that occurs twice too.
        labels: Labels,
        /// The name.
        name: String,
    },
    /// A name is empty.
    #[error("invalid labels '{}' with error: invalid label name ''", Shown(.labels))]
    EmptyName {
        /// All labels, the one without a name too.
        labels: Labels,
    },
    /// `__name__` is missing or not a metric name.
    #[error("invalid labels '{}' with error: invalid metric name", Shown(.labels))]
    MetricName {
        /// All labels.
        labels: Labels,
    },
    /// There are too many labels.
    #[error("profile series '{}' has {count} label names; limit {limit}", Shown(.labels))]
    TooMany {
        /// All labels.
        labels: Labels,
        /// Number of labels.
        count: usize,
        /// Limit on that number.
        limit: usize,
    },
    /// A name is too long.
    #[error("profile with labels '{}' has label name too long: '{}'", Shown(.labels), Shown(.name))]
    NameTooLong {
        /// All labels.
        labels: Labels,
        /// The name.
        name: String,
    },
    /// A value is too long.
    #[error("profile with labels '{}' has label value too long: '{}'", Shown(.labels), Shown(.value))]
    ValueTooLong {
        /// All labels.
        labels: Labels,
        /// The value.
        value: String,
    },
}

impl LabelError {
    /// Returns the refused labels.
    pub fn labels(&self) -> &Labels {
        match self {
            Self::Duplicate { labels, .. }
            | Self::EmptyName { labels }
            | Self::MetricName { labels }
            | Self::TooMany { labels, .. }
            | Self::NameTooLong { labels, .. }
            | Self::ValueTooLong { labels, .. } => labels,
        }
    }
}

/// Writes the beginning of a text that may be long.
struct Shown<'a, T>(&'a T);

impl<T: fmt::Display> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut beginning = Beginning {
            left: SHOWN_BYTES,
            out: f,
        };
        match write!(beginning, "{}", self.0) {
            Err(fmt::Error) if beginning.left == 0 => f.write_char('\u{2026}'),
            written => written,
        }
    }
}

/// Passes text on until there was enough of it; then it fails.
struct Beginning<'a, 'f> {
    left: usize,
    out: &'a mut fmt::Formatter<'f>,
}

impl fmt::Write for Beginning<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left {
            self.left -= text.len();
            return self.out.write_str(text);
        }
        let end = text.floor_char_boundary(self.left);
        self.left = 0;
        self.out.write_str(&text[..end])?;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_repeats_the_beginning_of_what_is_long() {
        let long = "\u{e9}".repeat(1 << 20);
        let labels = Labels::new([("a", long.as_str())]).unwrap();
        let error = LabelError::ValueTooLong {
            labels: labels.clone(),
            value: long,
        };
        let text = error.to_string();
        assert!(
            text.starts_with("profile with labels '{a=\"\u{e9}"),
            "{text}"
        );
        assert!(text.ends_with("\u{e9}\u{2026}'"), "{text}");
        assert!(text.len() < 3 * SHOWN_BYTES);
        assert_eq!(error.labels(), &labels);
    }

    #[test]
    fn what_is_short_is_repeated_whole() {
        let error = Labels::new([("env", "a"), ("env", "b")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "profile with labels '{env=\"a\", env=\"b\"}' has duplicate label name: 'env'"
        );
    }
}
