//! The one table of settings: which flag sets which YAML key, and what becomes of it.
//!
//! Flag names, YAML keys and types are facts of Grafana Pyroscope v1. Defaults are not here:
//! they are those of [`Config::default`](crate::Config).

mod distributor;
mod elsewhere;
mod ignored;
mod limits;
mod memberlist;
mod process;
mod refused;
mod ring;
mod server;
mod storage;

use crate::kind::Kind;
use crate::nearest::nearest;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Name of the flag, without dashes.
    pub flag: &'static str,
    /// Place in the YAML file, keys joined by dots; empty when the setting is a flag alone.
    pub path: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What becomes of it.
    pub effect: Effect,
    /// One sentence for a user; of a setting that does nothing here, what is done in its place,
    /// if that is not nothing.
    pub help: &'static str,
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sets the field of the configuration at [`Setting::path`].
    Sets,
    /// Tells the process what to do at its start; flag only.
    Starts,
    /// Has a meaning in Grafana Pyroscope only; is taken with a warning.
    Ignored,
    /// Has a meaning in Grafana Pyroscope that must not be ignored; only this value is taken.
    Refused {
        /// The value that asks for nothing.
        unless: &'static str,
    },
}

/// Sections of the YAML file whose every key is taken with one warning.
const ELSEWHERE: [&str; 17] = [
    "admin_server",
    "analytics",
    "api",
    "architecture",
    "async_ingest",
    "compaction_worker",
    "compactor",
    "embedded_grafana",
    "frontend",
    "frontend_worker",
    "metastore",
    "overrides_exporter",
    "query_backend",
    "query_scheduler",
    "segment_writer",
    "store_gateway",
    "tenant_settings",
];

/// Subsections whose every key is taken with one warning.
const ELSEWHERE_WITHIN: [&str; 9] = [
    "ingester.lifecycler.ring.kvstore.consul",
    "ingester.lifecycler.ring.kvstore.etcd",
    "ingester.lifecycler.ring.kvstore.multi",
    "distributor.ring.kvstore.consul",
    "distributor.ring.kvstore.etcd",
    "distributor.ring.kvstore.multi",
    "server.cluster_validation",
    "storage.cos",
    "storage.swift",
];

/// Returns every setting: first those with a meaning here, by section.
pub fn all() -> impl Iterator<Item = Setting> {
    [
        process::SETTINGS,
        server::SETTINGS,
        ring::SETTINGS,
        distributor::SETTINGS,
        memberlist::SETTINGS,
        limits::SETTINGS,
        storage::SETTINGS,
        refused::SETTINGS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain(ignored::settings())
    .chain(elsewhere::settings())
}

/// Returns the setting of a flag.
pub fn by_flag(flag: &str) -> Option<Setting> {
    all().find(|setting| setting.flag == flag)
}

/// Returns the setting at a place of the YAML file.
pub fn by_path(path: &str) -> Option<Setting> {
    all().find(|setting| !setting.path.is_empty() && setting.path == path)
}

/// Returns whether some setting lies below `path`.
pub(crate) fn is_section(path: &str) -> bool {
    all().any(|setting| is_below(setting.path, path))
}

/// Returns whether everything at and below `path` belongs to what this version does not have.
pub(crate) fn is_elsewhere(path: &str) -> bool {
    ELSEWHERE.contains(&path) || ELSEWHERE_WITHIN.contains(&path)
}

/// Returns the flag that looks most like `name`.
pub(crate) fn nearest_flag(name: &str) -> Option<String> {
    nearest(name, all().map(|setting| setting.flag)).map(str::to_owned)
}

/// Returns the key that looks most like the last one of `path` among those beside it, or else
/// the same key in another section.
pub(crate) fn nearest_path(path: &str) -> Option<String> {
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let beside = all().filter_map(|setting| key_within(setting.path, section));
    let elsewhere = if section.is_empty() {
        &ELSEWHERE[..]
    } else {
        &[]
    };
    if let Some(found) = nearest(key, beside.chain(elsewhere.iter().copied())) {
        return Some(match section {
            "" => found.to_owned(),
            _ => format!("{section}.{found}"),
        });
    }
    // The right key in the wrong section.
    all()
        .map(|setting| setting.path)
        .find(|path| path.rsplit('.').next() == Some(key))
        .map(str::to_owned)
}

/// Returns the key by which `section` holds `path`.
fn key_within(path: &'static str, section: &str) -> Option<&'static str> {
    let rest = match section {
        "" => path,
        _ => path.strip_prefix(section)?.strip_prefix('.')?,
    };
    rest.split('.').next().filter(|key| !key.is_empty())
}

fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section)
        .is_some_and(|rest| rest.starts_with('.'))
}

const fn sets(flag: &'static str, path: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting {
        flag,
        path,
        kind,
        effect: Effect::Sets,
        help,
    }
}
