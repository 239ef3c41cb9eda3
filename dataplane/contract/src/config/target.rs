//! Components that a process can run, and the comma lists in which they are given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A component, or the alias `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Every component in one process.
    All,
    /// Receives profiles and writes them to ingesters.
    Distributor,
    /// Stores recent profiles and serves them to queriers.
    Ingester,
    /// Answers queries from all ingesters.
    Querier,
}

/// Why a text is not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTargetError {
    /// Grafana Pyroscope has this component, this version does not.
    #[error(
        "target {0:?} is not part of this version; targets are all, distributor, ingester, querier"
    )]
    NotHere(String),
    /// No component has this name.
    #[error("unknown target {name:?}{}", crate::nearest::hint(nearest))]
    Unknown {
        /// What was given.
        name: String,
        /// The target that looks most like it, or nothing.
        nearest: Option<String>,
    },
    /// The list has no entry.
    #[error("the list of targets is empty; targets are all, distributor, ingester, querier")]
    Empty,
}

/// Components of Grafana Pyroscope that this version does not have.
const NOT_HERE: [&str; 18] = [
    "ad-hoc-profiles",
    "admin",
    "compaction-worker",
    "compactor",
    "embedded-grafana",
    "feature-flags",
    "metastore",
    "overrides-exporter",
    "query-backend",
    "query-frontend",
    "query-scheduler",
    "read",
    "segment-writer",
    "store-gateway",
    "symbolizer",
    "tenant-settings",
    "usage-stats",
    "write",
];

impl Target {
    /// Every target, in alphabetical order.
    pub const EVERY: [Self; 4] = [Self::All, Self::Distributor, Self::Ingester, Self::Querier];

    /// Returns the name as given to `-target`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Distributor => "distributor",
            Self::Ingester => "ingester",
            Self::Querier => "querier",
        }
    }

    /// Returns whether `-target=all` runs this component.
    pub const fn in_all(self) -> bool {
        !matches!(self, Self::All)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(target) = Self::EVERY.into_iter().find(|target| target.name() == text) {
            return Ok(target);
        }
        if NOT_HERE.contains(&text) {
            return Err(ParseTargetError::NotHere(text.to_owned()));
        }
        Err(ParseTargetError::Unknown {
            name: text.to_owned(),
            nearest: crate::nearest::nearest(text, Self::EVERY.map(Self::name)).map(str::to_owned),
        })
    }
}

/// The components that a process runs, given as `all` or a comma list; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// Makes a list of targets; duplicates are dropped, an empty list becomes `all`.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let mut list = Vec::new();
        for target in targets {
            if !list.contains(&target) {
                list.push(target);
            }
        }
        if list.is_empty() {
            list.push(Target::All);
        }
        Self(list)
    }

    /// Returns whether `component` runs, by its own name or through `all`.
    pub fn runs(&self, component: Target) -> bool {
        self.0.contains(&component) || self.0.contains(&Target::All)
    }

    /// Returns the targets as given.
    pub fn iter(&self) -> impl Iterator<Item = Target> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self(vec![Target::All])
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(self.0.iter().map(|target| target.name())))
    }
}

impl FromStr for Targets {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let targets: Vec<Target> = split(text).map(str::parse).collect::<Result<_, _>>()?;
        if targets.is_empty() {
            return Err(ParseTargetError::Empty);
        }
        Ok(Self::new(targets))
    }
}

impl Serialize for Targets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A list that YAML and flags hold as one text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommaList(pub Vec<String>);

impl fmt::Display for CommaList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(self.0.iter().map(String::as_str)))
    }
}

impl From<&str> for CommaList {
    fn from(text: &str) -> Self {
        Self(split(text).map(str::to_owned).collect())
    }
}

impl Serialize for CommaList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

/// Splits a comma list into its entries, without blanks and empty ones.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn join<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    entries.collect::<Vec<_>>().join(",")
}
