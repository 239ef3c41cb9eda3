//! The Connect protocol's unary calls over HTTP POST
//! (<https://connectrpc.com/docs/protocol>).

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt as _, Limited};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tonic::{Code, Status};

use super::{
    Context, Rpc,
    details::{self, ConnectDetail},
    entries,
};
use crate::{admission::Share, inflate::InflateError};

/// Answers smaller than this are not worth compressing.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// Messages up to this size are encoded and decoded where they arrive: that is
/// quicker than handing them to another thread.
pub(super) const INLINE_BYTES: usize = 64 << 10;

/// After how many seconds to try again when an error does not say.
const RETRY_AFTER: u64 = 1;

/// The two encodings of a message.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Json,
    Proto,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match value.split(';').next()?.trim() {
            "application/json" => Some(Self::Json),
            "application/proto" => Some(Self::Proto),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Proto => "application/proto",
        })
    }

    fn decode<M: Message + Default + DeserializeOwned>(
        self,
        body: Bytes,
        count: entries::Count,
        share: Option<&Share>,
    ) -> Result<M, Status> {
        let entries = match self {
            Self::Json => entries::of_json(&body),
            Self::Proto => count(&body),
        };
        entries::admit(entries, share)?;
        let decoded = match self {
            Self::Json if body.is_empty() => {
                serde_json::from_slice(b"{}").map_err(|e| e.to_string())
            }
            Self::Json => serde_json::from_slice(&body).map_err(|e| e.to_string()),
            Self::Proto => M::decode(body).map_err(|e| e.to_string()),
        };
        decoded.map_err(|error| Status::invalid_argument(format!("unmarshal message: {error}")))
    }

    fn encode<M: Message + Serialize>(self, message: &M) -> Result<Vec<u8>, Status> {
        match self {
            Self::Json => serde_json::to_vec(message)
                .map_err(|error| Status::internal(format!("marshal message: {error}"))),
            Self::Proto => Ok(message.encode_to_vec()),
        }
    }
}

/// Answers one Connect request with `handler`.
pub(super) async fn serve<Req, Resp, F, Fut>(
    rpc: &Rpc,
    request: Request,
    handler: Arc<F>,
) -> Response
where
    Req: Message + Default + DeserializeOwned + 'static,
    Resp: Message + Serialize + 'static,
    F: Fn(Context, Req) -> Fut,
    Fut: Future<Output = Result<Resp, Status>>,
{
    let Some(encoding) = Encoding::of(request.headers()) else {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    };
    let gzip = accepts_gzip(request.headers());
    let answer = async {
        let message = call(rpc, encoding, request, handler).await?;
        let large = message.encoded_len() > INLINE_BYTES;
        off_thread(large, move || message_response(encoding, &message, gzip)).await
    };
    answer
        .await
        .unwrap_or_else(|status| error_response(&status))
}

async fn call<Req, Resp, F, Fut>(
    rpc: &Rpc,
    encoding: Encoding,
    request: Request,
    handler: Arc<F>,
) -> Result<Resp, Status>
where
    Req: Message + Default + DeserializeOwned + 'static,
    F: Fn(Context, Req) -> Fut,
    Fut: Future<Output = Result<Resp, Status>>,
{
    let context = rpc.context(request.headers())?;
    let deadline = deadline(request.headers())?;
    let call = async {
        let message = read_message(rpc, encoding, request).await?;
        handler(context, message).await
    };
    match deadline {
        Some(deadline) => within(deadline, call).await,
        None => call.await,
    }
}

/// Does CPU work on a thread of its own when it is `large`.
pub(super) async fn off_thread<T: Send + 'static>(
    large: bool,
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    if !large {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Status::internal(format!("a request ended early: {error}")))?
}

async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(Status::deadline_exceeded(format!(
            "not done within {timeout:?}"
        ))),
    }
}

fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("connect-timeout-ms") else {
        return Ok(None);
    };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok());
    millis
        .map(|millis| Some(Duration::from_millis(millis)))
        .ok_or_else(|| {
            Status::invalid_argument("protocol error: connect-timeout-ms is not a whole number")
        })
}

async fn read_message<M>(rpc: &Rpc, encoding: Encoding, request: Request) -> Result<M, Status>
where
    M: Message + Default + DeserializeOwned + 'static,
{
    let (limit, count) = (rpc.max_message_bytes, rpc.entries);
    let gzipped = is_gzipped(request.headers().get(header::CONTENT_ENCODING))?;
    let share = request.extensions().get::<Share>().cloned();
    let body = read_body(request.into_body(), limit).await?;
    let gzipped = gzipped && !body.is_empty();
    off_thread(gzipped || body.len() > INLINE_BYTES, move || {
        let share = share.as_ref();
        if !gzipped {
            return encoding.decode(body, count, share);
        }
        encoding.decode(inflate(&body, limit, share)?, count, share)
    })
    .await
}

/// Inflates a message, for which room is taken from the request's `share`.
pub(super) fn inflate(body: &[u8], limit: usize, share: Option<&Share>) -> Result<Bytes, Status> {
    crate::inflate::inflate(body, limit, share).map_err(|error| match error {
        InflateError::TooLarge => too_large(limit),
        InflateError::Broken(error) => {
            Status::invalid_argument(format!("decompress body: {error}"))
        }
        InflateError::Refused(status) => status,
    })
}

/// Tells whether a header that names a compression says gzip.
pub(super) fn is_gzipped(compression: Option<&HeaderValue>) -> Result<bool, Status> {
    match compression.map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(other) => Err(Status::unimplemented(format!(
            "unknown compression {:?}: supported encodings are gzip",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// `invalid_argument` when it is larger or breaks off, `unavailable` when there
/// is no room for it.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Status> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Status::try_from_error(error)
            .unwrap_or_else(|error| Status::invalid_argument(format!("read body: {error}")))),
    }
}

pub(super) fn too_large(limit: usize) -> Status {
    Status::invalid_argument(format!("message is larger than configured max {limit}"))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            coding
                .split(';')
                .next()
                .is_some_and(|name| name.trim() == "gzip")
        })
}

fn message_response<M: Message + Serialize>(
    encoding: Encoding,
    message: &M,
    gzip: bool,
) -> Result<Response, Status> {
    let body = encoding.encode(message)?;
    let small = (gzip && body.len() >= MIN_COMPRESSED_BYTES).then(|| compress(&body));
    let (body, gzipped) = match small {
        Some(Ok(small)) => (small, true),
        _ => (body, false),
    };
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, encoding.content_type());
    if gzipped {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, body)?;
    encoder.finish()
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<ConnectDetail>,
}

/// Answers with a Connect error: its HTTP status, and code, message and details
/// as JSON.
pub(crate) fn error_response(status: &Status) -> Response {
    let (http, code) = names(status.code());
    let body = serde_json::to_vec(&ErrorBody {
        code,
        message: status.message(),
        details: details::for_connect(status),
    })
    .expect("texts and lists of them are always valid JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = http;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let is_passing = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&http);
    let wait = details::retry_after(status);
    if is_passing || wait.is_some() {
        let wait = HeaderValue::from(wait.unwrap_or(RETRY_AFTER).max(1));
        headers.insert(header::RETRY_AFTER, wait);
    }
    response
}

/// HTTP status and name of each code, as the Connect protocol lists them.
fn names(code: Code) -> (StatusCode, &'static str) {
    let client_closed_request =
        StatusCode::from_u16(499).expect("499 is within the range of HTTP statuses");
    match code {
        Code::Ok | Code::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "unknown"),
        Code::Cancelled => (client_closed_request, "canceled"),
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "invalid_argument"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "already_exists"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "resource_exhausted"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "failed_precondition"),
        Code::Aborted => (StatusCode::CONFLICT, "aborted"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "out_of_range"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "unimplemented"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "data_loss"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_lists_are_understood() {
        let mut headers = HeaderMap::new();
        assert!(!accepts_gzip(&headers));
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("br, gzip;q=0.5"),
        );
        assert!(accepts_gzip(&headers));
    }

    #[test]
    fn a_bad_timeout_is_an_error_and_a_good_one_is_taken() {
        let mut headers = HeaderMap::new();
        assert_eq!(deadline(&headers).unwrap(), None);
        headers.insert("connect-timeout-ms", HeaderValue::from_static("1500"));
        assert_eq!(
            deadline(&headers).unwrap(),
            Some(Duration::from_millis(1500))
        );
        headers.insert("connect-timeout-ms", HeaderValue::from_static("soon"));
        assert_eq!(
            deadline(&headers).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}
