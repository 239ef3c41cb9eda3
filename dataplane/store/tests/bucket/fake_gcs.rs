//! As much of Google Cloud Storage as a bucket needs, written from its documentation: the XML API
//! with its headers, tokens that a service account signs for itself, and what it says when something
//! is wrong. There is no server of it that comes as a package.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use md5::{Digest, Md5};
use pyroscope_store::bucket::{Backend, Gcs, Http};
use serde_json::{Value, json};

use crate::target::Target;

const BUCKET: &str = "profiles";
pub(crate) const EMAIL: &str = "writer@project.iam.gserviceaccount.com";

/// A key that signs for nothing but these tests.
const KEY: &str = include_str!("key.pem");

#[derive(Default)]
struct Stored {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    begun: u64,
}

type Shared = Arc<Mutex<Stored>>;

/// Starts a store with an empty bucket, whose client gets an account's key.
pub(crate) async fn start() -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(serve).with_state(Shared::default());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Target {
        address,
        head: Duration::from_millis(1500),
        backend: Box::new(|by, http| backend(&format!("http://{by}"), BUCKET, http)),
    }
}

/// Starts the same behind TLS.
pub(crate) async fn start_with_tls(config: rustls::ServerConfig) -> SocketAddr {
    let plain = start().await.address;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await?;
                let mut inner = tokio::net::TcpStream::connect(plain).await?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    address
}

/// Returns the settings of a bucket.
pub(crate) fn backend(url: &str, bucket: &str, http: Http) -> Backend {
    let account = json!({
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "1",
        "private_key": KEY,
        "gcs_base_url": url,
    });
    Backend::Gcs(Gcs {
        bucket: bucket.to_owned(),
        service_account: Some(account.to_string().into()),
        http,
    })
}

async fn serve(
    State(stored): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(reason) = check_token(&parts.headers) {
        return error(StatusCode::UNAUTHORIZED, "AuthenticationRequired", &reason);
    }
    let path = percent_decoded(parts.uri.path());
    let Some(key) = path.strip_prefix(&format!("/{BUCKET}")) else {
        return error(
            StatusCode::NOT_FOUND,
            "NoSuchBucket",
            "The specified bucket does not exist.",
        );
    };
    let key = key.trim_start_matches('/').to_owned();
    let body = axum::body::to_bytes(body, 1 << 30).await;
    let Ok(body) = body else {
        return error(StatusCode::BAD_REQUEST, "IncompleteBody", "");
    };
    let mut stored = stored.lock().unwrap();
    match (parts.method, query.get("uploadId")) {
        (Method::GET, _) if query.contains_key("list-type") => list(&stored, &query),
        (Method::GET | Method::HEAD, _) => read(&stored, &key, &parts.headers),
        (Method::PUT, Some(id)) => put_part(&mut stored, id, &query, body),
        (Method::PUT, None) => {
            let answer = received(&body);
            stored.objects.insert(key, body);
            answer
        }
        (Method::POST, Some(id)) => complete(&mut stored, id, key),
        (Method::POST, None) => {
            stored.begun += 1;
            let id = format!("upload-{}", stored.begun);
            stored.uploads.insert(id.clone(), BTreeMap::new());
            xml(format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        (Method::DELETE, Some(id)) => match stored.uploads.remove(id) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload", ""),
        },
        (Method::DELETE, None) => match stored.objects.remove(&key) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => no_such_key(),
        },
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", ""),
    }
}

/// Checks a token as far as that is possible without arithmetic: who made it, what for, and when.
fn check_token(headers: &HeaderMap) -> Result<(), String> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or("no bearer token")?;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        return Err("not a signed token".to_owned());
    };
    let read = |part: &str| -> Value {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    let (head, claims) = (read(head), read(claims));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expires = claims["exp"].as_u64().unwrap_or_default();
    let is_signed = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .is_ok_and(|it| it.len() == 256);
    match head["alg"] == "RS256" && claims["iss"] == EMAIL && expires > now && is_signed {
        true => Ok(()),
        false => Err(format!("{head} {claims}")),
    }
}

fn read(stored: &Stored, key: &str, headers: &HeaderMap) -> Response {
    let Some(object) = stored.objects.get(key) else {
        return no_such_key();
    };
    let answer = Response::builder()
        .header("etag", format!("\"{}\"", hex(object)))
        .header("last-modified", now("%a, %d %b %Y %H:%M:%S GMT"));
    let range = headers.get("range").and_then(|value| value.to_str().ok());
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else {
        return answer
            .header("content-length", object.len())
            .body(Body::from(object.clone()))
            .unwrap();
    };
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let end = last
        .parse::<usize>()
        .map_or(object.len(), |last| last + 1)
        .min(object.len());
    if first >= object.len() {
        return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "");
    }
    let within = format!("bytes {first}-{}/{}", end - 1, object.len());
    answer
        .status(StatusCode::PARTIAL_CONTENT)
        .header("content-range", within)
        .body(Body::from(object.slice(first..end)))
        .unwrap()
}

fn put_part(
    stored: &mut Stored,
    id: &str,
    query: &BTreeMap<String, String>,
    body: Bytes,
) -> Response {
    let Some(upload) = stored.uploads.get_mut(id) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload", "");
    };
    let answer = received(&body);
    upload.insert(query["partNumber"].parse().unwrap(), body);
    answer
}

fn complete(stored: &mut Stored, id: &str, key: String) -> Response {
    let Some(parts) = stored.uploads.remove(id) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload", "");
    };
    let parts: Vec<Bytes> = parts.into_values().collect();
    stored.objects.insert(key, parts.concat().into());
    xml(
        "<CompleteMultipartUploadResult><ETag>\"of-parts\"</ETag></CompleteMultipartUploadResult>"
            .to_owned(),
    )
}

fn list(stored: &Stored, query: &BTreeMap<String, String>) -> Response {
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter, after) = (of("prefix"), of("delimiter"), of("continuation-token"));
    let most: usize = of("max-keys").parse().unwrap_or(1000);
    let now = now("%Y-%m-%dT%H:%M:%SZ");
    let mut entries = BTreeMap::new();
    for (key, object) in stored.objects.range(prefix.to_owned()..) {
        let Some(rest) = key.strip_prefix(prefix) else {
            break;
        };
        match rest.split_once('/') {
            Some((folder, _)) if !delimiter.is_empty() => {
                let folder = format!("{prefix}{folder}/");
                entries.insert(
                    folder.clone(),
                    format!(
                        "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                        escaped(&folder)
                    ),
                );
            }
            _ => {
                let (length, key) = (object.len(), key.clone());
                let entry = format!(
                    "<Contents><Key>{}</Key><Size>{length}</Size><LastModified>{now}</LastModified></Contents>",
                    escaped(&key)
                );
                entries.insert(key, entry);
            }
        }
    }
    let mut left = entries
        .into_iter()
        .filter(|(key, _)| key.as_str() > after)
        .peekable();
    let mut body = "<ListBucketResult>".to_owned();
    let mut last = String::new();
    for (key, entry) in left.by_ref().take(most) {
        body += &entry;
        last = key;
    }
    if left.peek().is_some() {
        body += &format!(
            "<NextContinuationToken>{}</NextContinuationToken>",
            escaped(&last)
        );
    }
    xml(body + "</ListBucketResult>")
}

fn received(body: &Bytes) -> Response {
    let sum = BASE64_STANDARD.encode(Md5::digest(body));
    Response::builder()
        .header("etag", format!("\"{}\"", hex(body)))
        .header("x-goog-hash", "crc32c=AAAAAA==")
        .header("x-goog-hash", format!("md5={sum}"))
        .body(Body::empty())
        .unwrap()
}

fn now(format: &str) -> String {
    jiff::Timestamp::now().strftime(format).to_string()
}

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn xml(body: String) -> Response {
    ([("content-type", "application/xml")], body).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn no_such_key() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "NoSuchKey",
        "The specified key does not exist.",
    )
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{}</Message></Error>",
        escaped(message)
    );
    (status, body).into_response()
}

fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, rest) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| (*byte as char).to_digit(16).unwrap() as u8;
                bytes.push(digit(high) * 16 + digit(low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}
