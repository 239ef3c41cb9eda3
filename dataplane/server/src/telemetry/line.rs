//! One log line: gathers fields and writes them as logfmt or JSON.

use std::{
    error::Error,
    fmt::{self, Write as _},
};

use contract::config::LogFormat;
use serde_json::{Map, Value};
use tracing::{
    Metadata,
    field::{Field, Visit},
};

/// Longest value in bytes; longer ones are cut, so that no input can flood the log.
const MOST_VALUE_BYTES: usize = 16 << 10;

/// Keys that are the same in every line.
const STABLE: [&str; 4] = ["ts", "level", "target", "msg"];

/// Fields of a span or an event, in the order in which they were recorded.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

/// A line in the making.
pub(super) struct Line(Map<String, Value>);

impl Line {
    /// Starts with the stable keys; the message comes with the event's fields.
    pub(super) fn new(now: &jiff::Timestamp, metadata: &Metadata<'_>) -> Self {
        let mut keys = Map::new();
        keys.insert("ts".to_owned(), Value::from(format!("{now:.6}")));
        let level = metadata.level().as_str().to_ascii_lowercase();
        keys.insert("level".to_owned(), Value::from(level));
        keys.insert("target".to_owned(), Value::from(metadata.target()));
        keys.insert("msg".to_owned(), Value::from(""));
        Self(keys)
    }

    /// Adds fields over those of the same names.
    pub(super) fn add(&mut self, fields: &Fields) {
        for (name, value) in &fields.0 {
            self.0.insert(name.clone(), value.clone());
        }
    }

    /// Returns the line with its newline.
    pub(super) fn render(&self, format: LogFormat) -> String {
        let mut line = match format {
            LogFormat::Json => Value::Object(self.0.clone()).to_string(),
            LogFormat::Logfmt => self.logfmt(),
        };
        line.push('\n');
        line
    }

    fn logfmt(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.0 {
            if !line.is_empty() {
                line.push(' ');
            }
            let _ = match value {
                Value::String(text) => write!(line, "{name}={}", quoted(text)),
                value => write!(line, "{name}={value}"),
            };
        }
        line
    }
}

/// Quotes a text as JSON does if it is empty or has characters that logfmt gives a meaning.
fn quoted(text: &str) -> String {
    let special = |c: char| c <= ' ' || matches!(c, '=' | '"' | '\\' | '\u{7f}'..='\u{9f}');
    if text.is_empty() || text.contains(special) {
        Value::from(text).to_string()
    } else {
        text.to_owned()
    }
}

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        let name = match field.name() {
            "message" => "msg".to_owned(),
            name if STABLE.contains(&name) => format!("{name}_"),
            name => name.to_owned(),
        };
        self.0.insert(name, value.into());
    }

    fn insert_text(&mut self, field: &Field, mut text: String) {
        if text.len() > MOST_VALUE_BYTES {
            text.truncate(text.floor_char_boundary(MOST_VALUE_BYTES));
            text.push('…');
        }
        self.insert(field, text);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.insert(field, value);
        } else {
            // JSON has no such numbers.
            self.insert(field, value.to_string());
        }
    }

    /// Writes an error with what caused it, each after a colon.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.insert_text(field, text);
    }
}
