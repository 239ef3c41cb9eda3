//! Time series from profile totals; pure.

use std::collections::BTreeMap;

use proto::{
    reader::v1::SelectResponse,
    types::v1::{LabelPair, Point, Series, TimeSeriesAggregationType},
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    assign::Key,
    growth::{self, Base, Bases},
};

/// Sum and count of the profiles of one step.
#[derive(Debug, Default, Clone, Copy)]
struct Step {
    sum: f64,
    count: u32,
}

/// Label names and values.
type Pairs = Vec<(String, String)>;

/// Collects totals of profiles, each profile once, into steps.
#[derive(Debug)]
pub(crate) struct SeriesBuilder {
    start: i64,
    step: i64,
    seen: FxHashSet<Key>,
    /// Profiles whose growth none of the holders so far has told, with their
    /// times.
    open: FxHashMap<Key, (i64, Pairs)>,
    series: BTreeMap<Pairs, BTreeMap<i64, Step>>,
}

impl SeriesBuilder {
    /// Creates an empty set of series with steps of `step` milliseconds (at
    /// least 1) from `start`.
    pub(crate) fn new(start: i64, step: i64) -> Self {
        Self {
            start,
            step: step.max(1),
            seen: FxHashSet::default(),
            open: FxHashMap::default(),
            series: BTreeMap::new(),
        }
    }

    /// Adds what one holder has. Growth counts that is since the profile before;
    /// none at all is no point.
    pub(crate) fn add(&mut self, held: &SelectResponse, bases: &Bases) {
        let labels: Vec<Pairs> = held
            .series
            .iter()
            .map(|series| {
                series
                    .names
                    .iter()
                    .cloned()
                    .zip(series.values.iter().cloned())
                    .collect()
            })
            .collect();
        let columns = held.totals.iter().zip(&held.series_index);
        for ((profile, known), (&total, &index)) in growth::held(held).zip(columns) {
            let base = bases.of(&profile.key);
            let Some(labels) = labels.get(index as usize) else {
                continue;
            };
            if base == Base::Unknown || self.seen.contains(&profile.key) {
                continue;
            }
            if base != known {
                let labels = || (profile.timestamp, labels.clone());
                self.open.entry(profile.key).or_insert_with(labels);
                continue;
            }
            self.seen.insert(profile.key);
            self.open.remove(&profile.key);
            if total != 0 || base == Base::None {
                self.count(labels, profile.timestamp, total);
            }
        }
    }

    /// Returns the profiles whose growth no holder has told.
    pub(crate) fn open(&self) -> FxHashSet<Key> {
        self.open.keys().copied().collect()
    }

    /// Adds the growth of such a profile.
    pub(crate) fn close(&mut self, key: &Key, total: i64) {
        let open = self.open.remove(key);
        if let Some((timestamp, labels)) = open.filter(|_| total != 0) {
            self.count(&labels, timestamp, total);
        }
    }

    fn count(&mut self, labels: &[(String, String)], timestamp: i64, total: i64) {
        let step = self.step_of(timestamp);
        let steps = match self.series.get_mut(labels) {
            Some(steps) => steps,
            None => self.series.entry(labels.to_vec()).or_default(),
        };
        let step = steps.entry(step).or_default();
        step.count += 1;
        step.sum += total as f64;
    }

    /// Returns the end of the step that `time` falls into.
    fn step_of(&self, time: i64) -> i64 {
        let offset = time.saturating_sub(self.start).max(0);
        let steps = offset / self.step + i64::from(offset % self.step != 0);
        self.start.saturating_add(steps.saturating_mul(self.step))
    }

    /// Returns the series ordered by their labels, at most `limit` of them
    /// (those with the greatest sums) when it is given.
    pub(crate) fn finish(
        self,
        aggregation: TimeSeriesAggregationType,
        limit: Option<usize>,
    ) -> Vec<Series> {
        let mut series: Vec<(Series, f64)> = self
            .series
            .into_iter()
            .map(|(labels, steps)| {
                let sum = steps.values().map(|step| step.sum).sum();
                (proto_series(labels, steps, aggregation), sum)
            })
            .collect();
        if let Some(limit) = limit.filter(|&limit| limit > 0 && limit < series.len()) {
            series.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            series.truncate(limit);
        }
        series.into_iter().map(|(series, _)| series).collect()
    }
}

fn proto_series(
    labels: Pairs,
    steps: BTreeMap<i64, Step>,
    aggregation: TimeSeriesAggregationType,
) -> Series {
    let value = |step: &Step| match aggregation {
        TimeSeriesAggregationType::Sum => step.sum,
        TimeSeriesAggregationType::Average => step.sum / f64::from(step.count),
    };
    Series {
        labels: labels
            .into_iter()
            .map(|(name, value)| LabelPair { name, value })
            .collect(),
        points: steps
            .iter()
            .map(|(&timestamp, step)| Point {
                value: value(step),
                timestamp,
                annotations: Vec::new(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proto::reader::v1::{Run, SeriesLabels};

    use super::*;

    fn held(profiles: &[(u8, i64, i64)]) -> SelectResponse {
        SelectResponse {
            keys: profiles
                .iter()
                .flat_map(|&(key, ..)| [key; 16])
                .collect::<Vec<u8>>()
                .into(),
            timestamps: profiles.iter().map(|&(_, time, _)| time).collect(),
            totals: profiles.iter().map(|&(.., total)| total).collect(),
            series_index: vec![0; profiles.len()],
            series: vec![SeriesLabels {
                names: vec!["pod".into()],
                values: vec!["a".into()],
            }],
            runs: Vec::new(),
        }
    }

    /// The same, of a counter of which something is known before.
    fn growing(profiles: &[(u8, i64, i64)]) -> SelectResponse {
        let run = Run {
            count: profiles.len() as u32,
            base: vec![0; 16].into(),
            ..Run::default()
        };
        SelectResponse {
            runs: vec![run],
            ..held(profiles)
        }
    }

    fn builder(start: i64, answers: &[&SelectResponse]) -> SeriesBuilder {
        let mut builder = SeriesBuilder::new(start, 100);
        let bases = Bases::new(answers.iter().copied());
        answers.iter().for_each(|held| builder.add(held, &bases));
        builder
    }

    fn points(series: &[Series]) -> Vec<(i64, f64)> {
        series[0]
            .points
            .iter()
            .map(|point| (point.timestamp, point.value))
            .collect()
    }

    #[test]
    fn replicas_count_once_and_points_lie_on_steps_from_the_start() {
        let first = held(&[(1, 1000, 5), (2, 1001, 7), (3, 1100, 1), (4, 1101, 2)]);
        let second = held(&[(1, 1000, 5), (4, 1101, 2)]);
        let builder = builder(1000, &[&first, &second]);
        let series = builder.finish(TimeSeriesAggregationType::Sum, None);
        assert_eq!(points(&series), [(1000, 5.0), (1100, 8.0), (1200, 2.0)]);
    }

    #[test]
    fn growth_since_a_profile_that_a_holder_lacks_does_not_count_twice() {
        let (lacking, whole) = (growing(&[(2, 60, 9)]), growing(&[(1, 50, 4), (2, 60, 5)]));
        for answers in [[&lacking, &whole], [&whole, &lacking]] {
            let builder = builder(0, &answers);
            assert!(builder.open().is_empty());
            let series = builder.finish(TimeSeriesAggregationType::Average, None);
            assert_eq!(points(&series), [(100, 4.5)]);
        }
    }

    #[test]
    fn growth_that_no_holder_has_told_is_open() {
        let (first, second) = (growing(&[(1, 50, 4)]), growing(&[(2, 60, 9)]));
        let mut builder = builder(0, &[&first, &second]);
        assert_eq!(builder.open(), [[2; 16]].into_iter().collect());
        builder.close(&[2; 16], 5);
        builder.close(&[2; 16], 5);
        let series = builder.finish(TimeSeriesAggregationType::Average, None);
        assert_eq!(points(&series), [(100, 4.5)]);
    }

    #[test]
    fn what_did_not_grow_is_no_point() {
        let still = growing(&[(1, 50, 4), (2, 60, 0), (3, 250, 0)]);
        let series = builder(0, &[&still]).finish(TimeSeriesAggregationType::Average, None);
        assert_eq!(points(&series), [(100, 4.0)]);
        let current = held(&[(1, 50, 4), (2, 60, 0)]);
        let series = builder(0, &[&current]).finish(TimeSeriesAggregationType::Average, None);
        assert_eq!(points(&series), [(100, 2.0)]);
    }

    #[test]
    fn an_average_is_over_the_profiles_of_a_step() {
        let builder = builder(0, &[&held(&[(1, 50, 5), (2, 60, 7)])]);
        let series = builder.finish(TimeSeriesAggregationType::Average, None);
        assert_eq!(points(&series), [(100, 6.0)]);
    }
}
