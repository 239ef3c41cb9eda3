use std::collections::BTreeMap;

use prost::Message as _;
use proto::google::v1::Label;

use super::view::View;
use crate::Profile;
use crate::labels::Labels;

/// Sample labels that stay on samples: each value occurs in few samples, so a
/// series for each would be one series per request.
const STAY: [&str; 3] = ["profile_id", "span_id", "trace_id"];

/// What splitting may make of a profile, in bytes. Beyond it samples keep their
/// values and stacks and lose their labels; no honest profile comes near.
const COPY_BUDGET: usize = 64 << 20;

/// Positions of samples by the labels of the series that they go to.
type Groups = BTreeMap<Labels, Vec<usize>>;

impl View {
    /// Tells whether samples have labels that belong to their series.
    pub fn has_series_labels(&self) -> bool {
        let mut labels = self.samples().flat_map(|sample| sample.labels);
        labels.any(|label| self.is_lifted(label))
    }

    /// Splits a normalised profile by the string labels of its samples, which
    /// become labels of the series: one profile per distinct set.
    ///
    /// Labels of the series win over those of samples. Labels `profile_id`,
    /// `span_id`, `trace_id`, `__private` and numeric ones stay on their samples.
    pub fn split_by_sample_labels(&self, labels: &Labels) -> Vec<(Labels, Profile)> {
        let mut groups = self.group(labels);
        let whole = groups.len() == 1;
        let mut rest = match whole {
            true => Vec::new(),
            false => groups.remove(labels).unwrap_or_default(),
        };
        let mut copied = 0;
        let mut parts = Vec::with_capacity(groups.len() + 1);
        for (series, rows) in groups {
            if copied > COPY_BUDGET {
                rest.extend(rows);
                continue;
            }
            let part = self.part(&rows);
            copied += part.encoded_len();
            parts.push((series, part));
        }
        if !rest.is_empty() {
            parts.push((labels.clone(), self.part(&rest)));
        }
        parts
    }

    fn part(&self, rows: &[usize]) -> Profile {
        self.extract(rows, |label| !self.is_lifted(label))
    }

    fn group(&self, labels: &Labels) -> Groups {
        let mut groups = Groups::new();
        let mut known: BTreeMap<Vec<(i64, i64)>, Labels> = BTreeMap::new();
        for (at, sample) in self.samples().enumerate() {
            let lifted = sample.labels.iter().filter(|label| self.is_lifted(label));
            let raw: Vec<(i64, i64)> = lifted.map(|label| (label.key, label.str)).collect();
            let series = known
                .entry(raw)
                .or_insert_with_key(|raw| self.with_sample_labels(labels, raw));
            match groups.get_mut(series) {
                Some(rows) => rows.push(at),
                None => drop(groups.insert(series.clone(), vec![at])),
            }
        }
        groups
    }

    fn is_lifted(&self, label: &Label) -> bool {
        let name = self.string(label.key);
        let private = name.is_empty() || name.starts_with("__") || STAY.contains(&name);
        !private && !self.text(label.str).is_empty()
    }

    /// The first value of a name counts.
    fn with_sample_labels(&self, labels: &Labels, raw: &[(i64, i64)]) -> Labels {
        let mut pairs: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in raw {
            let value = self.string(*value);
            pairs.entry(self.string(*key)).or_insert(value);
        }
        pairs.extend(labels.iter());
        Labels::new(pairs).expect("keys of a map are distinct and lifted names are not empty")
    }
}
