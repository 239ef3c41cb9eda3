//! The file format of speedscope: JSON with sampled or evented profiles
//! (<https://www.speedscope.app/file-format-schema.json>).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::stacks::{Frame, Header, ROOT, Rows, Stack, Stacks};
use super::{Column, Context, IngestError, Series};
use crate::pprof::Limits;

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// Label that tells apart the profiles of one file.
const PROFILE_NAME: &str = "profile_name";

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "$schema", default)]
    schema: String,
    #[serde(default)]
    shared: Shared,
    #[serde(default)]
    profiles: Vec<Profile>,
}

#[derive(Debug, Default, Deserialize)]
struct Shared {
    #[serde(default)]
    frames: Vec<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    r#type: Type,
    #[serde(default)]
    name: String,
    unit: Unit,
    #[serde(default)]
    start_value: f64,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    samples: Vec<Vec<u32>>,
    #[serde(default)]
    weights: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Evented,
    Sampled,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Event {
    r#type: Edge,
    at: f64,
    frame: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Edge {
    #[serde(rename = "O")]
    Open,
    #[serde(rename = "C")]
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    None,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
}

impl Unit {
    /// Nanoseconds in a unit of time.
    fn nanoseconds(self) -> Option<f64> {
        match self {
            Self::Nanoseconds => Some(1.0),
            Self::Microseconds => Some(1e3),
            Self::Milliseconds => Some(1e6),
            Self::Seconds => Some(1e9),
            Self::None | Self::Bytes => None,
        }
    }

    /// Returns the column of values of this unit and what they are multiplied
    /// by. A file with more than one profile says by their units what they are.
    fn column(self, context: &Context, alone: bool) -> Result<(Column, f64), IngestError> {
        if alone {
            Column::of(context)?;
        }
        let named = context.name.split_type().1;
        let kind = named.unwrap_or(match self {
            Self::Bytes => "bytes",
            Self::None => "cpu",
            _ if alone => "cpu",
            _ => "wall",
        });
        // Values of time are exact, at whatever rate they were sampled.
        let nanoseconds = self.nanoseconds();
        let period = nanoseconds.map_or_else(|| context.period(), |_| 1);
        let column =
            Column::named(kind, period).ok_or_else(|| IngestError::UnknownType(kind.to_owned()))?;
        let factor = nanoseconds.unwrap_or_else(|| column.period.max(1) as f64);
        Ok((column, factor))
    }
}

/// Parses a file; profiles of one name and unit are added up.
///
/// # Errors
/// JSON of another form, frames that do not exist, events out of order, negative
/// weights, an unknown profile type, or a profile beyond the limits.
pub fn parse(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    let file: File = serde_json::from_slice(body)
        .map_err(|error| IngestError::Malformed(format!("speedscope: {error}")))?;
    if file.schema != SCHEMA {
        let shown: String = file.schema.chars().take(128).collect();
        return malformed(format!("unknown schema {shown:?}"));
    }
    let mut stacks = Stacks::new(limits);
    let mut frames = Vec::with_capacity(file.shared.frames.len());
    for function in &file.shared.frames {
        let name = stacks.name(&function.name)?;
        frames.push(Frame { name, line: 0 });
    }
    let alone = file.profiles.len() == 1;
    let mut merged: BTreeMap<(&str, Unit), (Column, Rows<()>)> = BTreeMap::new();
    for profile in &file.profiles {
        let (column, factor) = profile.unit.column(context, alone)?;
        let (_, rows) = merged
            .entry((&profile.name, profile.unit))
            .or_insert_with(|| (column, Rows::new(limits)));
        let mut sum = Sum {
            stacks: &mut stacks,
            frames: &frames,
            rows,
            factor,
        };
        match profile.r#type {
            Type::Sampled => sum.sampled(profile)?,
            Type::Evented => sum.evented(profile)?,
        }
    }
    let merged = merged.into_iter();
    let series = merged.filter(|(_, (_, rows))| !rows.is_empty());
    series
        .map(|((name, _), (column, rows))| one(context, &column, &stacks, &rows, name, limits))
        .collect()
}

fn one(
    context: &Context,
    column: &Column,
    stacks: &Stacks,
    rows: &Rows<()>,
    name: &str,
    limits: &Limits,
) -> Result<Series, IngestError> {
    let header = Header {
        sample_types: &[(column.sample_type, column.unit)],
        period_type: column.period_type(),
        period: column.period,
        start: context.start,
        end: context.end,
    };
    let labels = context.series_labels(column.metric)?;
    Ok(Series {
        labels: labels.with(PROFILE_NAME, name),
        profile: stacks.profile(&header, rows, |()| Vec::new(), limits)?,
    })
}

fn malformed<T>(reason: String) -> Result<T, IngestError> {
    Err(IngestError::Malformed(format!("speedscope: {reason}")))
}

/// One profile on its way into the sum.
struct Sum<'s> {
    stacks: &'s mut Stacks,
    frames: &'s [Frame],
    rows: &'s mut Rows<()>,
    factor: f64,
}

impl Sum<'_> {
    fn sampled(&mut self, profile: &Profile) -> Result<(), IngestError> {
        let (samples, weights) = (profile.samples.len(), profile.weights.len());
        if samples != weights {
            return malformed(format!("{samples} samples have {weights} weights"));
        }
        for (sample, weight) in profile.samples.iter().zip(&profile.weights) {
            if *weight < 0.0 {
                return malformed(format!("negative weight {weight}"));
            }
            let mut stack = ROOT;
            for index in sample {
                let frame = self.frame(*index)?;
                stack = self.stacks.child(stack, frame)?;
            }
            self.add(stack, *weight)?;
        }
        Ok(())
    }

    fn evented(&mut self, profile: &Profile) -> Result<(), IngestError> {
        let mut last = profile.start_value;
        let mut open: Vec<(u32, Stack)> = Vec::new();
        for event in &profile.events {
            if event.at < last {
                return malformed(format!("events out of order: {} after {last}", event.at));
            }
            let frame = self.frame(event.frame)?;
            let stack = open.last().map_or(ROOT, |(_, stack)| *stack);
            if stack != ROOT {
                self.add(stack, event.at - last)?;
            }
            match event.r#type {
                Edge::Open => open.push((event.frame, self.stacks.child(stack, frame)?)),
                Edge::Close => match open.pop() {
                    Some((index, _)) if index == event.frame => {}
                    _ => return malformed(format!("frame {} closes but is not open", event.frame)),
                },
            }
            last = event.at;
        }
        Ok(())
    }

    fn add(&mut self, stack: Stack, weight: f64) -> Result<(), IngestError> {
        // The conversion saturates; the format has no infinities.
        let value = (weight * self.factor).round() as i64;
        self.rows.add(stack, (), [value, 0])
    }

    fn frame(&self, index: u32) -> Result<Frame, IngestError> {
        match self.frames.get(index as usize) {
            Some(frame) => Ok(*frame),
            None => malformed(format!("there is no frame {index}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, folded};
    use super::*;
    use serde_json::{Value, json};

    fn file(profiles: Value) -> Vec<u8> {
        let frames = json!([{"name": "a"}, {"name": "b", "file": "x.c", "line": 3}, {"name": "c"}]);
        json!({"$schema": SCHEMA, "shared": {"frames": frames}, "profiles": profiles})
            .to_string()
            .into_bytes()
    }

    fn sampled(unit: &str, weight: f64) -> Value {
        json!({"type": "sampled", "name": "p", "unit": unit, "startValue": 0, "endValue": 9,
            "samples": [[0, 1], [0]], "weights": [weight, 0]})
    }

    fn parsed(profiles: Value, name: &str) -> Result<Vec<String>, String> {
        let series = parse(&file(profiles), &context(name), &Limits::default());
        series
            .map(|series| folded(&series))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn times_become_nanoseconds_exactly() {
        for (unit, nanoseconds) in [
            ("nanoseconds", 3),
            ("microseconds", 3_000),
            ("milliseconds", 3_000_000),
            ("seconds", 3_000_000_000_i64),
            // Samples at the rate of the request.
            ("none", 30_000_000),
        ] {
            for name in ["app", "app.cpu"] {
                assert_eq!(
                    parsed(json!([sampled(unit, 3.0)]), name).unwrap(),
                    [format!("process_cpu cpu:nanoseconds a;b {nanoseconds}")],
                    "{unit}"
                );
            }
        }
        assert_eq!(
            parsed(json!([sampled("seconds", 0.5)]), "app.wall").unwrap(),
            ["wall wall:nanoseconds a;b 500000000"]
        );
        assert_eq!(
            parsed(json!([sampled("bytes", 5.0)]), "app").unwrap(),
            ["memory samples:bytes a;b 5"]
        );
        assert_eq!(
            parsed(json!([sampled("bytes", 5.0)]), "app.inuse_space").unwrap(),
            ["memory inuse_space:bytes a;b 5"]
        );
        assert!(parsed(json!([sampled("seconds", 1.0)]), "my.app").is_err());
    }

    #[test]
    fn events_give_each_stack_its_own_time() {
        let event =
            |kind: &str, frame: u32, at: f64| json!({"type": kind, "frame": frame, "at": at});
        let profile = json!({"type": "evented", "name": "", "unit": "milliseconds", "startValue": 1, "endValue": 9,
            "events": [event("O", 0, 1.0), event("O", 1, 3.0), event("C", 1, 6.0), event("O", 2, 6.0),
                       event("C", 2, 7.0), event("C", 0, 9.0)]});
        assert_eq!(
            parsed(json!([profile]), "app").unwrap(),
            [
                "process_cpu cpu:nanoseconds a 4000000",
                "process_cpu cpu:nanoseconds a;b 3000000",
                "process_cpu cpu:nanoseconds a;c 1000000",
            ]
        );
    }

    #[test]
    fn profiles_of_one_name_and_unit_are_added_up() {
        let mut other = sampled("bytes", 7.0);
        other["name"] = json!("q");
        let profiles = json!([sampled("seconds", 1.0), sampled("seconds", 2.0), other]);
        let series = parse(&file(profiles), &context("app"), &Limits::default()).unwrap();
        assert_eq!(
            folded(&series),
            [
                "wall wall:nanoseconds a;b 3000000000",
                "memory samples:bytes a;b 7"
            ]
        );
        assert_eq!(series[0].labels.get("profile_name"), Some("p"));
        assert_eq!(series[1].labels.get("profile_name"), Some("q"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let event =
            |kind: &str, frame: u32, at: f64| json!({"type": kind, "frame": frame, "at": at});
        let evented = |events: Value| json!({"type": "evented", "unit": "none", "events": events});
        for (profile, want) in [
            (
                json!({"type": "sampled", "unit": "none", "samples": [[0]], "weights": []}),
                "1 samples have 0 weights",
            ),
            (
                json!({"type": "sampled", "unit": "none", "samples": [[3]], "weights": [1]}),
                "there is no frame 3",
            ),
            (
                json!({"type": "sampled", "unit": "none", "samples": [[0]], "weights": [-1]}),
                "negative weight -1",
            ),
            (
                json!({"type": "sampled", "unit": "parsec"}),
                "unknown variant `parsec`",
            ),
            (
                evented(json!([event("C", 0, 1.0)])),
                "closes but is not open",
            ),
            (
                evented(json!([event("O", 0, 1.0), event("C", 1, 2.0)])),
                "closes but is not open",
            ),
            (
                evented(json!([event("O", 0, 2.0), event("C", 0, 1.0)])),
                "events out of order",
            ),
        ] {
            let error = parsed(json!([profile]), "app").unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let other = br#"{"$schema": "x", "profiles": []}"#;
        let error = parse(other, &context("app"), &Limits::default()).unwrap_err();
        assert!(
            error.is_malformed() && error.to_string().contains("unknown schema"),
            "{error}"
        );
    }
}
