//! Settings told to people: `-help`, `-help-all` and the reference page.

use std::fmt::Write;

use serde_json::Value;

use crate::config::Config;
use crate::kind::Kind;
use crate::layers;
use crate::settings::{self, Effect, Setting};

/// Returns what `-help` prints: the flags with a meaning here.
pub fn help() -> String {
    let mut text = intro();
    for setting in useful() {
        text.push_str(&entry(&setting));
    }
    text.push_str("\nFlags of Grafana Pyroscope without a meaning here: see -help-all.\n");
    text
}

/// Returns what `-help-all` prints: every flag.
pub fn help_all() -> String {
    let mut text = intro();
    for setting in useful() {
        text.push_str(&entry(&setting));
    }
    text.push_str("\nFlags of Grafana Pyroscope that are not supported yet and are refused:\n");
    for setting in with(|effect| matches!(effect, Effect::Refused { .. })) {
        let _ = writeln!(text, "  -{}", setting.flag);
    }
    text.push_str("\nFlags of Grafana Pyroscope that are taken with a warning and do nothing:\n");
    for setting in with(|effect| effect == Effect::Ignored) {
        let _ = writeln!(text, "  -{}", setting.flag);
    }
    text
}

/// Returns the reference page of all settings, in Markdown.
pub fn reference() -> String {
    let mut page = REFERENCE_INTRO.to_owned();
    page.push_str("| Flag | YAML key | Type | Default | Meaning |\n|---|---|---|---|---|\n");
    for setting in useful() {
        page.push_str(&row(&setting));
    }
    page.push_str(REFERENCE_REFUSED);
    page.push_str("| Flag | YAML key |\n|---|---|\n");
    for setting in with(|effect| matches!(effect, Effect::Refused { .. })) {
        let _ = writeln!(page, "| `-{}` | `{}` |", setting.flag, setting.path);
    }
    page.push_str(REFERENCE_IGNORED);
    page.push_str("| Flag | YAML key | In its place |\n|---|---|---|\n");
    for setting in with(|effect| effect == Effect::Ignored) {
        let path = code(setting.path);
        let _ = writeln!(page, "| `-{}` | {path} | {} |", setting.flag, setting.help);
    }
    page
}

const REFERENCE_INTRO: &str = "\
# Configuration

<!-- Generated from the table of settings; `make gen` writes it anew. -->

`pyroscope` is configured by flags and by a YAML file (`-config.file`). Flags win over the file,
the file wins over the defaults. Names and defaults are those of Grafana Pyroscope v1.

- `-flag=value`, `-flag value` and `--flag=value` are the same; a bool flag alone is true.
- Durations are written `30s`, `1h30m`, `1d`, `0`. Sizes are whole bytes unless the name says MB.
- With `-config.expand-env`, `${VAR}` in the file becomes the environment variable `VAR`, and
  `${VAR:default}` or `${VAR:-default}` falls back; `$${` stands for `${` itself.
- A dot in a YAML key is one level: `server.log_level` is `server: {log_level: …}`.
- `-config.verify` checks flags and file and ends; anything wrong ends the program with code 2.

## Settings

";

const REFERENCE_REFUSED: &str = "
## Not supported yet

These settings of Grafana Pyroscope would be dangerous to ignore. They are refused unless they
have the value that asks for nothing.

";

const REFERENCE_IGNORED: &str = "
## Without effect

These settings of Grafana Pyroscope are taken with a warning and do nothing here. Sections of the
YAML file for components and object stores that are not part of this version (`compactor`,
`store_gateway`, `storage.swift`, …) are taken as a whole.

";

fn intro() -> String {
    "\
Usage: pyroscope [flags]

Stores continuous profiles and answers queries about them. Without flags it runs every
component in one process, listens on port 4040 and keeps its data in ./data.

Flags:
"
    .to_owned()
}

fn entry(setting: &Setting) -> String {
    let value = match setting.kind {
        Kind::Bool => String::new(),
        kind => format!(" <{}>", kind.word()),
    };
    let default = match default_of(setting).as_str() {
        "" | "false" => String::new(),
        default => format!(" (default {default})"),
    };
    format!(
        "  -{}{value}\n        {}{default}\n",
        setting.flag, setting.help
    )
}

fn row(setting: &Setting) -> String {
    format!(
        "| `-{}` | {} | {} | {} | {} |\n",
        setting.flag,
        code(setting.path),
        setting.kind.word(),
        code(&default_of(setting)),
        setting.help
    )
}

fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{text}`"),
    }
}

fn useful() -> impl Iterator<Item = Setting> {
    with(|effect| matches!(effect, Effect::Sets | Effect::Starts))
}

fn with(wanted: impl Fn(Effect) -> bool) -> impl Iterator<Item = Setting> {
    let mut found: Vec<Setting> = settings::all()
        .filter(|setting| wanted(setting.effect))
        .collect();
    found.sort_by_key(|setting| setting.flag);
    found.into_iter()
}

/// Returns the default as text, empty when there is none.
fn default_of(setting: &Setting) -> String {
    let tree = layers::to_json(&Config::default());
    let value = setting
        .path
        .split('.')
        .try_fold(&tree, |node, key| node.get(key));
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64() {
            // 4.0 is written 4.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        Some(Value::Bool(value)) => value.to_string(),
        _ => String::new(),
    }
}
