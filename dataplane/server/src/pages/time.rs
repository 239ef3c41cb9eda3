//! Times on pages.

use jiff::{Timestamp, tz::TimeZone};

/// What Go writes for a time that was never set.
const YEAR_ONE: &str = "0001-01-01T00:00:00Z";

/// Writes Unix seconds.
pub(super) fn rfc3339(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| unix.to_string(), |time| time.to_string())
}

/// Writes Unix milliseconds.
pub(super) fn rfc3339_of_ms(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| unix_ms.to_string(), |time| time.to_string())
}

/// Writes Unix seconds, or the time that Go's clients read as none.
pub(super) fn or_year_one(unix: i64) -> String {
    if unix == 0 {
        YEAR_ONE.to_owned()
    } else {
        rfc3339(unix)
    }
}

/// Writes Unix seconds, or nothing.
pub(super) fn if_known(unix: i64) -> String {
    if unix == 0 {
        String::new()
    } else {
        rfc3339(unix)
    }
}

/// Writes the time of day (UTC) of Unix seconds.
pub(super) fn of_day(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(
        |_| unix.to_string(),
        |time| {
            time.to_zoned(TimeZone::UTC)
                .strftime("%H:%M:%S")
                .to_string()
        },
    )
}

/// Writes a number of seconds as hours, minutes and seconds.
pub(super) fn seconds(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let total = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_in_go() {
        let cases = [(0, "0s"), (61, "1m1s"), (3600, "1h0m0s"), (-5, "-5s")];
        for (given, want) in cases {
            assert_eq!(seconds(given), want);
        }
        assert_eq!(of_day(3_661), "01:01:01");
        assert_eq!(or_year_one(0), "0001-01-01T00:00:00Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
