//! Limits of single tenants: the files of `-runtime-config.file`.
//!
//! ```yaml
//! overrides:
//!   team-a:
//!     ingestion_rate_mb: 20
//! ```

use std::collections::BTreeMap;

use crate::config::{Config, Limits};
use crate::error::{Error, Errors, Place, Warning};
use crate::layers::Layers;
use crate::yaml::{self, Key, Node, Value};

const SECTION: &str = "overrides";

/// Settings of the ring's stores, which are one kind here.
const ELSEWHERE: [&str; 1] = ["multi_kv_config"];

/// The limits of the tenants that have their own, by tenant.
pub type Overrides = BTreeMap<String, Limits>;

/// Reads overrides from the texts of files with their names, later ones on top of earlier ones and
/// all on top of the limits of `config`.
///
/// Returns them with the settings that do nothing here, or everything that is wrong.
pub fn parse(
    files: &[(String, String)],
    config: &Config,
) -> Result<(Overrides, Vec<Warning>), Errors> {
    let mut reading = Reading {
        config,
        tenants: BTreeMap::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    for (name, text) in files {
        match yaml::parse(text, name) {
            Ok(node) => reading.add_file(&node, name),
            Err(error) => reading.errors.push(error),
        }
    }
    reading.finish()
}

struct Reading<'a> {
    config: &'a Config,
    tenants: BTreeMap<String, Layers>,
    errors: Vec<Error>,
    warnings: Vec<Warning>,
}

impl Reading<'_> {
    fn add_file(&mut self, node: &Node, file: &str) {
        match &node.value {
            Value::Null => {}
            Value::Mapping(entries) => {
                for (key, node) in entries {
                    self.add_key(key, node, file);
                }
            }
            _ => self.errors.push(Error::NotYaml {
                file: file.to_owned(),
                at: node.at,
                reason: "it is a single value or a list".to_owned(),
            }),
        }
    }

    fn add_key(&mut self, key: &Key, node: &Node, file: &str) {
        let place = place(file, key, &key.name);
        match (key.name.as_str(), &node.value) {
            (SECTION, Value::Null) => {}
            (SECTION, Value::Mapping(tenants)) => {
                for (tenant, node) in tenants {
                    self.add_tenant(tenant, node, file);
                }
            }
            (SECTION, _) => self.errors.push(Error::BadValue {
                place,
                reason: "is a mapping of tenants, not a value".to_owned(),
            }),
            (name, _) if ELSEWHERE.contains(&name) => {
                self.warnings.push(Warning { place, instead: "" });
            }
            _ => self.errors.push(Error::UnknownKey {
                place,
                nearest: Some(SECTION.to_owned()),
            }),
        }
    }

    fn add_tenant(&mut self, tenant: &Key, node: &Node, file: &str) {
        let layers = self
            .tenants
            .entry(tenant.name.clone())
            .or_insert_with(|| Layers::on(self.config));
        match &node.value {
            Value::Null => {}
            Value::Mapping(entries) => layers.add_section(entries, "limits", file),
            _ => layers.fail(Error::BadValue {
                place: place(file, tenant, "limits"),
                reason: "is a mapping of limits, not a value".to_owned(),
            }),
        }
    }

    fn finish(mut self) -> Result<(Overrides, Vec<Warning>), Errors> {
        let mut overrides = Overrides::new();
        for (tenant, layers) in self.tenants {
            match layers.finish() {
                Ok((config, warnings)) => {
                    overrides.insert(tenant.clone(), config.limits);
                    let warnings = warnings.into_iter().map(|warning| Warning {
                        place: within(warning.place, &tenant),
                        ..warning
                    });
                    self.warnings.extend(warnings);
                }
                Err(Errors(errors)) => {
                    let errors = errors.into_iter().map(|error| of_tenant(error, &tenant));
                    self.errors.extend(errors);
                }
            }
        }
        Errors::unless_any(self.errors, (overrides, self.warnings))
    }
}

fn place(file: &str, key: &Key, path: &str) -> Place {
    Place::Key {
        file: file.to_owned(),
        at: key.at,
        path: path.to_owned(),
    }
}

/// Names the tenant in place of the section that holds everybody's limits.
fn within(place: Place, tenant: &str) -> Place {
    match place {
        Place::Key { file, at, path } => Place::Key {
            file,
            at,
            path: of_limits(&path, tenant),
        },
        flag => flag,
    }
}

fn of_limits(path: &str, tenant: &str) -> String {
    let key = path.strip_prefix("limits").unwrap_or(path);
    format!("{SECTION}.{tenant}{key}")
}

fn of_tenant(error: Error, tenant: &str) -> Error {
    match error {
        Error::UnknownKey { place, nearest } => Error::UnknownKey {
            place: within(place, tenant),
            nearest: nearest.map(|path| of_limits(&path, tenant)),
        },
        Error::BadValue { place, reason } => Error::BadValue {
            place: within(place, tenant),
            reason,
        },
        Error::NotSupported { place, unless } => Error::NotSupported {
            place: within(place, tenant),
            unless,
        },
        Error::Invalid { subject, reason } => Error::Invalid {
            subject: format!("{SECTION}.{tenant}: {subject}"),
            reason,
        },
        other => other,
    }
}

/// Returns overrides as YAML, each tenant with all its limits or, with `defaults`, with those that
/// differ from them.
pub fn to_yaml(overrides: &Overrides, defaults: Option<&Limits>) -> String {
    crate::config::overrides_to_yaml(overrides, defaults)
}
