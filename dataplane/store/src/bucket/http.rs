//! The HTTP client under the client library: connections, TLS, time, and answers that are errors.
//!
//! The library would repeat requests by itself, but it knows nothing of 429, of `Retry-After` and of
//! the time that an operation has, and forgets what a 503 says. So each request is made once here,
//! what goes wrong becomes a [`Fault`], and [`Bucket`](super::Bucket) decides.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::{Instant, Sleep, sleep};

use super::Environment;
use super::answer::{Fault, MOST_BODY, Refusal, shown};
use super::connect::Connector;
use super::error::OpenError;
use super::settings::{Http, Patience};

const OURSELVES: HeaderValue =
    HeaderValue::from_static(concat!("pyroscope-operator/", env!("CARGO_PKG_VERSION")));
/// Metadata of the machine is near, or nowhere: nobody waits longer for it.
const METADATA: Duration = Duration::from_secs(2);
/// Answers other than objects are no longer: a page of a list has 1,000 keys of 1,024 bytes.
const MOST_ANSWER: usize = 16 << 20;

/// Makes the requests of one bucket, and those for its credentials.
#[derive(Clone, Debug)]
pub(super) struct Client {
    client: legacy::Client<Connector, HttpRequestBody>,
    head: Option<Duration>,
    stall: Duration,
}

/// What a store says of the bytes that it has received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Their MD5 in base64.
    pub(super) md5: Option<String>,
}

impl Client {
    /// Makes a client.
    pub(super) fn new(
        settings: &Http,
        patience: &Patience,
        environment: &Environment<'_>,
    ) -> Result<Self, OpenError> {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(settings.idle)
            .pool_max_idle_per_host(settings.idle_connections)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(settings, environment)?);
        Ok(Self {
            client,
            head: settings.head,
            stall: patience.stall,
        })
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let is_completion = is_completion(request.method(), request.uri().query());
        let is_object = is_object(request.method(), request.uri().query());
        let host = request.uri().host().unwrap_or_default().to_owned();
        let response = self.send(request, &host).await?;
        let (mut parts, body) = response.into_parts();
        let body = Unstalled::new(body, self.stall, &host);
        if !parts.status.is_success() {
            let body = Limited::new(body, MOST_BODY).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let refusal = Refusal::read(parts.status, &parts.headers, &body);
            return Err(Fault::Refused(refusal));
        }
        parts.extensions.insert(Receipt::read(&parts.headers));
        if is_completion {
            let body = whole(body).await?;
            return match Refusal::within_success(parts.status, &parts.headers, &body) {
                Some(refusal) => Err(Fault::Refused(refusal)),
                None => Ok(HttpResponse::from_parts(parts, body.into())),
            };
        }
        let body = if is_object {
            HttpResponseBody::new(body.map_err(library))
        } else {
            whole(body).await?.into()
        };
        Ok(HttpResponse::from_parts(parts, body))
    }

    /// Sends a request and waits for the head of the answer.
    async fn send(
        &self,
        mut request: HttpRequest,
        host: &str,
    ) -> Result<http::Response<Incoming>, Fault> {
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert(OURSELVES);
        let answer = self.client.request(request);
        let head = match is_metadata(host) {
            true => Some(self.head.map_or(METADATA, |head| head.min(METADATA))),
            false => self.head,
        };
        let answer = match head {
            Some(head) => tokio::time::timeout(head, answer)
                .await
                .map_err(|_| Fault::Late(format!("{host} did not answer within {head:?}")))?,
            None => answer.await,
        };
        answer.map_err(|error| lost(&error, error.is_connect(), host))
    }
}

impl Receipt {
    fn read(headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get_all(name)
                .into_iter()
                .filter_map(|v| v.to_str().ok())
        };
        let google = text("x-goog-hash")
            .flat_map(|value| value.split(','))
            .find_map(|hash| hash.trim().strip_prefix("md5="));
        let md5 = text("content-md5").next().or(google);
        Self {
            md5: md5.map(str::to_owned),
        }
    }
}

impl HttpService for Client {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.answer(request).await.map_err(library) })
    }
}

impl HttpConnector for Client {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// Returns whether a request makes parts an object: its answer may be an error in spite of its status.
fn is_completion(method: &Method, query: Option<&str>) -> bool {
    method == Method::POST && query.is_some_and(|query| query.contains("uploadId="))
}

/// Returns whether the answer is an object, which may be large. Everything else is asked for by query,
/// as are objects with a shared access signature.
fn is_object(method: &Method, query: Option<&str>) -> bool {
    let asks = ["list-type=", "comp=", "restype="];
    method == Method::GET && !query.is_some_and(|query| asks.iter().any(|ask| query.contains(ask)))
}

async fn whole(body: Unstalled) -> Result<Bytes, Fault> {
    match Limited::new(body, MOST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(error) => Fault::Wrong(format!("the answer is too long: {error}")),
        }),
    }
}

/// Puts a fault into the library's own error. The kind keeps the library from repeating the request.
fn library(fault: Fault) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, fault)
}

fn lost(error: &(dyn StdError + 'static), is_connect: bool, host: &str) -> Fault {
    let reason = chain(error);
    if let Some(tls) = tls_error(error) {
        return Fault::Wrong(match tls {
            rustls::Error::InvalidCertificate(_) => format!(
                "the certificate of {host} is not trusted ({tls}); set the file of authorities, tls-ca-path"
            ),
            rustls::Error::InvalidMessage(_) => {
                format!("{host} does not speak TLS ({tls}); set insecure to speak without")
            }
            _ => return Fault::Lost(reason),
        });
    }
    Fault::Lost(match (is_connect, is_metadata(host)) {
        (true, true) => format!(
            "no credentials are set, and {host}, where this machine may have some, cannot be reached: {reason}"
        ),
        (true, false) => format!("cannot connect to {host}: {reason}"),
        (false, _) => format!("the connection to {host} was lost: {reason}"),
    })
}

/// Returns whether a host tells a machine or container of itself, its credentials included.
fn is_metadata(host: &str) -> bool {
    host == "metadata.google.internal"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_link_local())
}

/// Returns the error of TLS behind another; it hides in errors of the system.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Returns what an error and those behind it say, without addresses, whose queries may be signed.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut next = error.source().or(Some(error));
    let mut parts: Vec<String> = Vec::new();
    while let Some(error) = next {
        let part = error.to_string();
        if !parts.iter().any(|known| known.contains(&part)) {
            parts.push(part);
        }
        next = error.source();
    }
    shown(&parts.join(": "))
}

/// A body that fails when it stands still.
struct Unstalled {
    body: Incoming,
    host: String,
    stall: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Unstalled {
    fn new(body: Incoming, stall: Duration, host: &str) -> Self {
        Self {
            body,
            host: host.to_owned(),
            stall,
            alarm: Box::pin(sleep(stall)),
        }
    }
}

impl Body for Unstalled {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let later = Instant::now() + self.stall;
            self.alarm.as_mut().reset(later);
            let host = &self.host;
            return Poll::Ready(frame.map(|it| it.map_err(|error| lost(&error, false, host))));
        }
        self.alarm.as_mut().poll(cx).map(|()| {
            let Self { host, stall, .. } = &*self;
            Some(Err(Fault::Late(format!(
                "the answer of {host} stood still for {stall:?}"
            ))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns whether a status is one that a ranged read of nothing gets.
pub(super) fn is_outside(fault: Option<&Fault>) -> bool {
    matches!(fault, Some(Fault::Refused(refusal)) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_known_by_its_hosts() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "metadata.google.internal",
        ] {
            assert!(is_metadata(host), "{host}");
        }
        for host in ["s3.amazonaws.com", "127.0.0.1", "10.254.169.254", ""] {
            assert!(!is_metadata(host), "{host}");
        }
    }

    #[test]
    fn only_objects_may_be_large() {
        assert!(is_object(&Method::GET, None));
        assert!(is_object(&Method::GET, Some("sv=2020&sig=x")));
        assert!(!is_object(&Method::GET, Some("list-type=2&prefix=a")));
        assert!(!is_object(
            &Method::GET,
            Some("restype=container&comp=list")
        ));
        assert!(!is_object(&Method::POST, None));
        assert!(is_completion(&Method::POST, Some("uploadId=1")));
        assert!(!is_completion(&Method::POST, Some("uploads")));
    }

    #[test]
    fn receipts_are_read_in_each_dialect() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            Receipt::read(&headers).md5
        };
        assert_eq!(read("content-md5", "abc=").as_deref(), Some("abc="));
        assert_eq!(
            read("x-goog-hash", "crc32c=x==, md5=abc=").as_deref(),
            Some("abc=")
        );
        assert_eq!(read("x-goog-hash", "crc32c=x=="), None);
        assert_eq!(read("etag", "abc"), None);
    }
}
