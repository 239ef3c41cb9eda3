//! Bodies of several parts.

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Multipart, Request, multipart::MultipartError},
    http::request::Parts,
};
use bytes::Bytes;
use tonic::Status;

use super::Refusal;

/// The parts that mean something; empty when they are not there.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// The profile or recording.
    pub(super) main: Bytes,
    /// Part `labels`, of recordings.
    pub(super) labels: Bytes,
    /// Part `sample_type_config`, of pprof.
    pub(super) sample_types: Bytes,
}

impl Form {
    /// Tells whether a body of this content type has parts.
    pub(super) fn is_one(content_type: &str) -> bool {
        let kind = content_type.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("multipart/form-data")
    }

    /// Takes a body that has no parts.
    pub(super) fn raw(body: Bytes) -> Self {
        Self {
            main: body,
            ..Self::default()
        }
    }

    /// Reads the parts of a body; the main one of a recording is `jfr`, of all
    /// else `profile`.
    pub(super) async fn read(parts: Parts, body: Bytes, jfr: bool) -> Result<Self, Refusal> {
        let request = Request::from_parts(parts, Body::from(body));
        let mut parts: Multipart = request
            .extract()
            .await
            .map_err(|error| Refusal::Malformed(format!("multipart body: {error}")))?;
        let mut form = Self::default();
        let mut main = false;
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            let content = part.bytes().await.map_err(broken)?;
            match name.as_str() {
                "jfr" if jfr => (form.main, main) = (content, true),
                "profile" if !jfr => (form.main, main) = (content, true),
                "labels" => form.labels = content,
                "sample_type_config" => form.sample_types = content,
                "prev_profile" => {
                    return Err(Refusal::Malformed(
                        "unsupported client version: previous profiles are not accepted, update the SDK"
                            .to_owned(),
                    ));
                }
                _ => {}
            }
        }
        if jfr && !main {
            return Err(Refusal::Malformed("jfr field is required".to_owned()));
        }
        Ok(form)
    }
}

fn broken(error: MultipartError) -> Refusal {
    let reason = format!("multipart body: {}", error.body_text());
    Status::try_from_error(error.into()).map_or(Refusal::Malformed(reason), Refusal::Status)
}
