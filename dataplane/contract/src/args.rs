//! Reads the command line: what to do, and with which configuration.

use std::io;

use crate::config::Config;
use crate::error::{Error, Errors, Warning};
use crate::expand::expand;
use crate::kind::{Kind, shorten};
use crate::layers::Layers;
use crate::settings::{self, Setting, by_flag};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Run with this configuration.
    Run(Box<Loaded>),
    /// `-config.verify`: the configuration is good; say so and end.
    Verify(Box<Loaded>),
    /// `-help`: print the flags with a meaning here.
    Help,
    /// `-help-all`: print every flag.
    HelpAll,
    /// `-version`: print the version.
    Version,
    /// `-modules`: print the components.
    Modules,
}

/// A configuration and what was given in vain.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration, valid.
    pub config: Config,
    /// Settings that were given and do nothing.
    pub warnings: Vec<Warning>,
}

/// Returns the value of an environment variable.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Returns the text of a file.
pub type ReadFile<'a> = dyn Fn(&str) -> io::Result<String> + 'a;

/// Reads the arguments that follow the program's name.
///
/// Flags are written as in Go: `-flag=value`, `-flag value`, `--flag`, and for bools `-flag`
/// alone. Flags win over configuration files, which win over defaults; of a flag given twice
/// the last counts, unless it is a list, which adds up. Returns everything that is wrong.
pub fn parse(args: &[String], env: &Env<'_>, read_file: &ReadFile<'_>) -> Result<Request, Errors> {
    let mut errors = Vec::new();
    let given = Given::read(args, &mut errors);
    if let Some(request) = given.question() {
        return Errors::unless_any(errors, request);
    }
    let mut layers = Layers::new();
    errors.into_iter().for_each(|error| layers.fail(error));
    given.add_files(&mut layers, env, read_file);
    for (setting, texts) in &given.flags {
        layers.add_flag(*setting, texts);
    }
    let (config, warnings) = layers.finish()?;
    let loaded = Box::new(Loaded { config, warnings });
    Ok(if given.says("config.verify") {
        Request::Verify(loaded)
    } else {
        Request::Run(loaded)
    })
}

/// Flags with their values, in the order in which they first came.
#[derive(Default)]
struct Given<'a> {
    flags: Vec<(Setting, Vec<&'a str>)>,
}

impl<'a> Given<'a> {
    fn read(args: &'a [String], errors: &mut Vec<Error>) -> Self {
        let mut given = Self::default();
        let mut rest = args.iter().map(String::as_str).peekable();
        let mut bool_before = None;
        while let Some(argument) = rest.next() {
            let Some((name, value)) = split_flag(argument) else {
                errors.push(Error::UnexpectedArgument {
                    argument: shorten(argument),
                    after: bool_before.take(),
                });
                continue;
            };
            let Some(setting) = by_flag(name) else {
                errors.push(unknown_flag(name));
                // What follows is its value rather than one more mistake.
                if value.is_none() {
                    rest.next_if(|next| split_flag(next).is_none());
                }
                continue;
            };
            bool_before = None;
            let value = match (value, setting.kind) {
                (Some(value), _) => Some(value),
                (None, Kind::Bool) => {
                    bool_before = Some(setting.flag.to_owned());
                    Some("true")
                }
                (None, _) => rest.next(),
            };
            match value {
                Some(value) => given.add(setting, value),
                None => errors.push(Error::MissingValue {
                    flag: setting.flag,
                    word: setting.kind.word(),
                }),
            }
        }
        given
    }

    fn add(&mut self, setting: Setting, value: &'a str) {
        let known = self.flags.iter_mut().find(|(s, _)| s.flag == setting.flag);
        match known {
            Some((_, values)) if setting.kind.repeats() => values.push(value),
            Some((_, values)) => *values = vec![value],
            None => self.flags.push((setting, vec![value])),
        }
    }

    /// Returns the request that needs no configuration, if there is one.
    fn question(&self) -> Option<Request> {
        if self.says("help") || self.says("h") {
            Some(Request::Help)
        } else if self.says("help-all") {
            Some(Request::HelpAll)
        } else if self.says("version") {
            Some(Request::Version)
        } else if self.says("modules") {
            Some(Request::Modules)
        } else {
            None
        }
    }

    fn says(&self, flag: &str) -> bool {
        let text = self.value(flag).unwrap_or("false");
        Kind::Bool.parse(text) == Ok(true.into())
    }

    fn value(&self, flag: &str) -> Option<&'a str> {
        let (_, values) = self.flags.iter().find(|(s, _)| s.flag == flag)?;
        values.last().copied()
    }

    fn add_files(&self, layers: &mut Layers, env: &Env<'_>, read_file: &ReadFile<'_>) {
        for file in crate::config::split(self.value("config.file").unwrap_or_default()) {
            match self.text_of(file, env, read_file) {
                Ok(text) => layers.add_yaml(&text, file),
                Err(error) => layers.fail(error),
            }
        }
    }

    fn text_of(
        &self,
        file: &str,
        env: &Env<'_>,
        read_file: &ReadFile<'_>,
    ) -> Result<String, Error> {
        let text = read_file(file).map_err(|error| Error::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        if self.says("config.expand-env") {
            return expand(&text, file, env);
        }
        Ok(text)
    }
}

/// Splits `-name`, `--name` and `-name=value`; returns nothing for what is not a flag.
fn split_flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let flag = argument.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    match flag.split_once('=') {
        Some((name, value)) => Some((name, Some(value))),
        None => Some((flag, None)),
    }
    .filter(|(name, _)| !name.is_empty() && !name.starts_with('-'))
}

fn unknown_flag(name: &str) -> Error {
    Error::UnknownFlag {
        name: shorten(name),
        nearest: settings::nearest_flag(name),
    }
}
