//! Label sets that name series.

mod error;
mod limits;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use proto::types::v1::LabelPair;
use xxhash_rust::xxh3::Xxh3;

use crate::quote::write_quoted;

pub use error::LabelError;
pub use limits::LabelLimits;

/// Name of the profile, such as `process_cpu`.
pub const NAME: &str = "__name__";
/// Profile type without `:delta`, such as `process_cpu:cpu:nanoseconds:cpu:nanoseconds`.
pub const PROFILE_TYPE: &str = "__profile_type__";
/// Sample type, such as `cpu`.
pub const TYPE: &str = "__type__";
/// Sample unit, such as `nanoseconds`.
pub const UNIT: &str = "__unit__";
/// Period type, such as `cpu`.
pub const PERIOD_TYPE: &str = "__period_type__";
/// Period unit, such as `nanoseconds`.
pub const PERIOD_UNIT: &str = "__period_unit__";
/// Copy of `service_name` that series are sorted by.
pub const SERVICE_NAME_PRIVATE: &str = "__service_name__";
/// Name of the service that was profiled.
pub const SERVICE_NAME: &str = "service_name";
/// `false` says that counters are deltas already.
pub const DELTA: &str = "__delta__";
/// Distinguishes processes of one series; not stored by default.
pub const SESSION_ID: &str = "__session_id__";
/// Client library that took the profile.
pub const SPY_NAME: &str = "pyroscope_spy";
/// Marks profiles that came in as OpenTelemetry; not stored.
pub const OTEL: &str = "__otel__";
/// Marks series whose label order is enforced; not stored.
pub const ORDER: &str = "__order__";

/// A label set: sorted by name in byte order, names unique, values not empty.
///
/// Cloning bumps a reference count. `Display` writes the form of the Go
/// implementation, `{a="b", c="d"}`, whose bytes feed the ring token.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    pairs: Arc<[(Box<str>, Box<str>)]>,
}

impl Labels {
    /// Builds a set from pairs in any order; pairs with an empty value are
    /// dropped.
    ///
    /// # Errors
    /// An empty name, or a name that occurs twice.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelError>
    where
        N: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let mut pairs: Vec<(Box<str>, Box<str>)> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        let duplicate = pairs
            .windows(2)
            .find(|pair| pair[0].0 == pair[1].0)
            .map(|pair| pair[0].0.to_string());
        let labels = Self::from_sorted(pairs);
        if labels.contains("") {
            return Err(LabelError::EmptyName { labels });
        }
        match duplicate {
            Some(name) => Err(LabelError::Duplicate { labels, name }),
            None => Ok(labels),
        }
    }

    /// Builds a set from the labels of a request; see [`Labels::new`].
    ///
    /// # Errors
    /// As [`Labels::new`].
    pub fn from_proto(pairs: Vec<LabelPair>) -> Result<Self, LabelError> {
        Self::new(pairs.into_iter().map(|pair| (pair.name, pair.value)))
    }

    /// Returns the labels as wire messages.
    pub fn to_proto(&self) -> Vec<LabelPair> {
        self.iter()
            .map(|(name, value)| LabelPair {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect()
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.find(name).ok()?;
        Some(&self.pairs[found].1)
    }

    /// Tells whether the label is set.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Iterates over name and value, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Tells whether the set has no label.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns a 64-bit hash (XXH3) that is the same in every process.
    pub fn fingerprint(&self) -> u64 {
        // 0xff occurs in no UTF-8 text, so the boundaries are unambiguous.
        let mut hash = Xxh3::new();
        for (name, value) in self.iter() {
            hash.update(name.as_bytes());
            hash.update(b"\xff");
            hash.update(value.as_bytes());
            hash.update(b"\xff");
        }
        hash.digest()
    }

    /// Returns the set with one label set to a value; the empty value removes.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs = self.pairs.to_vec();
        match (self.find(name), value.is_empty()) {
            (Ok(at), false) => pairs[at].1 = value.into(),
            (Err(at), false) => pairs.insert(at, (name.into(), value.into())),
            (Ok(at), true) => drop(pairs.remove(at)),
            (Err(_), true) => return self.clone(),
        }
        Self::from_sorted(pairs)
    }

    /// Returns the set without one label.
    pub fn without(&self, name: &str) -> Self {
        self.with(name, "")
    }

    /// Returns the set with only the named labels, for grouping.
    pub fn only(&self, names: &[impl AsRef<str>]) -> Self {
        self.filter(|name| names.iter().any(|wanted| wanted.as_ref() == name))
    }

    /// Returns the set without the labels whose names are `__like_this__`.
    pub fn without_private(&self) -> Self {
        self.filter(|name| !(name.starts_with("__") && name.ends_with("__")))
    }

    fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.pairs.iter().filter(|(name, _)| keep(name));
        Self::from_sorted(kept.cloned().collect())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| (**n).cmp(name))
    }

    fn from_sorted(pairs: Vec<(Box<str>, Box<str>)>) -> Self {
        Self {
            pairs: pairs.into(),
        }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::from_sorted(Vec::new())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
            f.write_char('=')?;
            write_quoted(f, value)?;
        }
        f.write_char('}')
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn display_is_the_go_form() {
        let set = labels(&[
            ("service_name", "a\"b\\c"),
            ("__name__", "process_cpu"),
            ("empty", ""),
        ]);
        assert_eq!(
            set.to_string(),
            r#"{__name__="process_cpu", service_name="a\"b\\c"}"#
        );
        assert_eq!(Labels::default().to_string(), "{}");
    }

    #[test]
    fn duplicate_and_empty_names_are_refused() {
        let twice = Labels::new([("env", "a"), ("b", "c"), ("env", "d")]).unwrap_err();
        assert!(
            twice.to_string().ends_with("duplicate label name: 'env'"),
            "{twice}"
        );
        let empty = Labels::new([("", "a")]).unwrap_err();
        assert!(matches!(empty, LabelError::EmptyName { .. }), "{empty}");
    }

    #[test]
    fn fingerprint_is_pinned_and_unambiguous() {
        assert_eq!(Labels::default().fingerprint(), 0x2d06_8005_38d3_94c2);
        assert_ne!(
            labels(&[("a", "bc")]).fingerprint(),
            labels(&[("ab", "c")]).fingerprint()
        );
    }

    #[test]
    fn sets_are_edited() {
        let set = labels(&[("b", "2"), ("__x__", "3")]);
        assert_eq!(
            set.with("a", "1").to_string(),
            r#"{__x__="3", a="1", b="2"}"#
        );
        assert_eq!(set.with("b", "9").get("b"), Some("9"));
        assert_eq!(set.without("b").get("b"), None);
        assert_eq!(set.without("c"), set);
        assert_eq!(set.without_private(), labels(&[("b", "2")]));
        assert_eq!(set.only(&["b", "c"]), labels(&[("b", "2")]));
    }

    proptest! {
        #[test]
        fn order_of_pairs_does_not_matter(pairs in prop::collection::btree_map("[a-c_]{1,3}", "[a-c]{0,2}", 0..6)) {
            let forward = Labels::new(pairs.clone()).unwrap();
            let backward = Labels::new(pairs.clone().into_iter().rev()).unwrap();
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(forward.fingerprint(), backward.fingerprint());
            for (name, value) in &pairs {
                prop_assert_eq!(forward.get(name).unwrap_or(""), value);
            }
        }
    }
}
