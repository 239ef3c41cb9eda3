//! Bodies of bounded size, compressed or not.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Status;

use crate::{admission::Share, inflate::InflateError};

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub(in crate::distributor) enum BodyError {
    /// It is larger than allowed, as it came or inflated.
    #[error("request body too large: the limit is {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is compressed in a way that is not understood.
    #[error("content encoding {0:?} is not supported; send gzip or none")]
    Encoding(String),
    /// It breaks off or is not compressed as it says.
    #[error("{0}")]
    Broken(String),
    /// There is no room for it.
    #[error("{0}")]
    Refused(Status),
}

/// Tells whether a body is to be inflated.
///
/// # Errors
///
/// Another compression than gzip.
pub(in crate::distributor) fn is_gzip(headers: &HeaderMap) -> Result<bool, BodyError> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.as_bytes())
    {
        None | Some(b"" | b"identity") => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(other) => {
            let shown = String::from_utf8_lossy(other).into_owned();
            Err(BodyError::Encoding(shown))
        }
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// A body that is larger, breaks off, or for which there is no room.
pub(in crate::distributor) async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
        Err(error) => Err(match Status::try_from_error(error) {
            Ok(status) => BodyError::Refused(status),
            Err(error) => BodyError::Broken(format!("read body: {error}")),
        }),
    }
}

/// Inflates gzip to at most `limit` bytes; room for them is taken from `share`.
///
/// # Errors
///
/// What is no gzip, is larger, or for which there is no room.
pub(in crate::distributor) fn inflate(
    body: &[u8],
    limit: usize,
    share: Option<&Share>,
) -> Result<Bytes, BodyError> {
    crate::inflate::inflate(body, limit, share).map_err(|error| match error {
        InflateError::TooLarge => BodyError::TooLarge { limit },
        InflateError::Broken(error) => BodyError::Broken(format!("decompress body: {error}")),
        InflateError::Refused(status) => BodyError::Refused(status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_refused() {
        let headers = |value: &'static str| {
            let value = header::HeaderValue::from_static(value);
            HeaderMap::from_iter([(header::CONTENT_ENCODING, value)])
        };
        assert!(!is_gzip(&HeaderMap::new()).unwrap());
        assert!(!is_gzip(&headers("identity")).unwrap());
        assert!(is_gzip(&headers("GZIP")).unwrap());
        assert!(is_gzip(&headers("zstd")).is_err());
    }
}
