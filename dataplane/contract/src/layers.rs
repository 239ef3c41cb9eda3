//! Puts defaults, configuration files and flags on top of each other.

use serde_json::{Map, Value as Json};

use crate::config::{Config, rules_of_nodes};
use crate::error::{Error, Errors, Place, Warning};
use crate::kind::{Kind, rules_to_json};
use crate::settings::{self, Effect, Setting};
use crate::yaml::{self, Key, Node, Value};

/// A configuration in the making: what lies lower is overwritten by what comes later.
#[derive(Debug)]
pub(crate) struct Layers {
    tree: Json,
    errors: Vec<Error>,
    warnings: Vec<Warning>,
}

impl Layers {
    /// Starts with the defaults.
    pub(crate) fn new() -> Self {
        Self::on(&Config::default())
    }

    /// Starts with a configuration.
    pub(crate) fn on(config: &Config) -> Self {
        Self {
            tree: to_json(config),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Puts a YAML document on top; `file` names it in messages.
    pub(crate) fn add_yaml(&mut self, text: &str, file: &str) {
        match yaml::parse(text, file) {
            Ok(node) => match &node.value {
                Value::Mapping(entries) => self.add_section(entries, "", file),
                Value::Null => {}
                _ => self.fail(Error::NotYaml {
                    file: file.to_owned(),
                    at: node.at,
                    reason: "it is a single value or a list".to_owned(),
                }),
            },
            Err(error) => self.fail(error),
        }
    }

    /// Puts one flag on top, with every value that was given for it.
    pub(crate) fn add_flag(&mut self, setting: Setting, texts: &[&str]) {
        let place = Place::Flag(setting.flag.to_owned());
        self.add(setting, texts, place);
    }

    /// Takes note of something wrong.
    pub(crate) fn fail(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Ends the making: returns the configuration if nothing was wrong.
    pub(crate) fn finish(self) -> Result<(Config, Vec<Warning>), Errors> {
        let tree = Errors::unless_any(self.errors, self.tree)?;
        let config: Config = serde_json::from_value(tree).map_err(|error| {
            Errors(vec![Error::Invalid {
                subject: "configuration".to_owned(),
                reason: error.to_string(),
            }])
        })?;
        config.validate()?;
        Ok((config, self.warnings))
    }

    /// Puts the keys of one section on top.
    pub(crate) fn add_section(&mut self, entries: &[(Key, Node)], section: &str, file: &str) {
        for (key, node) in entries {
            let path = match section {
                "" => key.name.clone(),
                _ => format!("{section}.{}", key.name),
            };
            let place = Place::Key {
                file: file.to_owned(),
                at: key.at,
                path: path.clone(),
            };
            match settings::by_path(&path) {
                Some(setting) => self.add_node(setting, node, place),
                None => self.add_subsection(node, &path, file, place),
            }
        }
    }

    fn add_subsection(&mut self, node: &Node, path: &str, file: &str, place: Place) {
        if settings::is_elsewhere(path) {
            self.warnings.push(Warning { place, instead: "" });
            return;
        }
        if !settings::is_section(path) {
            let nearest = settings::nearest_path(path);
            self.fail(Error::UnknownKey { place, nearest });
            return;
        }
        match &node.value {
            Value::Mapping(entries) => self.add_section(entries, path, file),
            Value::Null => {}
            _ => self.fail(Error::BadValue {
                place,
                reason: "is a section of settings, not a value".to_owned(),
            }),
        }
    }

    fn add_node(&mut self, setting: Setting, node: &Node, place: Place) {
        match (&node.value, setting.effect) {
            (Value::Null, _) => {}
            (_, Effect::Ignored) => self.ignore(setting, place),
            (Value::Scalar(text), _) => self.add(setting, &[text], place),
            (_, Effect::Refused { unless }) => self.fail(Error::NotSupported { place, unless }),
            (Value::List(nodes), Effect::Sets) if setting.kind == Kind::Rules => {
                match rules_of_nodes(nodes) {
                    Ok(rules) => set(&mut self.tree, setting.path, rules_to_json(&rules)),
                    Err(reason) => self.fail(Error::BadValue { place, reason }),
                }
            }
            (Value::List(nodes), _) if setting.kind.is_list() => match scalars(nodes) {
                Some(texts) => self.add(setting, &texts, place),
                None => self.fail(wrong_shape(setting, place)),
            },
            _ => self.fail(wrong_shape(setting, place)),
        }
    }

    fn ignore(&mut self, setting: Setting, place: Place) {
        let instead = setting.help;
        self.warnings.push(Warning { place, instead });
    }

    fn add(&mut self, setting: Setting, texts: &[&str], place: Place) {
        let value = match setting.kind.collect(texts) {
            Ok(value) => value,
            Err(mismatch) => {
                return self.fail(Error::BadValue {
                    place,
                    reason: mismatch.to_string(),
                });
            }
        };
        match setting.effect {
            Effect::Sets => set(&mut self.tree, setting.path, value),
            Effect::Starts => {}
            Effect::Ignored => self.ignore(setting, place),
            Effect::Refused { unless } if setting.kind.parse(unless) == Ok(value) => {}
            Effect::Refused { unless } => self.fail(Error::NotSupported { place, unless }),
        }
    }
}

/// Returns the configuration as JSON.
pub(crate) fn to_json(config: &Config) -> Json {
    serde_json::to_value(config).expect("a tree of texts, numbers and lists is always JSON")
}

/// Sets the value at a place of the tree; does nothing when there is none, which a test rules out.
fn set(tree: &mut Json, path: &str, value: Json) {
    let node = path
        .split('.')
        .try_fold(tree, |node, key| node.get_mut(key));
    if let Some(node) = node {
        *node = value;
    }
}

/// Returns what of `tree` differs from `base`, or nothing.
pub(crate) fn difference(tree: &Json, base: &Json) -> Option<Json> {
    match (tree, base) {
        (Json::Object(entries), Json::Object(base)) => {
            let changed: Map<String, Json> = entries
                .iter()
                .filter_map(|(key, value)| {
                    let below = base.get(key).unwrap_or(&Json::Null);
                    Some((key.clone(), difference(value, below)?))
                })
                .collect();
            (!changed.is_empty()).then_some(Json::Object(changed))
        }
        _ => (tree != base).then(|| tree.clone()),
    }
}

fn scalars(nodes: &[Node]) -> Option<Vec<&str>> {
    nodes
        .iter()
        .map(|node| match &node.value {
            Value::Scalar(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn wrong_shape(setting: Setting, place: Place) -> Error {
    Error::BadValue {
        place,
        reason: format!("takes a value of type {}", setting.kind.word()),
    }
}
