//! Label selectors in the syntax of PromQL: `{a="b", c=~"d.*", "k8s.pod"!="e"}`.

mod parse;

use std::fmt::{self, Write as _};
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::labels::{self, Labels};
use crate::quote::write_quoted;
use crate::{ProfileType, ProfileTypeError};

/// Largest compiled regular expression, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Longest selector, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Most matchers of a selector.
const MAX_MATCHERS: usize = 100;

/// A conjunction of matchers. `Default` matches every series.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Tells whether all matchers hold. A label that is not set counts as empty.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers
            .iter()
            .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or_default()))
    }

    /// The matchers, as written.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Adds a matcher.
    #[must_use]
    pub fn with(mut self, matcher: Matcher) -> Self {
        self.matchers.push(matcher);
        self
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (i, matcher) in self.matchers.iter().enumerate() {
            if i > 0 {
                f.write_char(',')?;
            }
            matcher.fmt(f)?;
        }
        f.write_char('}')
    }
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

/// A condition on the value of one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    /// Matches the whole value; set for the two regular operators.
    regex: Option<Regex>,
}

impl Matcher {
    /// Builds a matcher; a regular expression must match the whole value.
    ///
    /// # Errors
    /// A regular expression that is invalid or too large.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, SelectorError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(name, value)?),
        };
        Ok(Self {
            name: name.to_owned(),
            op,
            value: value.to_owned(),
            regex,
        })
    }

    /// Name of the label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How values are compared.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// Value or regular expression, as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Tells whether a value satisfies the condition; pass the empty value for
    /// a label that is not set.
    pub fn matches(&self, value: &str) -> bool {
        let same = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        same == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match parse::is_label_name(&self.name) {
            true => f.write_str(&self.name)?,
            false => write_quoted(f, &self.name)?,
        }
        self.op.fmt(f)?;
        write_quoted(f, &self.value)
    }
}

fn anchored(name: &str, pattern: &str) -> Result<Regex, SelectorError> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES)
            .dfa_size_limit(REGEX_BYTES)
            .build()
            .map_err(|source| SelectorError::Regex {
                label: name.to_owned(),
                source: Box::new(source),
            })
    };
    // Alone first: `a)|(b` is no expression but would become one in the group.
    build(pattern)?;
    build(&format!("^(?s:{pattern})$"))
}

/// A profile type and a selector, `<profile type>{<matchers>}`, as the render
/// API takes them.
#[derive(Clone, Debug)]
pub struct Query {
    /// What to read.
    pub profile_type: ProfileType,
    /// Whose.
    pub selector: Selector,
}

impl FromStr for Query {
    type Err = SelectorError;

    /// Parses a query. The type may also be a matcher:
    /// `{__profile_type__="<profile type>"}`.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let brace = text.find('{').unwrap_or(text.len());
        let (type_text, selector) = text.split_at(brace);
        let mut selector = match selector {
            "" => Selector::default(),
            text => parse::selector_at(text, brace)?,
        };
        let type_text = type_text.trim();
        if !type_text.is_empty() {
            let profile_type = type_text.parse()?;
            return Ok(Self {
                profile_type,
                selector,
            });
        }
        let named = |m: &Matcher| m.name == labels::PROFILE_TYPE && m.op == MatchOp::Equal;
        let at = selector.matchers.iter().position(named);
        let matcher = selector
            .matchers
            .remove(at.ok_or(SelectorError::NoProfileType)?);
        Ok(Self {
            profile_type: matcher.value.parse()?,
            selector,
        })
    }
}

/// Why a selector or query is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SelectorError {
    /// The text is not a selector.
    #[error("invalid selector at byte {at}: {problem}")]
    Syntax {
        /// Offset in the text.
        at: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A regular expression is invalid or too large.
    #[error("invalid regular expression for label {label:?}: {source}")]
    Regex {
        /// The label it is for.
        label: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The selector is too long.
    #[error("selector is too long: the limit is {MAX_BYTES} bytes and {MAX_MATCHERS} matchers")]
    TooLong,
    /// A query has no profile type.
    #[error("\"query\" must contain a profile-type selection")]
    NoProfileType,
    /// The profile type of a query is invalid.
    #[error(transparent)]
    ProfileType(#[from] ProfileTypeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(selector: &str, pairs: &[(&str, &str)]) -> bool {
        let labels = Labels::new(pairs.iter().copied()).unwrap();
        selector.parse::<Selector>().unwrap().matches(&labels)
    }

    #[test]
    fn operators_compare_whole_values() {
        let pairs = [("a", "bcd"), ("k8s.pod", "p\nq")];
        for (selector, want) in [
            (r#"{}"#, true),
            (r#"{a="bcd"}"#, true),
            (r#"{a="bc"}"#, false),
            (r#"{a!="bc"}"#, true),
            (r#"{a=~"bc"}"#, false),
            (r#"{a=~"bc|bcd"}"#, true),
            (r#"{a=~"b.*"}"#, true),
            (r#"{a!~"b.*"}"#, false),
            (r#"{"k8s.pod"=~"p.q"}"#, true),
            (r#"{absent=""}"#, true),
            (r#"{absent!=""}"#, false),
            (r#"{absent=~".*"}"#, true),
            (r#"{absent=~".+"}"#, false),
            (r#"{a="bcd",absent="x"}"#, false),
        ] {
            assert_eq!(select(selector, &pairs), want, "{selector}");
        }
    }

    #[test]
    fn queries_have_a_type() {
        let query: Query = r#"process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="a"}"#
            .parse()
            .unwrap();
        assert_eq!(query.profile_type.name, "process_cpu");
        assert_eq!(query.selector.to_string(), r#"{service_name="a"}"#);
        let bare: Query = "a:b:c:d:e".parse().unwrap();
        assert_eq!(bare.selector.to_string(), "{}");
        let matcher: Query = r#"{__profile_type__="a:b:c:d:e", x="y"}"#.parse().unwrap();
        assert_eq!(matcher.profile_type, bare.profile_type);
        assert_eq!(matcher.selector.to_string(), r#"{x="y"}"#);
    }

    #[test]
    fn bad_queries_are_refused() {
        let error = |text: &str| text.parse::<Query>().unwrap_err().to_string();
        for text in ["", "{}", r#"{a="b"}"#] {
            assert!(error(text).contains("profile-type selection"), "{text}");
        }
        assert!(error("cpu{}").contains("\"cpu\""));
        assert!(
            error("a:b:c:d:e{x}").contains("at byte 11"),
            "{}",
            error("a:b:c:d:e{x}")
        );
    }

    #[test]
    fn expressions_are_bounded_and_whole() {
        for pattern in ["(", "a)|(b", "(a{1000}){1000}", "\\p{Bogus}"] {
            let error = Matcher::new("a", MatchOp::Regex, pattern).unwrap_err();
            assert!(error.to_string().contains("for label \"a\""), "{error}");
        }
        let huge = format!("{{a=\"{}\"}}", "x".repeat(MAX_BYTES));
        assert!(matches!(
            huge.parse::<Selector>(),
            Err(SelectorError::TooLong)
        ));
        let many = format!("{{{}}}", "a=\"\",".repeat(MAX_MATCHERS + 1));
        assert!(matches!(
            many.parse::<Selector>(),
            Err(SelectorError::TooLong)
        ));
    }
}
