//! A YAML document as a tree that remembers where everything stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Error as SaphyrError, Location, Spanned};

use crate::error::Error;

/// One node and its place.
#[derive(Debug)]
pub(crate) struct Node {
    /// Line and column, both from 1.
    pub(crate) at: Option<(u64, u64)>,
    /// What stands there.
    pub(crate) value: Value,
}

/// What stands at a node.
#[derive(Debug)]
pub(crate) enum Value {
    /// Nothing: the setting keeps its default.
    Null,
    /// A text, number or bool, as text.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and what they hold.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Debug)]
pub(crate) struct Key {
    /// Line and column, both from 1.
    pub(crate) at: Option<(u64, u64)>,
    /// The key itself.
    pub(crate) name: String,
}

/// Nesting beyond this is refused; the configuration is five keys deep.
const MOST_DEPTH: usize = 32;

/// Parses a document; an empty one is an empty mapping.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_DEPTH,
            flow_nesting_limit: MOST_DEPTH,
            max_documents: 1,
        },
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options::<Option<Node>>(text, options)
        .map(|node| {
            node.unwrap_or(Node {
                at: None,
                value: Value::Mapping(Vec::new()),
            })
        })
        .map_err(|error| not_yaml(&error, file))
}

fn not_yaml(error: &SaphyrError, file: &str) -> Error {
    let error = error.without_snippet();
    let reason = match error {
        SaphyrError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {key:?} is given twice")
        }
        // The place is told apart from the reason.
        _ => match error.to_string().split_once(" at line ") {
            Some((reason, _)) => reason.to_owned(),
            None => error.to_string(),
        },
    };
    Error::NotYaml {
        file: file.to_owned(),
        at: error.location().and_then(place),
        reason,
    }
}

fn place(location: Location) -> Option<(u64, u64)> {
    (location.line() > 0).then(|| (location.line(), location.column()))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: place(spanned.referenced),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            at: place(spanned.referenced),
            name: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Mapping(entries))
    }
}
