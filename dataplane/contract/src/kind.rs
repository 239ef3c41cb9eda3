//! What values a setting takes, whether they come as text or from YAML.

use serde_json::Value;

use crate::config::{CommaList, MASK, RelabelRule, Targets, rules_of_text};
use crate::duration::Duration;

/// The type of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`; the flag alone is `true`.
    Bool,
    /// A whole number.
    Int,
    /// A whole number from 0 to this.
    Uint(u64),
    /// A decimal number that is not negative.
    Float,
    /// A [`Duration`].
    Duration,
    /// Any text.
    Text,
    /// Any text, which is never shown: a [`Secret`](crate::config::Secret).
    Secret,
    /// One of a few words.
    Choice {
        /// Words with a meaning here.
        known: &'static [&'static str],
        /// Words that Grafana Pyroscope takes and this version does not.
        elsewhere: &'static [&'static str],
    },
    /// Texts: a repeatable flag, each with commas; a YAML list.
    List,
    /// Texts: a flag with commas; a YAML text with commas.
    Commas,
    /// Components: [`Targets`].
    Targets,
    /// Relabelling rules: a flag with a YAML or JSON list of them; a YAML list.
    Rules,
}

/// Why a value does not fit a [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The value is not of this kind.
    #[error("{value:?} is not {expected}")]
    Malformed {
        /// What was given.
        value: String,
        /// What is taken instead, with its article.
        expected: String,
    },
    /// The value has a meaning in Grafana Pyroscope but not here.
    #[error("{value:?} is not supported yet; supported: {supported}")]
    NotSupported {
        /// What was given.
        value: String,
        /// What is taken instead.
        supported: String,
    },
    /// The value is a list with an entry that does not fit.
    #[error("{0}")]
    Entry(String),
}

impl Kind {
    /// A port; 0 lets the system choose, or means "as elsewhere".
    pub const PORT: Self = Self::Uint(u16::MAX as u64);
    /// A count that fits 32 bits.
    pub const COUNT: Self = Self::Uint(u32::MAX as u64);
    /// A size in bytes or a large count; the limit is what every integer of the tree can hold.
    pub const SIZE: Self = Self::Uint(i64::MAX as u64);

    /// Reads a value from one text, as flags and YAML scalars give it.
    pub fn parse(self, text: &str) -> Result<Value, Mismatch> {
        let malformed = |expected: &str| Mismatch::Malformed {
            value: shorten(text),
            expected: expected.to_owned(),
        };
        match self {
            Self::Bool => parse_bool(text)
                .map(Value::from)
                .ok_or_else(|| malformed("true or false")),
            Self::Int => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| malformed("a whole number")),
            Self::Uint(most) => text
                .parse::<u64>()
                .ok()
                .filter(|number| *number <= most)
                .map(Value::from)
                .ok_or_else(|| malformed(&format!("a whole number from 0 to {most}"))),
            Self::Float => parse_float(text).ok_or_else(|| malformed("a number of 0 or more")),
            Self::Duration => text
                .parse::<Duration>()
                .map(|duration| Value::from(duration.to_string()))
                .map_err(|e| malformed(&format!("a duration: {e}"))),
            Self::Text => Ok(Value::from(text)),
            Self::Secret if text == MASK => Err(malformed(
                "a secret but what is shown in its place; give the secret itself",
            )),
            Self::Secret => Ok(Value::from(text)),
            Self::Choice { known, elsewhere } => choose(text, known, elsewhere),
            Self::List => self.collect(&[text]),
            Self::Commas => self.collect(&[text]),
            Self::Targets => text
                .parse::<Targets>()
                .map(|targets| Value::from(targets.to_string()))
                .map_err(|e| Mismatch::Entry(e.to_string())),
            Self::Rules => rules_of_text(text)
                .map(|rules| rules_to_json(&rules))
                .map_err(Mismatch::Entry),
        }
    }

    /// Returns whether one flag may be given several times and adds up.
    pub const fn repeats(self) -> bool {
        matches!(self, Self::List)
    }

    /// Returns whether the value may be a YAML list.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Commas | Self::Targets)
    }

    /// Reads a value from several texts, as repeated flags and YAML lists give them.
    pub fn collect(self, texts: &[&str]) -> Result<Value, Mismatch> {
        let joined = texts.join(",");
        match self {
            Self::List => Ok(Value::from(CommaList::from(joined.as_str()).0)),
            Self::Commas => Ok(Value::from(CommaList::from(joined.as_str()).to_string())),
            _ => self.parse(&joined),
        }
    }

    /// Returns a word for the reference and the help.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int | Self::Uint(_) => "int",
            Self::Float => "float",
            Self::Duration => "duration",
            Self::Text | Self::Secret | Self::Choice { .. } => "string",
            Self::List | Self::Commas | Self::Targets | Self::Rules => "list",
        }
    }
}

/// Returns rules as the tree of settings holds them.
pub(crate) fn rules_to_json(rules: &[RelabelRule]) -> Value {
    serde_json::to_value(rules).expect("texts and numbers are always JSON")
}

/// Reads the words that Go's flag package takes for a bool.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn parse_float(text: &str) -> Option<Value> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0)
        // -0 passes the comparison and would print with its sign.
        .map(|number| Value::from(number.abs()))
}

fn choose(text: &str, known: &[&str], elsewhere: &[&str]) -> Result<Value, Mismatch> {
    if known.contains(&text) {
        return Ok(Value::from(text));
    }
    if elsewhere.contains(&text) {
        return Err(Mismatch::NotSupported {
            value: text.to_owned(),
            supported: known.join(", "),
        });
    }
    Err(Mismatch::Malformed {
        value: shorten(text),
        expected: format!("one of {}", known.join(", ")),
    })
}

/// Cuts a value that is too long to be worth repeating in a message.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
