//! What of a push is refused and why; pure.

use std::{fmt::Write as _, time::Duration};

use profile::{LabelError, Labels, PprofError};
use proto::rejection::v1;
use tonic::{Code, Status};

use super::prepare::Prepared;
use crate::rpc::{retry_later, status_with};

/// When to push series again that were too many: silent ones make room in ten
/// minutes, so that now and then one does.
const SERIES_WAIT: Duration = Duration::from_secs(30);

/// Most bytes of rejections that are kept, labels and messages; further ones
/// are counted. A request of the largest size may hold millions.
const MAX_KEPT_BYTES: usize = 256 << 10;

/// Longest labels that are repeated in a detail, in bytes.
const MAX_LABEL_BYTES: usize = 8 << 10;

/// Longest text of an error, in bytes, unless its first reason is longer.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// Why something is refused. The names are those of Grafana Pyroscope's metric
/// of discarded samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    DuplicateLabelNames,
    InvalidLabels,
    LabelNameTooLong,
    LabelValueTooLong,
    MalformedProfile,
    MaxLabelNamesPerSeries,
    MissingLabels,
    NotInIngestionWindow,
    ProfileSizeLimit,
    RateLimited,
    SampleLabelsLimit,
    SamplesLimit,
    SeriesLimit,
}

impl Reason {
    /// Returns the word for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateLabelNames => "duplicate_label_names",
            Self::InvalidLabels => "invalid_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::MalformedProfile => "malformed_profile",
            Self::MaxLabelNamesPerSeries => "max_label_names_per_series",
            Self::MissingLabels => "missing_labels",
            Self::NotInIngestionWindow => "not_in_ingestion_window",
            Self::ProfileSizeLimit => "profile_size_limit",
            Self::RateLimited => "rate_limited",
            Self::SampleLabelsLimit => "sample_labels_limit",
            Self::SamplesLimit => "samples_limit",
            Self::SeriesLimit => "series_limit",
        }
    }
}

impl From<&LabelError> for Reason {
    fn from(error: &LabelError) -> Self {
        match error {
            LabelError::Duplicate { .. } => Self::DuplicateLabelNames,
            LabelError::EmptyName { .. } => Self::InvalidLabels,
            LabelError::MetricName { .. } => Self::MissingLabels,
            LabelError::TooMany { .. } => Self::MaxLabelNamesPerSeries,
            LabelError::NameTooLong { .. } => Self::LabelNameTooLong,
            LabelError::ValueTooLong { .. } => Self::LabelValueTooLong,
        }
    }
}

impl From<&PprofError> for Reason {
    fn from(error: &PprofError) -> Self {
        match error {
            PprofError::TooLarge { .. } => Self::ProfileSizeLimit,
            PprofError::TooManySamples { .. } => Self::SamplesLimit,
            PprofError::TooManySampleLabels { .. } => Self::SampleLabelsLimit,
            _ => Self::MalformedProfile,
        }
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        match code {
            Code::ResourceExhausted => Self::SeriesLimit,
            _ => Self::MalformedProfile,
        }
    }
}

/// A series, or one profile of it, that is refused: always the client's fault.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    /// Position of the series in the request.
    pub series: usize,
    /// The labels of the series.
    pub labels: Labels,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

impl Rejection {
    /// Refuses a series for its labels.
    pub(crate) fn of_labels(series: usize, error: &LabelError) -> Self {
        Self {
            series,
            labels: error.labels().clone(),
            reason: error.into(),
            message: error.to_string(),
        }
    }

    /// Refuses a profile of the series with these labels.
    pub(crate) fn of_profile(series: usize, labels: &Labels, error: &PprofError) -> Self {
        let message = match error {
            // These say whose profile it is in the original too.
            PprofError::TooManySamples { .. } | PprofError::TooManySampleLabels { .. } => {
                let text = error.to_string();
                let rest = text.strip_prefix("profile").unwrap_or(&text);
                format!("profile with labels '{labels}'{rest}")
            }
            _ => error.to_string(),
        };
        Self {
            series,
            labels: labels.clone(),
            reason: error.into(),
            message,
        }
    }

    /// Refuses a profile for what a quorum of its ingesters said.
    pub(crate) fn of_ingesters(profile: &Prepared, said: &Status) -> Self {
        Self {
            series: profile.series,
            labels: profile.labels.clone(),
            reason: said.code().into(),
            message: said.message().to_owned(),
        }
    }

    fn kept_bytes(&self) -> usize {
        label_bytes(&self.labels) + self.message.len() + 64
    }

    fn to_proto(&self) -> v1::Rejection {
        v1::Rejection {
            series: u32::try_from(self.series).unwrap_or(u32::MAX),
            labels: self.labels.to_proto(),
            reason: self.reason.as_str().to_owned(),
            message: self.message.clone(),
        }
    }
}

/// What of one request is refused: the first of it whole, all of it as a number.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    kept: Vec<Rejection>,
    kept_bytes: usize,
    count: usize,
    /// How often each reason occurs.
    reasons: Vec<(Reason, u64)>,
}

impl Rejections {
    /// Adds one.
    pub(crate) fn push(&mut self, rejection: Rejection) {
        self.count += 1;
        self.tally(rejection.reason, 1);
        self.keep(rejection);
    }

    fn keep(&mut self, mut rejection: Rejection) {
        if label_bytes(&rejection.labels) > MAX_LABEL_BYTES {
            rejection.labels = Labels::default();
        }
        let bytes = rejection.kept_bytes();
        if self.kept_bytes + bytes <= MAX_KEPT_BYTES {
            self.kept_bytes += bytes;
            self.kept.push(rejection);
        }
    }

    /// Adds all of another part of the same request.
    pub(crate) fn merge(&mut self, other: Self) {
        let reasons = other.reasons.iter();
        for &(reason, count) in reasons {
            self.tally(reason, count);
        }
        self.count += other.count;
        other.kept.into_iter().for_each(|one| self.keep(one));
        self.kept.sort_by_key(|one| one.series);
    }

    /// Tells whether nothing is refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Iterates over the reasons and how often each occurs.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.reasons.iter().copied()
    }

    /// Answers for all of them, with every rejection as text and, as far as there
    /// is room, as [`v1::Rejections`]: `resource_exhausted` if some may be pushed
    /// again later, otherwise `invalid_argument`.
    pub(crate) fn into_status(self) -> Status {
        let details = v1::Rejections {
            rejections: self.kept.iter().map(Rejection::to_proto).collect(),
            omitted: u32::try_from(self.count - self.kept.len()).unwrap_or(u32::MAX),
        };
        if self
            .reasons()
            .any(|(reason, _)| reason == Reason::SeriesLimit)
        {
            let status = status_with(Code::ResourceExhausted, self.text(), &details);
            return retry_later(&status, SERIES_WAIT);
        }
        status_with(Code::InvalidArgument, self.text(), &details)
    }

    fn tally(&mut self, reason: Reason, count: u64) {
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, known)) => *known += count,
            None => self.reasons.push((reason, count)),
        }
    }

    /// Writes the reason if it is the only one, as the original does, otherwise
    /// each behind the position of its series.
    fn text(&self) -> String {
        if let ([only], 1) = (self.kept.as_slice(), self.count) {
            return only.message.clone();
        }
        let mut text = String::new();
        let mut written = 0;
        for rejection in &self.kept {
            if written > 0 && text.len() + rejection.message.len() > MAX_TEXT_BYTES {
                break;
            }
            let separator = if written == 0 { "" } else { "; " };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "{separator}series {}: {}",
                rejection.series, rejection.message
            );
            written += 1;
        }
        if written < self.count {
            let _ = write!(text, "; and {} more", self.count - written);
        }
        text
    }
}

fn label_bytes(labels: &Labels) -> usize {
    labels
        .iter()
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn rejection(series: usize, message: &str) -> Rejection {
        Rejection {
            series,
            labels: Labels::new([("service_name", "app")]).unwrap(),
            reason: Reason::MalformedProfile,
            message: message.to_owned(),
        }
    }

    fn all(rejections: impl IntoIterator<Item = Rejection>) -> Rejections {
        let mut all = Rejections::default();
        rejections.into_iter().for_each(|one| all.push(one));
        all
    }

    /// The bytes of the one detail of a status.
    fn detail(status: &Status) -> v1::Rejections {
        let at = status
            .details()
            .windows(24)
            .position(|bytes| bytes == b"/rejection.v1.Rejections")
            .unwrap();
        let mut value = &status.details()[at + 25..];
        let _len = prost::encoding::decode_varint(&mut value).unwrap();
        v1::Rejections::decode(value).unwrap()
    }

    #[test]
    fn one_reason_stands_alone_and_several_behind_their_series() {
        let status = all([rejection(3, "empty profile")]).into_status();
        assert_eq!(status.message(), "empty profile");
        assert_eq!(detail(&status).rejections[0].series, 3);
        let status = all([rejection(1, "empty profile"), rejection(4, "too old")]).into_status();
        assert_eq!(
            status.message(),
            "series 1: empty profile; series 4: too old"
        );
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[test]
    fn what_ingesters_refuse_is_listed_with_the_rest_and_may_be_tried_again() {
        let mut some = all([rejection(1, "empty profile"), rejection(4, "too old")]);
        let limited = |series| Rejection {
            reason: Reason::SeriesLimit,
            ..rejection(series, "too many")
        };
        some.merge(all([limited(0), limited(2)]));
        let told: Vec<_> = some.reasons().collect();
        let expected = [(Reason::MalformedProfile, 2), (Reason::SeriesLimit, 2)];
        assert_eq!(told, expected);
        let status = some.into_status();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(crate::rpc::retry_after(&status), Some(30));
        assert_eq!(
            status.message(),
            "series 0: too many; series 1: empty profile; series 2: too many; series 4: too old"
        );
        let alone = all([limited(0)]).into_status();
        assert_eq!(alone.message(), "too many");
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let long = "x".repeat(1000);
        let flood = all((0..100_000).map(|series| rejection(series, &long)));
        assert_eq!(
            flood.reasons().collect::<Vec<_>>(),
            [(Reason::MalformedProfile, 100_000)]
        );
        let status = flood.into_status();
        assert!(status.message().len() < 2 * MAX_TEXT_BYTES);
        assert!(status.message().ends_with(" more"), "{status}");
        let detail = detail(&status);
        assert!(detail.encoded_len() < MAX_KEPT_BYTES);
        assert_eq!(
            detail.rejections.len() + detail.omitted as usize,
            100_000,
            "nothing is silent"
        );
    }

    #[test]
    fn long_labels_are_left_out() {
        let mut long = rejection(0, "label value too long");
        long.labels = Labels::new([("a", "x".repeat(1 << 20))]).unwrap();
        let status = all([long]).into_status();
        assert!(detail(&status).rejections[0].labels.is_empty());
    }

    #[test]
    fn the_texts_that_name_the_labels_are_those_of_the_original() {
        let labels = Labels::new([("service_name", "app")]).unwrap();
        let error = PprofError::TooManySamples {
            actual: 16_001,
            limit: 16_000,
        };
        let rejection = Rejection::of_profile(0, &labels, &error);
        assert_eq!(
            rejection.message,
            "profile with labels '{service_name=\"app\"}' exceeds the samples count limit \
             (max_profile_stacktrace_samples, actual: 16001, limit: 16000)"
        );
        assert_eq!(rejection.reason.as_str(), "samples_limit");
    }
}
