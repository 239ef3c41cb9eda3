//! Logging: one line per event on standard error, as logfmt or JSON.
//!
//! Every line has the keys `ts`, `level`, `target` and `msg`, then the fields of the spans
//! around the event, outermost first, then the event's own; the innermost of equal names wins.

mod line;

use std::io::{self, Write as _};

use contract::config::{Config, LogFormat, LogLevel};
use line::{Fields, Line};
use tracing::{
    Event, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::MakeWriter,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// Libraries that log each frame and each poll; below this they say nothing.
const CHATTY: [(&str, LevelFilter); 6] = [
    ("h2", LevelFilter::INFO),
    ("hickory_proto", LevelFilter::INFO),
    ("hickory_resolver", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("tower", LevelFilter::INFO),
];

/// Starts logging as the configuration says; does nothing when the process logs already.
pub fn init(config: &Config) {
    let lines = Lines {
        format: config.server.log_format,
        writer: io::stderr,
    };
    let lines = lines.with_filter(filter(config.server.log_level));
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let chatty = CHATTY.map(|(target, most)| (target, most.min(level)));
    Targets::new().with_default(level).with_targets(chatty)
}

/// Writes each event as one line.
struct Lines<W> {
    format: LogFormat,
    writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::new(&jiff::Timestamp::now(), event.metadata());
        let spans = context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root());
        for span in spans {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.add(fields);
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.add(&fields);
        // Where logging fails there is nowhere left to say so.
        let _ = self
            .writer
            .make_writer()
            .write_all(line.render(self.format).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        fmt,
        sync::{Arc, Mutex},
    };

    use serde_json::Value;
    use tracing::{debug, info, info_span, subscriber::with_default, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: LogLevel, say: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = Lines {
            format,
            writer: move || writer.clone(),
        };
        with_default(
            tracing_subscriber::registry().with(lines.with_filter(filter(level))),
            say,
        );
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot write the segment")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn say_everything() {
        let span = info_span!("push", tenant = "team a", series = tracing::field::Empty);
        let _entered = span.enter();
        span.record("series", 3);
        let error = Outer(io::Error::other("disk full"));
        let error: &(dyn Error + 'static) = &error;
        warn!(
            tenant = "b", rate = 0.5, ok = true, path = ?"x\"y", error, empty = "",
            level = 7, "two\nlines"
        );
    }

    #[test]
    fn logfmt_lines_have_stable_keys_and_quote_what_needs_it() {
        let lines = logged(LogFormat::Logfmt, LogLevel::Info, say_everything);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let (ts, rest) = lines[0].split_once(' ').unwrap();
        let ts = ts.strip_prefix("ts=").unwrap();
        assert!(
            ts.parse::<jiff::Timestamp>().is_ok() && ts.len() == 27,
            "{ts}"
        );
        assert_eq!(
            rest,
            "level=warn target=server::telemetry::tests msg=\"two\\nlines\" tenant=b series=3 \
             rate=0.5 ok=true path=\"\\\"x\\\\\\\"y\\\"\" \
             error=\"cannot write the segment: disk full\" empty=\"\" level_=7"
        );
    }

    #[test]
    fn json_lines_have_the_same_keys() {
        let lines = logged(LogFormat::Json, LogLevel::Info, say_everything);
        let mut line: Value = serde_json::from_str(&lines[0]).unwrap();
        let keys: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys[..4], ["ts", "level", "target", "msg"]);
        line.as_object_mut().unwrap().remove("ts");
        assert_eq!(
            line,
            serde_json::json!({
                "level": "warn", "target": "server::telemetry::tests", "msg": "two\nlines",
                "tenant": "b", "series": 3, "rate": 0.5, "ok": true, "path": "\"x\\\"y\"",
                "error": "cannot write the segment: disk full", "empty": "", "level_": 7,
            })
        );
    }

    #[test]
    fn the_level_leaves_out_what_is_below_it_and_libraries_stay_quiet() {
        let say = || {
            debug!("ours");
            debug!(target: "h2::codec", "frame");
            info!("known");
        };
        let at = |level| logged(LogFormat::Logfmt, level, say).len();
        let counts = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn].map(at);
        assert_eq!(counts, [2, 1, 0]);
    }

    #[test]
    fn a_long_value_is_cut() {
        let lines = logged(LogFormat::Json, LogLevel::Info, || {
            info!(body = "ä".repeat(1 << 20), "x")
        });
        assert!(lines[0].len() < 20_000, "{}", lines[0].len());
        assert!(lines[0].ends_with("…\"}"));
    }
}
