//! The labels that a program sets, as the Java agent sends them beside a
//! recording: events have the number of a context, contexts have labels.

use prost::Message as _;
use proto::agent::v1::LabelsSnapshot;

use super::super::IngestError;
use super::MAX_LABEL_BYTES;
use super::profiles::Correlation;

/// Labels by context.
#[derive(Debug, Default)]
pub(super) struct Snapshot(LabelsSnapshot);

impl Snapshot {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, IngestError> {
        let malformed =
            |reason: String| IngestError::Malformed(format!("failed to parse labels: {reason}"));
        if bytes.len() > MAX_LABEL_BYTES {
            return Err(malformed(format!("more than {MAX_LABEL_BYTES} bytes")));
        }
        LabelsSnapshot::decode(bytes)
            .map(Self)
            .map_err(|error| malformed(error.to_string()))
    }

    /// Returns the labels of a sample. A span's number is its `profile_id`.
    pub(super) fn labels(&self, of: Correlation) -> Vec<(String, String)> {
        let text = |key: i64| self.0.strings.get(&key).cloned().unwrap_or_default();
        let context = self.0.contexts.get(&of.context.cast_signed());
        let labels = context.into_iter().flat_map(|context| &context.labels);
        let mut labels: Vec<_> = labels
            .map(|(name, value)| (text(*name), text(*value)))
            .collect();
        if of.span != 0 {
            labels.push(("profile_id".to_owned(), format!("{:016x}", of.span)));
        }
        if of.span_name != 0 {
            labels.push(("span_name".to_owned(), text(of.span_name.cast_signed())));
        }
        labels.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        labels
    }
}
