//! Bodies of bounded size, compressed or not.

use std::io::Read as _;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Status;

use crate::admission::Share;

/// How much is inflated before room for it is taken.
const STEP_BYTES: u64 = 1 << 20;

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
    let mut inflated = MultiGzDecoder::new(body).take(limit as u64 + 1);
    let mut plain = Vec::new();
    loop {
        let step = inflated.by_ref().take(STEP_BYTES).read_to_end(&mut plain);
        let read = step.map_err(|error| BodyError::Broken(format!("decompress body: {error}")))?;
        if plain.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if read == 0 {
            return Ok(plain.into());
        }
        if let Some(share) = share {
            share.take(read).map_err(BodyError::Refused)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_too_large_and_rubbish_is_broken() {
        let bomb = gzip(&vec![0; 3 << 20]);
        assert_eq!(inflate(&bomb, 3 << 20, None).unwrap().len(), 3 << 20);
        let error = inflate(&bomb, (3 << 20) - 1, None).unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
        for broken in [&b"text"[..], &bomb[..bomb.len() / 2]] {
            let error = inflate(broken, 4 << 20, None).unwrap_err();
            assert!(matches!(error, BodyError::Broken(_)), "{error}");
        }
    }

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
