//! What can be wrong with flags and configuration files.

use std::fmt;

use crate::nearest::hint;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A flag.
    Flag(String),
    /// A key of a YAML file.
    Key {
        /// Name of the file; empty when the text came from elsewhere.
        file: String,
        /// Line and column, both from 1, when known.
        at: Option<(u64, u64)>,
        /// Keys down to the setting, joined by dots.
        path: String,
    },
}

/// One thing that is wrong with flags or configuration files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No flag has this name.
    #[error("unknown flag -{name}; {}", flag_hint(nearest))]
    UnknownFlag {
        /// The name as given, without dashes.
        name: String,
        /// The flag that looks most like it.
        nearest: Option<String>,
    },
    /// A flag that needs a value is the last argument.
    #[error("flag -{flag} needs a value; write -{flag}=<{word}>")]
    MissingValue {
        /// The flag.
        flag: &'static str,
        /// What kind of value it takes.
        word: &'static str,
    },
    /// An argument is neither a flag nor a flag's value.
    #[error("unexpected argument {argument:?}{}", after_bool(after))]
    UnexpectedArgument {
        /// The argument.
        argument: String,
        /// The bool flag before it, whose value it was perhaps meant to be.
        after: Option<String>,
    },
    /// No setting has this key.
    #[error("{place}: unknown key{}", hint(nearest))]
    UnknownKey {
        /// Where it is.
        place: Place,
        /// The key that looks most like it, with its section.
        nearest: Option<String>,
    },
    /// A value does not fit its setting.
    #[error("{place}: {reason}")]
    BadValue {
        /// Where it is.
        place: Place,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A setting asks for what must not be ignored and is not there.
    #[error("{place}: not supported yet; remove it{}", allowed(unless))]
    NotSupported {
        /// Where it is.
        place: Place,
        /// The value that asks for nothing.
        unless: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read configuration file {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// A file is not YAML.
    #[error("{}: not a YAML mapping of settings: {reason}", position(file, *at))]
    NotYaml {
        /// The file.
        file: String,
        /// Line and column, both from 1, when known.
        at: Option<(u64, u64)>,
        /// What is wrong.
        reason: String,
    },
    /// A `${` in a file has no end.
    #[error("{}: \"${{\" without \"}}\"; write $${{ for the characters themselves", position(file, Some((*line, *column))))]
    OpenVariable {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
    },
    /// Values fit one by one but not together.
    #[error("{subject}: {reason}")]
    Invalid {
        /// The setting, as flag and key.
        subject: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

/// Everything that is wrong, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors(pub Vec<Error>);

/// A setting that was taken and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it was given.
    pub place: Place,
    /// What is done in its place; empty when that is nothing.
    pub instead: &'static str,
}

impl Errors {
    /// Returns `value` when nothing is wrong.
    pub(crate) fn unless_any<T>(errors: Vec<Error>, value: T) -> Result<T, Self> {
        if errors.is_empty() {
            Ok(value)
        } else {
            Err(Self(errors))
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no effect in this version", self.place)?;
        match self.instead {
            "" => Ok(()),
            instead => write!(f, ": {instead}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag -{name}"),
            Self::Key { file, at, path } => match position(file, *at).as_str() {
                "" => write!(f, "key {path}"),
                position => write!(f, "{position}: key {path}"),
            },
        }
    }
}

/// Writes `file:line:column`, as much of it as is known.
fn position(file: &str, at: Option<(u64, u64)>) -> String {
    match (file, at) {
        ("", None) => String::new(),
        ("", Some((line, column))) => format!("line {line}, column {column}"),
        (file, None) => file.to_owned(),
        (file, Some((line, column))) => format!("{file}:{line}:{column}"),
    }
}

fn after_bool(after: &Option<String>) -> String {
    after
        .as_ref()
        .map(|flag| format!("; to give -{flag} a value write -{flag}=<bool>"))
        .unwrap_or_default()
}

fn flag_hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(flag) => format!("did you mean -{flag}?"),
        None => "-help-all lists every flag".to_owned(),
    }
}

fn allowed(unless: &str) -> String {
    match unless {
        "" => String::new(),
        value => format!(" or set it to {value:?}"),
    }
}
