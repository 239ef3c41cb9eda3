//! Time series from profile totals; pure.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use proto::{
    reader::v1::SelectResponse,
    types::v1::{LabelPair, Point, Series, TimeSeriesAggregationType},
};

use super::assign::{Key, keys};

/// Sum and count of the profiles of one step.
#[derive(Debug, Default, Clone, Copy)]
struct Step {
    sum: f64,
    count: u32,
}

/// Collects totals of profiles, each profile once, into steps.
#[derive(Debug)]
pub(crate) struct SeriesBuilder {
    start: i64,
    step: i64,
    /// The total that each profile counts with.
    seen: HashMap<Key, i64, rustc_hash::FxBuildHasher>,
    series: BTreeMap<Vec<(String, String)>, BTreeMap<i64, Step>>,
}

impl SeriesBuilder {
    /// Creates an empty set of series with steps of `step` milliseconds (at
    /// least 1) from `start`.
    pub(crate) fn new(start: i64, step: i64) -> Self {
        Self {
            start,
            step: step.max(1),
            seen: HashMap::default(),
            series: BTreeMap::new(),
        }
    }

    /// Adds what one holder has; a profile seen before counts with the lesser
    /// total (see [`super::assign`] for why).
    pub(crate) fn add(&mut self, held: &SelectResponse) {
        let labels: Vec<Vec<(String, String)>> = held
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
        let columns = held
            .timestamps
            .iter()
            .zip(&held.totals)
            .zip(&held.series_index);
        for (key, ((&time, &total), &index)) in keys(&held.keys).zip(columns) {
            let Some(labels) = labels.get(index as usize) else {
                continue;
            };
            let known = match self.seen.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(total);
                    None
                }
                Entry::Occupied(mut entry) if total < *entry.get() => Some(entry.insert(total)),
                Entry::Occupied(_) => continue,
            };
            let step = self.step_of(time);
            let steps = match self.series.get_mut(labels) {
                Some(steps) => steps,
                None => self.series.entry(labels.clone()).or_default(),
            };
            let step = steps.entry(step).or_default();
            match known {
                None => step.count += 1,
                Some(known) => step.sum -= known as f64,
            }
            step.sum += total as f64;
        }
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
    labels: Vec<(String, String)>,
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
    use proto::reader::v1::SeriesLabels;

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
        }
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
        let mut builder = SeriesBuilder::new(1000, 100);
        builder.add(&held(&[
            (1, 1000, 5),
            (2, 1001, 7),
            (3, 1100, 1),
            (4, 1101, 2),
        ]));
        builder.add(&held(&[(1, 1000, 5), (4, 1101, 2)]));
        let series = builder.finish(TimeSeriesAggregationType::Sum, None);
        assert_eq!(points(&series), [(1000, 5.0), (1100, 8.0), (1200, 2.0)]);
    }

    #[test]
    fn growth_since_a_profile_that_a_holder_lacks_does_not_count_twice() {
        let (lacking, whole) = (held(&[(2, 60, 9)]), held(&[(1, 50, 4), (2, 60, 5)]));
        for answers in [[&lacking, &whole], [&whole, &lacking]] {
            let mut builder = SeriesBuilder::new(0, 100);
            answers.iter().for_each(|held| builder.add(held));
            let series = builder.finish(TimeSeriesAggregationType::Average, None);
            assert_eq!(points(&series), [(100, 4.5)]);
        }
    }

    #[test]
    fn an_average_is_over_the_profiles_of_a_step() {
        let mut builder = SeriesBuilder::new(0, 100);
        builder.add(&held(&[(1, 50, 5), (2, 60, 7)]));
        let series = builder.finish(TimeSeriesAggregationType::Average, None);
        assert_eq!(points(&series), [(100, 6.0)]);
    }
}
