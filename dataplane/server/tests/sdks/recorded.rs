//! Requests as clients sent them, and what they were answered.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{fs, path::PathBuf};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
        request::Parts,
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Where the fixtures are.
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sdks");

/// Headers that belong to a connection, not to what it carries.
const OF_THE_CONNECTION: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::EXPECT,
];

/// A request of a client.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    method: Method,
    /// Path and query.
    pub(crate) target: String,
    version: Version,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What a client was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Recorded {
    /// Returns what is worth keeping of a request.
    pub(crate) fn new(head: &Parts, body: Bytes) -> Self {
        let target = head.uri.path_and_query();
        let headers = head.headers.iter();
        let headers = headers.filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
        Self {
            method: head.method.clone(),
            target: target.map_or("/", |target| target.as_str()).to_owned(),
            version: head.version,
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            body,
        }
    }

    /// Returns the file of a fixture.
    pub(crate) fn path(fixture: &str) -> PathBuf {
        PathBuf::from(FOLDER).join(format!("{fixture}.http"))
    }

    /// Reads a fixture: the head as HTTP/1.1 writes it (with line feeds alone), an
    /// empty line, the body as it was sent.
    pub(crate) fn read(fixture: &str) -> Self {
        let path = Self::path(fixture);
        let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let end = file.windows(2).position(|pair| pair == b"\n\n");
        let end = end.expect("an empty line ends the head");
        let head = std::str::from_utf8(&file[..end]).expect("the head is text");
        let mut lines = head.lines();
        let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, version] = first[..] else {
            panic!("{fixture}: the first line is not METHOD TARGET VERSION");
        };
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header is NAME: VALUE");
            (
                name.parse().expect("a name"),
                value.parse().expect("a value"),
            )
        });
        Self {
            method: method.parse().expect("a method"),
            target: target.to_owned(),
            version: match version {
                "HTTP/2.0" => Version::HTTP_2,
                _ => Version::HTTP_11,
            },
            headers: headers.collect(),
            body: Bytes::copy_from_slice(&file[end + 2..]),
        }
    }

    /// Writes the fixture.
    pub(crate) fn write(&self, fixture: &str) {
        let mut file = format!("{} {} {:?}\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            file.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        file.push(b'\n');
        file.extend(&self.body);
        fs::write(Self::path(fixture), file).expect("the fixture is written");
    }

    /// Sends the request to `host:port`, by the version of HTTP that it came with.
    pub(crate) async fn send(&self, host: &str) -> Answer {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("http://{host}{}", self.target));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body.clone()));
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .http2_only(self.version == Version::HTTP_2)
            .build_http();
        let answer = client.request(request.expect("a request")).await;
        let (head, body) = answer
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.target))
            .into_parts();
        let body = body.collect().await.expect("the answer ends");
        Answer {
            status: head.status,
            headers: head.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        }
    }
}

impl Answer {
    /// Says whether the server did what it was asked; gRPC says so in trailers, or
    /// in headers when there is no message.
    pub(crate) fn is_success(&self) -> bool {
        let trailers = self.trailers.as_ref();
        let code = trailers.and_then(|trailers| trailers.get("grpc-status"));
        let code = code.or_else(|| self.headers.get("grpc-status"));
        self.status == StatusCode::OK && code.is_none_or(|code| code == "0")
    }

    /// Returns the status and the text for people.
    pub(crate) fn describe(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{} {text} {:?}", self.status, self.trailers)
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let trailers = self.trailers.map(Ok);
        let body = Full::new(self.body).with_trailers(async { trailers });
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
