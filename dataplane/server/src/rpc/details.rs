//! What errors say to programs.
//!
//! gRPC carries details as a `google.rpc.Status` in `grpc-status-details-bin`,
//! Connect as a list of messages in the body of the error
//! (<https://connectrpc.com/docs/protocol#error-details>). A [`tonic::Status`]
//! of ours has the former; the latter is made from it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use prost::{Message, Name};
use proto::rejection::v1::Rejections;
use serde::Serialize;
use tonic::{Code, Status};

const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// The details of an error, as `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// A message of any type, as `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// When to try again, as `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// As `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Name for RetryInfo {
    const NAME: &'static str = "RetryInfo";
    const PACKAGE: &'static str = "google.rpc";
}

/// One detail as Connect writes it.
#[derive(Debug, Serialize)]
pub(super) struct ConnectDetail {
    #[serde(rename = "type")]
    type_name: String,
    value: String,
    /// The same to be read by people.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<serde_json::Value>,
}

/// Returns an error with one message as its detail.
pub(crate) fn status_with<M: Message + Name>(
    code: Code,
    message: impl Into<String>,
    detail: &M,
) -> Status {
    add(&Status::new(code, message), detail)
}

/// Refuses a request that may be repeated after `wait`: 429 with `Retry-After`.
pub(crate) fn too_many(message: impl Into<String>, wait: Duration) -> Status {
    retry_later(&Status::resource_exhausted(message), wait)
}

/// Adds to an error that the request may be repeated after `wait`.
pub(crate) fn retry_later(status: &Status, wait: Duration) -> Status {
    let delay = Delay {
        seconds: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        // Less than 10^9.
        nanos: wait.subsec_nanos() as i32,
    };
    let info = RetryInfo {
        retry_delay: Some(delay),
    };
    add(status, &info)
}

/// Returns after how many seconds to try again, if the error says so.
pub(crate) fn retry_after(status: &Status) -> Option<u64> {
    let delay = detail::<RetryInfo>(status)?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(seconds.saturating_add(u64::from(delay.nanos > 0)))
}

/// Returns the detail of this type, if the error has one.
pub(crate) fn detail<M: Message + Name + Default>(status: &Status) -> Option<M> {
    let detail = details(status)
        .into_iter()
        .find(|detail| detail.type_name() == M::full_name())?;
    M::decode(detail.value).ok()
}

/// Returns an error with one more detail.
fn add<M: Message + Name>(status: &Status, detail: &M) -> Status {
    let mut rich = RichStatus {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: details(status),
    };
    rich.details.push(Any {
        type_url: format!("{TYPE_URL_PREFIX}{}", M::full_name()),
        value: detail.encode_to_vec().into(),
    });
    Status::with_details(status.code(), status.message(), rich.encode_to_vec().into())
}

/// Returns the details of an error as Connect writes them.
pub(super) fn for_connect(status: &Status) -> Vec<ConnectDetail> {
    let detail = |detail: Any| ConnectDetail {
        type_name: detail.type_name().to_owned(),
        value: STANDARD_NO_PAD.encode(&detail.value),
        debug: detail.readable(),
    };
    details(status).into_iter().map(detail).collect()
}

/// Cuts an error down to `message_bytes` of text and `detail_bytes` of details,
/// for protocols that carry them in headers.
pub(super) fn shortened(status: &Status, message_bytes: usize, detail_bytes: usize) -> Status {
    let text = status.message();
    let text = &text[..text.floor_char_boundary(message_bytes)];
    if status.details().is_empty() {
        return Status::new(status.code(), text);
    }
    let mut rich = RichStatus {
        code: status.code() as i32,
        message: text.to_owned(),
        details: details(status),
    };
    let excess = rich.encoded_len().saturating_sub(detail_bytes);
    if excess > 0 {
        for detail in &mut rich.details {
            detail.shorten(detail.value.len().saturating_sub(excess));
        }
    }
    if rich.encoded_len() > detail_bytes {
        rich.details.clear();
    }
    Status::with_details(status.code(), text, rich.encode_to_vec().into())
}

fn details(status: &Status) -> Vec<Any> {
    // What an ingester of another make sends may be anything.
    RichStatus::decode(status.details()).map_or_else(|_| Vec::new(), |rich| rich.details)
}

impl Any {
    fn type_name(&self) -> &str {
        self.type_url
            .rsplit_once('/')
            .map_or(self.type_url.as_str(), |(_, name)| name)
    }

    fn rejections(&self) -> Option<Rejections> {
        (self.type_name() == Rejections::full_name())
            .then(|| Rejections::decode(self.value.clone()).ok())?
    }

    fn readable(&self) -> Option<serde_json::Value> {
        serde_json::to_value(self.rejections()?).ok()
    }

    /// Leaves out rejections from the end until `bytes` are enough.
    fn shorten(&mut self, bytes: usize) {
        let Some(mut all) = self.rejections() else {
            return;
        };
        while all.encoded_len() > bytes && all.rejections.pop().is_some() {
            all.omitted = all.omitted.saturating_add(1);
        }
        self.value = all.encode_to_vec().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::rejection::v1::Rejection;

    fn rejections(count: u32) -> Rejections {
        let one = |series| Rejection {
            series,
            reason: "malformed_profile".into(),
            message: "empty profile".into(),
            ..Rejection::default()
        };
        Rejections {
            rejections: (0..count).map(one).collect(),
            omitted: 0,
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        let status = too_many("slow down", Duration::from_millis(1200));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(retry_after(&status), Some(2));
        assert_eq!(retry_after(&Status::resource_exhausted("")), None);
    }

    #[test]
    fn connect_details_name_their_type() {
        let status = status_with(Code::InvalidArgument, "bad", &rejections(1));
        let details = serde_json::to_value(for_connect(&status)).unwrap();
        assert_eq!(details[0]["type"], "rejection.v1.Rejections");
        assert_eq!(
            details[0]["debug"]["rejections"][0]["message"],
            "empty profile"
        );
        let value = details[0]["value"].as_str().unwrap();
        let value = STANDARD_NO_PAD.decode(value).unwrap();
        assert_eq!(Rejections::decode(&*value).unwrap(), rejections(1));
    }

    #[test]
    fn long_details_are_cut_and_counted() {
        let status = status_with(Code::InvalidArgument, "é".repeat(600), &rejections(1000));
        let short = shortened(&status, 1001, 3000);
        assert_eq!(short.message().len(), 1000);
        assert!(short.details().len() <= 3000);
        let left = details(&short)[0].rejections().unwrap();
        assert!(left.rejections.len() > 10);
        assert_eq!(left.rejections.len() as u32 + left.omitted, 1000);
        let both = retry_later(&status, Duration::from_secs(7));
        let short = shortened(&both, 1001, 3000);
        assert_eq!(retry_after(&short), Some(7));
        let left = detail::<Rejections>(&short).unwrap();
        assert_eq!(left.rejections.len() as u32 + left.omitted, 1000);
        assert!((2500..=3000).contains(&short.details().len()));
    }

    #[test]
    fn foreign_details_are_no_details() {
        let status = Status::with_details(Code::Internal, "x", Bytes::from_static(b"\xff\xff"));
        assert!(for_connect(&status).is_empty());
        assert_eq!(shortened(&status, 10, 10).message(), "x");
    }
}
