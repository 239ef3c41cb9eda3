//! Durations are written as Go writes them and read as Go and Prometheus read them.

use std::time::Duration as StdDuration;

use pyroscope_contract::Duration;
use pyroscope_contract::duration::ParseDurationError;

#[test]
fn texts_of_go_and_prometheus_are_read() {
    let known = [
        ("0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("1.5us", 1_500),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("250ms", 250_000_000),
        (".5s", 500_000_000),
        ("5s", 5_000_000_000),
        ("+5s", 5_000_000_000),
        ("1h0m0s", 3_600_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1d", 86_400_000_000_000),
        ("1w2d", 777_600_000_000_000),
        ("1y", 31_536_000_000_000_000),
        ("0.000000001s", 1),
        ("0.00000000099999999999999999999s", 0),
        ("2562047h47m16.854775807s", i64::MAX as u64),
    ];
    for (text, nanos) in known {
        assert_eq!(
            text.parse(),
            Ok(Duration::from(StdDuration::from_nanos(nanos))),
            "{text}"
        );
    }
}

#[test]
fn other_texts_are_refused_with_what_is_wrong() {
    use ParseDurationError::{Empty, Negative, Number, TooLong, Unit};
    let known = [
        ("", Empty),
        (" ", Empty),
        ("+", Number),
        ("s", Number),
        (".s", Number),
        ("1.2.3s", Number),
        ("5", Unit),
        ("5 s", Unit),
        ("5x", Unit),
        ("1h5", Unit),
        ("1S", Unit),
        ("-1s", Negative),
        ("-0s", Negative),
        ("2562047h47m16.854775808s", TooLong),
        ("99999999999999999999s", TooLong),
        ("300y", TooLong),
    ];
    for (text, error) in known {
        assert_eq!(text.parse::<Duration>(), Err(error), "{text}");
    }
}

#[test]
fn durations_are_written_as_go_writes_them() {
    let known = [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_000_000_000, "5h6m7s"),
        (3_600_000_000_000, "1h0m0s"),
        (i64::MAX as u64, "2562047h47m16.854775807s"),
    ];
    for (nanos, text) in known {
        assert_eq!(
            Duration::from(StdDuration::from_nanos(nanos)).to_string(),
            text
        );
    }
}
