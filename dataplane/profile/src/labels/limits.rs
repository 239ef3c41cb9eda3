use super::{LabelError, Labels, NAME};

/// Limits on the labels of a series; the defaults are those of Grafana
/// Pyroscope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLimits {
    /// Longest name, in bytes.
    pub name_bytes: usize,
    /// Longest value, in bytes.
    pub value_bytes: usize,
    /// Most labels of a series, `__name__` and `service_name` included.
    pub count: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self {
            name_bytes: 1024,
            value_bytes: 2048,
            count: 30,
        }
    }
}

impl LabelLimits {
    /// Checks the labels of a pushed series.
    ///
    /// # Errors
    /// Too many labels, no valid `__name__`, or a name or value that is too long.
    pub fn check(&self, labels: &Labels) -> Result<(), LabelError> {
        if labels.len() > self.count {
            return Err(LabelError::TooMany {
                labels: labels.clone(),
                count: labels.len(),
                limit: self.count,
            });
        }
        if !labels.get(NAME).is_some_and(is_metric_name) {
            return Err(LabelError::MetricName {
                labels: labels.clone(),
            });
        }
        for (name, value) in labels.iter() {
            if name.len() > self.name_bytes {
                return Err(LabelError::NameTooLong {
                    labels: labels.clone(),
                    name: name.to_owned(),
                });
            }
            if value.len() > self.value_bytes {
                return Err(LabelError::ValueTooLong {
                    labels: labels.clone(),
                    value: value.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Tells whether `[a-zA-Z_:][a-zA-Z0-9_:]*` matches.
fn is_metric_name(name: &str) -> bool {
    let body = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    body && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn limits_name_what_is_wrong() {
        let limits = LabelLimits {
            name_bytes: 10,
            value_bytes: 12,
            count: 3,
        };
        let check = |pairs: &[(&str, &str)]| {
            limits
                .check(&labels(pairs))
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&[(NAME, "process_cpu")]), Ok(()));
        assert_eq!(
            check(&[("a", "b")]).unwrap_err(),
            "invalid labels '{a=\"b\"}' with error: invalid metric name"
        );
        assert!(check(&[(NAME, "9a")]).is_err());
        assert!(
            check(&[(NAME, "a"), ("n2345678901", "b")])
                .unwrap_err()
                .contains("label name too long: 'n2345678901'")
        );
        assert!(
            check(&[(NAME, "a"), ("n", "1234567890123")])
                .unwrap_err()
                .contains("label value too long: '1234567890123'")
        );
        assert!(
            check(&[(NAME, "a"), ("b", "b"), ("c", "c"), ("d", "d")])
                .unwrap_err()
                .ends_with("has 4 label names; limit 3")
        );
    }
}
