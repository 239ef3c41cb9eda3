//! What a query may ask for; pure.

use std::time::Duration;

use tonic::Status;

/// Limits of every query.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Longest time range; zero: any.
    pub max_query_length: Duration,
    /// How far back a range may reach, further ranges are cut; zero: any.
    pub max_query_lookback: Duration,
    /// Flame graph nodes when the query does not say.
    pub default_nodes: i64,
    /// Most flame graph nodes; zero: any.
    pub max_nodes: i64,
}

/// A time range in Unix milliseconds, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first millisecond.
    pub start: i64,
    /// The last millisecond.
    pub end: i64,
}

impl Range {
    /// Tells whether the range holds no time at all, as after a cut.
    pub(crate) fn is_empty(self) -> bool {
        self.start > self.end
    }
}

impl Limits {
    /// Checks the range of a query for profiles. A range outside of the
    /// lookback comes back empty.
    ///
    /// # Errors
    ///
    /// `invalid_argument` when the range is missing, reversed or too long.
    pub(crate) fn range(&self, start: i64, end: i64, now: i64) -> Result<Range, Status> {
        if start == 0 && end == 0 {
            return Err(Status::invalid_argument("missing time range in the query"));
        }
        if start > end {
            return Err(Status::invalid_argument(
                "query start time is after end time",
            ));
        }
        let length = Duration::from_millis(start.abs_diff(end));
        if !self.max_query_length.is_zero() && length > self.max_query_length {
            return Err(Status::invalid_argument(format!(
                "the query time range exceeds the limit (max_query_length, actual: {}, limit: {})",
                contract::duration::Duration::from(length),
                in_days(self.max_query_length)
            )));
        }
        Ok(Range {
            start: start.max(self.earliest(now)),
            end,
        })
    }

    /// Checks the range of a query for labels, where none means all times.
    ///
    /// # Errors
    ///
    /// As [`Self::range`], except for a missing range.
    pub(crate) fn label_range(&self, start: i64, end: i64, now: i64) -> Result<Range, Status> {
        if start == 0 && end == 0 {
            return Ok(Range {
                start: 0,
                end: i64::MAX,
            });
        }
        self.range(start, end, now)
    }

    fn earliest(&self, now: i64) -> i64 {
        if self.max_query_lookback.is_zero() {
            return i64::MIN;
        }
        let lookback = i64::try_from(self.max_query_lookback.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(lookback)
    }

    /// Decides how many nodes the flame graph gets.
    ///
    /// # Errors
    ///
    /// `invalid_argument` when more are asked for than allowed.
    pub(crate) fn nodes(&self, asked: Option<i64>) -> Result<usize, Status> {
        let nodes = asked
            .filter(|&nodes| nodes > 0)
            .unwrap_or(self.default_nodes);
        if self.max_nodes > 0 && nodes > self.max_nodes {
            return Err(Status::invalid_argument(format!(
                "max flamegraph nodes limit {nodes} is greater than allowed {}",
                self.max_nodes
            )));
        }
        Ok(usize::try_from(nodes).unwrap_or(usize::MAX))
    }
}

/// Writes a limit as it is configured: whole days as `7d`.
fn in_days(limit: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    if limit.subsec_nanos() == 0 && limit.as_secs().is_multiple_of(DAY) {
        format!("{}d", limit.as_secs() / DAY)
    } else {
        contract::duration::Duration::from(limit).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn limits() -> Limits {
        Limits {
            max_query_length: Duration::from_secs(24 * 3600),
            max_query_lookback: Duration::from_secs(7 * 24 * 3600),
            default_nodes: 8192,
            max_nodes: 1 << 20,
        }
    }

    fn refusal(start: i64, end: i64) -> String {
        limits()
            .range(start, end, NOW)
            .unwrap_err()
            .message()
            .to_owned()
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(refusal(0, 0), "missing time range in the query");
        assert_eq!(refusal(NOW, NOW - 1), "query start time is after end time");
        assert_eq!(
            refusal(NOW - 100 * HOUR - 60_000, NOW),
            "the query time range exceeds the limit (max_query_length, actual: 100h1m0s, limit: 1d)"
        );
        assert!(limits().range(i64::MIN, i64::MAX, NOW).is_err());
    }

    #[test]
    fn a_range_before_the_lookback_is_cut_without_an_error() {
        let oldest = NOW - 7 * 24 * HOUR;
        let range = limits().range(oldest - HOUR, oldest + HOUR, NOW).unwrap();
        assert_eq!(
            range,
            Range {
                start: oldest,
                end: oldest + HOUR
            }
        );
        assert!(
            limits()
                .range(oldest - 2 * HOUR, oldest - HOUR, NOW)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn labels_may_be_asked_without_a_range() {
        assert_eq!(
            limits().label_range(0, 0, NOW).unwrap(),
            Range {
                start: 0,
                end: i64::MAX
            }
        );
    }

    #[test]
    fn nodes_have_a_default_and_a_maximum() {
        assert_eq!(limits().nodes(None).unwrap(), 8192);
        assert_eq!(limits().nodes(Some(0)).unwrap(), 8192);
        assert_eq!(limits().nodes(Some(16)).unwrap(), 16);
        assert_eq!(
            limits().nodes(Some(2_097_152)).unwrap_err().message(),
            "max flamegraph nodes limit 2097152 is greater than allowed 1048576"
        );
    }
}
