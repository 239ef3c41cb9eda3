//! What stores answer when something is wrong, and what that means for us.

use std::error::Error as StdError;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::retry::Cause;

/// Bytes of an error's body that are read, and of its text that are shown.
pub(super) const MOST_BODY: usize = 64 << 10;
const MOST_SHOWN: usize = 300;

/// Why a request got no answer that could be used. It travels through the client library inside of
/// its own errors, from where [`cause`] takes it out again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The store has answered, but not as asked.
    #[error("{0}")]
    Refused(Refusal),
    /// No connection came about, or it ended before the answer did.
    #[error("{0}")]
    Lost(String),
    /// Something took too long.
    #[error("{0}")]
    Late(String),
    /// The other side is not who it should be, or speaks another protocol.
    #[error("{0}")]
    Wrong(String),
}

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The store's word for it, as `SlowDown`; may be empty.
    pub(super) code: String,
    /// The store's sentence about it; may be empty.
    pub(super) message: String,
    /// How long it wants us to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads an answer. The code stands in XML, in JSON, or with Azure in a header, for an answer to
    /// HEAD has no body.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let code = element(&body, "Code")
            .or_else(|| header("x-ms-error-code").map(str::to_owned))
            .or_else(|| json_text(&body, "error"))
            .unwrap_or_default();
        let message = element(&body, "Message")
            .or_else(|| json_text(&body, "error_description"))
            .or_else(|| json_text(&body, "message"))
            .unwrap_or_default();
        let seconds = |text: &str| text.trim().parse().ok().map(Duration::from_secs);
        Self {
            status,
            code: shown(&code),
            message: shown(&message),
            retry_after: header("retry-after").and_then(seconds),
        }
    }

    /// Reads an answer whose status says that all is well and whose body says the opposite, as S3
    /// may end a long operation.
    pub(super) fn within_success(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Self> {
        let start = &body[..body.len().min(1024)];
        let is_error = String::from_utf8_lossy(start).contains("<Error>");
        is_error.then(|| Self::read(status, headers, body))
    }

    fn cause(&self) -> Cause {
        let reason = self.to_string();
        let code = self.code.as_str();
        match self.status.as_u16() {
            _ if matches!(
                code,
                "SlowDown"
                    | "ServerBusy"
                    | "RequestLimitExceeded"
                    | "TooManyRequests"
                    | "Throttling"
                    | "ThrottlingException"
            ) =>
            {
                self.throttled(reason)
            }
            429 => self.throttled(reason),
            503 if self.retry_after.is_some() => self.throttled(reason),
            404 if matches!(code, "NoSuchBucket" | "ContainerNotFound") => Cause::Broken(format!(
                "{reason}; make the bucket, or correct its name in the settings"
            )),
            404 => Cause::NotFound,
            // Azure's word for an upload whose blocks are gone, as they are an object already.
            400 if code == "InvalidBlockList" => Cause::NotFound,
            // S3 says so when a body does not arrive, or arrives as another.
            400 if matches!(
                code,
                "RequestTimeout"
                    | "BadDigest"
                    | "XAmzContentSHA256Mismatch"
                    | "XAmzContentChecksumMismatch"
                    | "IncompleteBody"
                    | "Md5Mismatch"
            ) =>
            {
                Cause::Transient(reason)
            }
            400 if code == "AuthorizationHeaderMalformed" => {
                Cause::Denied(format!("{reason}; set the region that it names"))
            }
            400 if matches!(
                code,
                "ExpiredToken"
                    | "InvalidToken"
                    | "AuthenticationFailed"
                    | "invalid_grant"
                    | "invalid_client"
                    | "unauthorized_client"
            ) =>
            {
                Cause::Denied(reason)
            }
            401 | 403 => Cause::Denied(match code {
                "RequestTimeTooSkewed" => format!("{reason}; set this machine's clock"),
                _ => reason,
            }),
            300..400 => Cause::Broken(format!(
                "{reason}; the bucket is elsewhere: correct the region or the endpoint"
            )),
            501 => Cause::Broken(reason),
            408 | 409 | 200..300 | 500.. => Cause::Transient(reason),
            _ => Cause::Broken(reason),
        }
    }

    fn throttled(&self, reason: String) -> Cause {
        Cause::Throttled {
            reason,
            retry_after: self.retry_after,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store answered {}", self.status.as_u16())?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        Ok(())
    }
}

/// Returns what an error of the client library means.
pub(super) fn cause(error: &object_store::Error) -> Cause {
    match fault(error) {
        Some(Fault::Refused(refusal)) => refusal.cause(),
        Some(Fault::Lost(reason) | Fault::Late(reason)) => Cause::Transient(reason.clone()),
        Some(Fault::Wrong(reason)) => Cause::Broken(reason.clone()),
        None => match error {
            object_store::Error::NotFound { .. } => Cause::NotFound,
            object_store::Error::InvalidPath { .. }
            | object_store::Error::NotSupported { .. }
            | object_store::Error::NotImplemented { .. }
            | object_store::Error::UnknownConfigurationKey { .. } => {
                Cause::Broken(shown(&root(error)))
            }
            // An answer that makes no sense, such as half of a list.
            _ => Cause::Transient(format!(
                "the answer makes no sense: {}",
                shown(&root(error))
            )),
        },
    }
}

/// Returns what has been put into an error on its way through the library.
pub(super) fn fault(error: &object_store::Error) -> Option<&Fault> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Some(fault);
        }
        next = error.source();
    }
    None
}

/// Returns the text of the innermost error: those around it repeat addresses.
fn root(error: &object_store::Error) -> String {
    let mut innermost: &dyn StdError = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// Returns the text of the first XML element of this name that has no elements in it.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    (!text.contains('<')).then(|| text.to_owned())
}

/// Returns a text of a flat JSON object.
fn json_text(body: &str, key: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("\"{key}\""))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let (text, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(text.to_owned())
}

/// Makes a stranger's text fit for one line of a log.
pub(super) fn shown(text: &str) -> String {
    let line = text.split(char::is_control).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::read(status, &HeaderMap::new(), body.as_bytes())
    }

    fn error(code: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>")
    }

    #[test]
    fn answers_are_read_in_xml_json_and_headers() {
        let read = refusal(503, &error("SlowDown"));
        assert_eq!(read.to_string(), "the store answered 503 SlowDown m");
        let read = refusal(
            400,
            r#"{"error": "invalid_grant", "error_description": "no"}"#,
        );
        assert_eq!(read.to_string(), "the store answered 400 invalid_grant no");
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-error-code", "ContainerNotFound".parse().unwrap());
        headers.insert("retry-after", "7".parse().unwrap());
        let read = Refusal::read(StatusCode::NOT_FOUND, &headers, b"");
        assert_eq!(read.code, "ContainerNotFound");
        assert_eq!(read.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(refusal(500, "").to_string(), "the store answered 500");
    }

    #[test]
    fn each_answer_means_what_it_should() {
        let kind = |status, code: &str| match refusal(status, &error(code)).cause() {
            Cause::NotFound => "not found",
            Cause::Denied(_) => "denied",
            Cause::Throttled { .. } => "throttled",
            Cause::Transient(_) => "transient",
            Cause::Broken(_) => "broken",
        };
        for (status, code, expected) in [
            (404, "NoSuchKey", "not found"),
            (404, "BlobNotFound", "not found"),
            (404, "NoSuchBucket", "broken"),
            (404, "ContainerNotFound", "broken"),
            (404, "NoSuchUpload", "not found"),
            (400, "InvalidBlockList", "not found"),
            (401, "", "denied"),
            (403, "AccessDenied", "denied"),
            (400, "AuthorizationHeaderMalformed", "denied"),
            (400, "ExpiredToken", "denied"),
            (400, "BadDigest", "transient"),
            (400, "InvalidArgument", "broken"),
            (409, "OperationAborted", "transient"),
            (429, "", "throttled"),
            (503, "SlowDown", "throttled"),
            (503, "ServerBusy", "throttled"),
            (200, "SlowDown", "throttled"),
            (503, "", "transient"),
            (500, "InternalError", "transient"),
            (200, "InternalError", "transient"),
            (301, "PermanentRedirect", "broken"),
            (501, "NotImplemented", "broken"),
            (416, "InvalidRange", "broken"),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn errors_within_success_are_seen() {
        let within = |body: &str| {
            Refusal::within_success(StatusCode::OK, &HeaderMap::new(), body.as_bytes())
        };
        assert!(within(&error("InternalError")).is_some());
        assert_eq!(within("<CompleteMultipartUploadResult/>"), None);
    }

    #[test]
    fn strangers_texts_stay_on_one_line_and_short() {
        assert_eq!(shown("a\r\nb"), "a  b");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), MOST_SHOWN + 1);
        for body in [
            "<Code>",
            "<Code><Code></Code>",
            "{\"error\"",
            "{\"error\": {",
            "\u{0}",
        ] {
            assert_eq!(refusal(500, body).code, "", "{body}");
        }
    }
}
