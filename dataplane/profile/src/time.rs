//! Points in time as clients write them. Everything is in Unix milliseconds.

/// Units of a relative time and their milliseconds; months and years are 30
/// and 365 days.
const UNITS: [(&str, i64); 9] = [
    ("ms", 1),
    ("s", 1000),
    ("m", MINUTE),
    ("min", MINUTE),
    ("h", 60 * MINUTE),
    ("d", DAY),
    ("w", 7 * DAY),
    ("M", 30 * DAY),
    ("y", 365 * DAY),
];
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Parses `now`, `now-1h30m`, `now+5m`, or Unix seconds, milliseconds,
/// microseconds or nanoseconds, told apart by their size; `now_ms` is the
/// present.
///
/// # Errors
/// Text of another form, or a time beyond what 64 bits hold.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, TimeError> {
    let trimmed = text.trim();
    let parsed = match trimmed.strip_prefix("now") {
        Some(offset) => relative(offset).and_then(|offset| now_ms.checked_add(offset)),
        None => absolute(trimmed),
    };
    parsed.ok_or_else(|| TimeError {
        text: text.chars().take(64).collect(),
    })
}

fn absolute(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = text.parse().ok()?;
    // Each bound is the year 5138 in its unit and before 1974 in the next.
    Some(match number {
        0..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1000,
        _ => number / 1_000_000,
    })
}

fn relative(offset: &str) -> Option<i64> {
    if offset.is_empty() {
        return Some(0);
    }
    match offset.split_at_checked(1)? {
        ("-", duration) => parse_duration(duration)?.checked_neg(),
        ("+", duration) => parse_duration(duration),
        _ => None,
    }
}

fn parse_duration(mut text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut sum = 0_i64;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, rest) = text.split_at(digits);
        let unit = rest.find(|c: char| c.is_ascii_digit());
        let (unit, rest) = rest.split_at(unit.unwrap_or(rest.len()));
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = number.parse::<i64>().ok()?.checked_mul(*millis)?;
        sum = sum.checked_add(part)?;
        text = rest;
    }
    Some(sum)
}

/// A text is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time {text:?} is neither \"now\", \"now-1h\" nor Unix seconds or milliseconds")]
pub struct TimeError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn forms_are_told_apart() {
        for (text, want) in [
            ("now", NOW),
            (" now ", NOW),
            ("now-1h", NOW - 3_600_000),
            ("now-1h30m", NOW - 5_400_000),
            ("now-15min", NOW - 900_000),
            ("now+5s", NOW + 5000),
            ("now-2d", NOW - 172_800_000),
            ("0", 0),
            ("1700000000", NOW),
            ("1700000000000", NOW),
            ("1700000000000000", NOW),
            ("1700000000000000000", NOW),
        ] {
            assert_eq!(parse(text, NOW), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now-",
            "now-h",
            "now-1",
            "now-1x",
            "now1h",
            "nowé",
            "-5",
            "1.5",
            "yesterday",
            "99999999999999999999",
            "now-9999999999999y",
        ] {
            let error = parse(text, NOW).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert!(parse("now-1s", i64::MIN).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(now)?[-+]?\\PC*", now: i64) {
            let _ = parse(&text, now);
        }
    }
}
