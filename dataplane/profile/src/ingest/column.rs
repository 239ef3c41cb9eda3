//! Profile types by the last part of application names.

use super::{AppName, Context, IngestError};

/// What the one value of each stack means, in formats that do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Value of `__name__`.
    pub metric: &'static str,
    /// Type of the values.
    pub sample_type: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// Time between samples in nanoseconds, which a count is multiplied by; 0
    /// where values are not counts of time.
    pub period: i64,
}

/// Last part of the name, metric, sample type, unit. Where the type is empty,
/// values count samples of time.
const COLUMNS: [(&str, &str, &str, &str); 25] = [
    ("cpu", "process_cpu", "", ""),
    ("itimer", "process_cpu", "", ""),
    ("wall", "wall", "", ""),
    ("seconds", "wall", "", ""),
    ("milliseconds", "wall", "", ""),
    ("microseconds", "wall", "", ""),
    ("nanoseconds", "wall", "", ""),
    ("inuse_objects", "memory", "inuse_objects", "count"),
    ("inuse_space", "memory", "inuse_space", "bytes"),
    ("alloc_objects", "memory", "alloc_objects", "count"),
    ("alloc_space", "memory", "alloc_space", "bytes"),
    ("bytes", "memory", "samples", "bytes"),
    ("goroutines", "goroutine", "goroutines", "count"),
    ("mutex_count", "mutex", "contentions", "count"),
    ("mutex_duration", "mutex", "delay", "nanoseconds"),
    ("block_count", "block", "contentions", "count"),
    ("block_duration", "block", "delay", "nanoseconds"),
    ("lock_count", "block", "contentions", "count"),
    ("lock_duration", "block", "delay", "nanoseconds"),
    ("live", "memory", "live", "count"),
    ("exceptions", "exceptions", "samples", "count"),
    (
        "alloc_in_new_tlab_objects",
        "memory",
        "alloc_in_new_tlab_objects",
        "count",
    ),
    (
        "alloc_in_new_tlab_bytes",
        "memory",
        "alloc_in_new_tlab_bytes",
        "bytes",
    ),
    (
        "alloc_outside_tlab_objects",
        "memory",
        "alloc_outside_tlab_objects",
        "count",
    ),
    (
        "alloc_outside_tlab_bytes",
        "memory",
        "alloc_outside_tlab_bytes",
        "bytes",
    ),
];

impl Column {
    /// Returns what the name of a request says that its values are; a name of
    /// one part says `cpu`.
    ///
    /// # Errors
    /// A last part that is no profile type.
    pub fn of(context: &Context) -> Result<Self, IngestError> {
        let suffix = match context.name.name.rsplit_once('.') {
            Some((_, suffix)) => suffix,
            None => "cpu",
        };
        Self::named(suffix, context.period())
            .ok_or_else(|| IngestError::UnknownType(suffix.to_owned()))
    }

    /// Returns the type with this name. `period` is the time between samples in
    /// nanoseconds, 0 if it is not known.
    pub(super) fn named(suffix: &str, period: i64) -> Option<Self> {
        let (_, metric, sample_type, unit) = COLUMNS.iter().find(|(name, ..)| *name == suffix)?;
        let column = |sample_type, unit, period| Self {
            metric,
            sample_type,
            unit,
            period,
        };
        Some(match *sample_type {
            "" if period == 0 => column("samples", "count", 0),
            "" if *metric == "wall" => column("wall", "nanoseconds", period),
            "" => column("cpu", "nanoseconds", period),
            other => column(other, unit, 0),
        })
    }

    /// Type and unit of the period.
    pub(super) fn period_type(&self) -> Option<(&'static str, &'static str)> {
        (self.period != 0).then_some(("cpu", "nanoseconds"))
    }

    /// Returns the value of a stack that was counted this often.
    pub(super) fn scale(&self, count: u64) -> i64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        count.saturating_mul(self.period.max(1))
    }
}

impl AppName {
    /// Splits the name into the service and the profile type, if its last part
    /// is one.
    pub(super) fn split_type(&self) -> (&str, Option<&str>) {
        match self.name.rsplit_once('.') {
            Some((service, suffix))
                if !service.is_empty() && COLUMNS.iter().any(|(name, ..)| *name == suffix) =>
            {
                (service, Some(suffix))
            }
            _ => (&self.name, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, sample_rate: u32) -> Result<Column, String> {
        let context = Context {
            name: name.parse().unwrap(),
            spy_name: String::new(),
            sample_rate,
            start: 0,
            end: 0,
        };
        Column::of(&context).map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_part_of_a_name_is_the_type() {
        for (name, metric, sample_type, unit, period) in [
            ("app", "process_cpu", "cpu", "nanoseconds", 10_000_000),
            ("app.cpu", "process_cpu", "cpu", "nanoseconds", 10_000_000),
            (
                "a.b.itimer",
                "process_cpu",
                "cpu",
                "nanoseconds",
                10_000_000,
            ),
            ("app.wall", "wall", "wall", "nanoseconds", 10_000_000),
            ("app.inuse_space", "memory", "inuse_space", "bytes", 0),
            ("app.goroutines", "goroutine", "goroutines", "count", 0),
            ("app.mutex_count", "mutex", "contentions", "count", 0),
            ("app.lock_duration", "block", "delay", "nanoseconds", 0),
            ("app.live", "memory", "live", "count", 0),
            ("app.exceptions", "exceptions", "samples", "count", 0),
        ] {
            let want = Column {
                metric,
                sample_type,
                unit,
                period,
            };
            assert_eq!(column(name, 100), Ok(want), "{name}");
        }
        assert_eq!(column("app.cpu", 0).unwrap().sample_type, "samples");
        assert_eq!(
            column("my.app", 100).unwrap_err(),
            "pyroscopeIngesterAdapter failed to convert metadata: unknown profile type: app"
        );
    }

    #[test]
    fn counts_of_time_are_scaled_and_do_not_overflow() {
        let cpu = column("app", 100).unwrap();
        assert_eq!(cpu.scale(3), 30_000_000);
        assert_eq!(cpu.scale(u64::MAX), i64::MAX);
        assert_eq!(column("app.live", 100).unwrap().scale(3), 3);
    }
}
