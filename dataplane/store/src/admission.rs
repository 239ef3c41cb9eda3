//! Which series of a tenant are active, and whether there may be more.

use std::collections::HashMap;

use profile::Labels;

/// A series is forgotten after this long without a profile, in milliseconds.
const SILENCE: u64 = 10 * 60 * 1000;
/// Forgetting goes through all series, so not more often than this, in
/// milliseconds.
const FORGET_EVERY: u64 = 1000;

/// The active series of a tenant. Time is milliseconds on any clock that does
/// not go back.
#[derive(Debug, Default)]
pub(crate) struct ActiveSeries {
    last: HashMap<Labels, u64>,
    forgot: Option<u64>,
}

/// A profile's series would exceed the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesLimit {
    pub(crate) active: usize,
    pub(crate) limit: usize,
}

impl ActiveSeries {
    /// Admits a profile of these series, all or none; a limit of 0 is none.
    pub(crate) fn admit<'a>(
        &mut self,
        series: impl Iterator<Item = &'a Labels> + Clone,
        limit: usize,
        now: u64,
    ) -> Result<(), SeriesLimit> {
        if limit != 0 && self.exceeds(limit, series.clone()) {
            self.forget(now);
            if self.exceeds(limit, series.clone()) {
                return Err(SeriesLimit {
                    active: self.last.len(),
                    limit,
                });
            }
        }
        for labels in series {
            self.touch(labels, now);
        }
        Ok(())
    }

    /// Counts a series as active, whatever the limit.
    pub(crate) fn touch(&mut self, labels: &Labels, now: u64) {
        match self.last.get_mut(labels) {
            Some(last) => *last = now,
            None => drop(self.last.insert(labels.clone(), now)),
        }
    }

    /// Tells whether series that are not active yet exceed the limit. What is
    /// active may stay so when the limit is lowered.
    fn exceeds<'a>(&self, limit: usize, series: impl Iterator<Item = &'a Labels>) -> bool {
        let new = series
            .filter(|labels| !self.last.contains_key(*labels))
            .count();
        new > 0 && self.last.len() + new > limit
    }

    fn forget(&mut self, now: u64) {
        if self
            .forgot
            .is_some_and(|before| now.saturating_sub(before) < FORGET_EVERY)
        {
            return;
        }
        self.forgot = Some(now);
        self.last
            .retain(|_, last| now.saturating_sub(*last) < SILENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(names: &[&str]) -> Vec<Labels> {
        names
            .iter()
            .map(|name| Labels::new([("name", *name)]).unwrap())
            .collect()
    }

    #[test]
    fn silent_series_make_room() {
        let mut active = ActiveSeries::default();
        assert_eq!(active.admit(series(&["a", "b"]).iter(), 3, 0), Ok(()));
        let refused = Err(SeriesLimit {
            active: 2,
            limit: 3,
        });
        assert_eq!(active.admit(series(&["c", "d"]).iter(), 3, 1), refused);
        assert_eq!(active.admit(series(&["b", "c"]).iter(), 3, 5000), Ok(()));
        assert!(active.admit(series(&["d"]).iter(), 3, SILENCE - 1).is_err());
        assert_eq!(
            active.admit(series(&["d"]).iter(), 3, SILENCE + FORGET_EVERY),
            Ok(())
        );
        assert!(
            active
                .admit(series(&["e"]).iter(), 3, SILENCE + 2 * FORGET_EVERY)
                .is_err()
        );
    }

    #[test]
    fn known_series_are_admitted_at_the_limit() {
        let mut active = ActiveSeries::default();
        assert_eq!(active.admit(series(&["a"]).iter(), 1, 0), Ok(()));
        assert_eq!(active.admit(series(&["a"]).iter(), 1, 1), Ok(()));
        assert_eq!(active.admit(series(&["b"]).iter(), 0, 1), Ok(()));
        assert_eq!(active.admit(series(&["a", "b"]).iter(), 1, 2), Ok(()));
    }
}
