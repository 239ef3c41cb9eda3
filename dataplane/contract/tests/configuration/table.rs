//! The table of settings agrees with Grafana Pyroscope and with the configuration.

use std::collections::BTreeSet;

use pyroscope_contract::Config;
use pyroscope_contract::kind::Kind;
use pyroscope_contract::settings::{Effect, Setting, all, by_flag, by_path};
use serde_json::Value;

/// Flags that Grafana Pyroscope does not have.
const OWN: [&str; 12] = [
    "config.verify",
    "distributor.handoff.max-age",
    "distributor.handoff.max-bytes",
    "distributor.ingester-max-inflight-bytes",
    "distributor.instance-limits.max-inflight-push-requests",
    "distributor.instance-limits.max-inflight-push-requests-bytes",
    "ingester.auto-forget-unhealthy-periods",
    "ingester.max-head-bytes",
    "server.http-max-connection-age",
    "server.phlare-metric-names",
    "storage.gcs.http.tls-ca-path",
    "storage.s3.http.tls-ca-path",
];

struct Original {
    flag: &'static str,
    kind: &'static str,
    default: &'static str,
}

fn originals() -> Vec<Original> {
    let rows = include_str!("data/flags.tsv").lines().skip(1);
    rows.map(|row| {
        let mut cells = row.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        Original {
            flag: cell(),
            kind: cell(),
            default: cell(),
        }
    })
    .collect()
}

fn defaults() -> Value {
    serde_json::to_value(Config::default()).expect("the configuration is JSON")
}

fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |node, key| node.get(key))
}

fn leaves(tree: &Value, path: &str, found: &mut BTreeSet<String>) {
    match tree {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &path, found);
            }
        }
        _ => assert!(found.insert(path.to_owned())),
    }
}

/// Reads a default as the original prints it: texts in quotes, nothing for nothing.
fn read_default(setting: &Setting, printed: &str) -> Value {
    let text = match printed.trim_matches('"') {
        "<hostname>" | "[<private network interfaces>]" => "",
        text => text,
    };
    let text = match (text, setting.kind) {
        ("", Kind::Bool) => "false",
        ("", Kind::Uint(_) | Kind::Int | Kind::Float | Kind::Duration) => "0",
        (text, _) => text,
    };
    let value = setting.kind.parse(text);
    value.unwrap_or_else(|e| panic!("-{}: {e}", setting.flag))
}

#[test]
fn every_flag_of_the_original_is_known_with_its_type() {
    let originals = originals();
    assert_eq!(originals.len(), 486);
    for original in originals {
        let setting =
            by_flag(original.flag).unwrap_or_else(|| panic!("-{} is unknown", original.flag));
        let fits = match original.kind {
            "bool" => setting.kind == Kind::Bool,
            "int" | "uint" => matches!(setting.kind, Kind::Int | Kind::Uint(_)),
            "float" => setting.kind == Kind::Float,
            "duration" => setting.kind == Kind::Duration,
            "comma-separated-list-of-strings" => setting.kind.is_list(),
            "string" | "value" => !matches!(setting.kind, Kind::Bool | Kind::Int | Kind::Float),
            other => panic!("type {other} of -{} is new", original.flag),
        };
        assert!(
            fits,
            "-{} is {:?}, not {}",
            original.flag, setting.kind, original.kind
        );
    }
}

#[test]
fn defaults_are_those_of_the_original() {
    let defaults = defaults();
    for original in originals() {
        let setting = by_flag(original.flag).unwrap();
        let ours = match setting.effect {
            Effect::Sets => at(&defaults, setting.path).unwrap().clone(),
            Effect::Refused { unless } => setting.kind.parse(unless).unwrap(),
            Effect::Starts | Effect::Ignored => continue,
        };
        assert_eq!(
            ours,
            read_default(&setting, original.default),
            "-{}",
            original.flag
        );
    }
}

#[test]
fn there_are_no_flags_beyond_the_originals_and_our_own() {
    let known: BTreeSet<_> = originals().iter().map(|o| o.flag).chain(OWN).collect();
    let ours: Vec<_> = all().map(|setting| setting.flag).collect();
    assert_eq!(ours.len(), known.len(), "a flag is in the table twice");
    assert_eq!(ours.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_field_has_one_flag_and_every_flag_its_field() {
    let mut fields = BTreeSet::new();
    leaves(&defaults(), "", &mut fields);
    let sets = all().filter(|setting| setting.effect == Effect::Sets);
    let paths: Vec<_> = sets.map(|setting| setting.path.to_owned()).collect();
    assert_eq!(paths.len(), fields.len(), "two flags set one field");
    assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), fields);
}

#[test]
fn no_key_is_given_twice_or_is_a_section_too() {
    let paths: Vec<_> = all()
        .map(|s| s.path)
        .filter(|path| !path.is_empty())
        .collect();
    let unique: BTreeSet<_> = paths.iter().copied().collect();
    assert_eq!(paths.len(), unique.len());
    for path in &unique {
        let below = format!("{path}.");
        assert!(
            !unique.iter().any(|other| other.starts_with(&below)),
            "{path}"
        );
        assert_eq!(by_path(path).unwrap().path, *path);
    }
}

#[test]
fn settings_with_a_meaning_are_explained_in_one_sentence() {
    for setting in all() {
        let explained = matches!(setting.effect, Effect::Sets | Effect::Starts);
        let is_explained = setting.help.ends_with('.');
        assert_eq!(is_explained, explained, "-{}", setting.flag);
        assert!(!setting.help.contains('|'), "-{}", setting.flag);
    }
}

#[test]
fn help_lists_what_it_should() {
    let (help, help_all) = (pyroscope_contract::help(), pyroscope_contract::help_all());
    for setting in all() {
        let line = |text: &str| {
            text.lines().any(|line| {
                line.strip_prefix("  -")
                    .and_then(|line| line.split(' ').next())
                    == Some(setting.flag)
            })
        };
        let useful = matches!(setting.effect, Effect::Sets | Effect::Starts);
        assert_eq!(line(&help), useful, "-{}", setting.flag);
        assert!(line(&help_all), "-{}", setting.flag);
    }
    assert!(help.contains("  -server.http-listen-port <int>\n        Port on which HTTP and gRPC (h2c) are served; 0 takes a free one. (default 4040)\n"));
}
