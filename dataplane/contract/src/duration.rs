//! Durations as Go programs write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as StdDuration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time in the notation of Go and Prometheus: `1h30m`, `250ms`, `1d`, `0`.
///
/// Units are `ns`, `us` (`µs`), `ms`, `s`, `m`, `h`, `d` (24 h), `w` (7 d) and `y` (365 d);
/// numbers may have a fraction. Negative durations are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(StdDuration);

/// Why a text is not a [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// Nothing was given.
    #[error("a duration is empty; write for example 30s, 1h30m or 0")]
    Empty,
    /// A number is missing or is not a decimal number.
    #[error("a number is missing or malformed; write for example 30s, 1h30m or 0")]
    Number,
    /// A number has no unit or an unknown one.
    #[error("a number has no known unit; units are ns, us, ms, s, m, h, d, w, y")]
    Unit,
    /// The duration is below zero.
    #[error("a duration must not be negative")]
    Negative,
    /// The duration is longer than about 292 years, the longest that Go can hold.
    #[error("a duration must be shorter than 292 years")]
    TooLong,
}

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Units, longer names before those they start with.
const UNITS: [(&str, u64); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", HOUR),
    ("d", DAY),
    ("w", 7 * DAY),
    ("y", 365 * DAY),
];

impl Duration {
    /// No time at all; many settings read it as "off".
    pub const ZERO: Self = Self(StdDuration::ZERO);

    /// The longest that Go can hold, about 292 years; defaults of Grafana Pyroscope call it forever.
    pub const LONGEST: Self = Self(StdDuration::from_nanos(i64::MAX as u64));

    /// Returns a duration of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(StdDuration::from_millis(millis))
    }

    /// Returns a duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(StdDuration::from_secs(secs))
    }

    /// Returns the duration for use with std and tokio.
    pub const fn get(self) -> StdDuration {
        self.0
    }

    /// Returns whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<StdDuration> for Duration {
    fn from(duration: StdDuration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text {
            "" => return Err(ParseDurationError::Empty),
            "0" => return Ok(Self::ZERO),
            _ if text.starts_with('-') => return Err(ParseDurationError::Negative),
            _ => {}
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest.is_empty() {
            return Err(ParseDurationError::Number);
        }
        let mut nanos: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = parse_part(rest)?;
            nanos = nanos
                .checked_add(part)
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or(ParseDurationError::TooLong)?;
            rest = after;
        }
        Ok(Self(StdDuration::from_nanos(nanos)))
    }
}

/// Parses one number with its unit into nanoseconds; returns what follows it.
fn parse_part(text: &str) -> Result<(u64, &str), ParseDurationError> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or(ParseDurationError::Unit)?;
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(ParseDurationError::Number);
    }
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit_name, rest) = rest.split_at(unit_end);
    let (_, unit) = UNITS
        .iter()
        .find(|(name, _)| *name == unit_name)
        .ok_or(ParseDurationError::Unit)?;
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| ParseDurationError::TooLong)?,
    };
    let nanos = whole
        .checked_mul(*unit)
        .and_then(|nanos| nanos.checked_add(fraction_of(fraction, *unit)))
        .ok_or(ParseDurationError::TooLong)?;
    Ok((nanos, rest))
}

/// Returns the part of `unit` that the digits after the point stand for, rounded down.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    // Seventeen digits are finer than a nanosecond of any unit.
    let digits = &digits[..digits.len().min(17)];
    let numerator = digits
        .bytes()
        .fold(0u128, |value, digit| value * 10 + u128::from(digit - b'0'));
    let denominator = 10u128.pow(digits.len() as u32);
    u64::try_from(numerator * u128::from(unit) / denominator).unwrap_or(u64::MAX)
}

impl fmt::Display for Duration {
    /// Writes the duration as Go does: `1h0m0s`, `1m30s`, `1.5s`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let second = u128::from(SECOND);
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < 1_000 {
            return write!(f, "{nanos}ns");
        }
        if nanos < 1_000_000 {
            return write_decimal(f, nanos, 1_000, "µs");
        }
        if nanos < second {
            return write_decimal(f, nanos, 1_000_000, "ms");
        }
        let (minutes, seconds) = (nanos / (60 * second), nanos % (60 * second));
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        write_decimal(f, seconds, second, "s")
    }
}

/// Writes `value / unit` with as many decimals as it has.
fn write_decimal(f: &mut fmt::Formatter<'_>, value: u128, unit: u128, name: &str) -> fmt::Result {
    write!(f, "{}", value / unit)?;
    let (mut rest, mut scale) = (value % unit, unit / 10);
    if rest > 0 {
        f.write_str(".")?;
    }
    while rest > 0 {
        write!(f, "{}", rest / scale)?;
        rest %= scale;
        scale /= 10;
    }
    f.write_str(name)
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|e| de::Error::custom(format!("{text:?}: {e}")))
    }
}
