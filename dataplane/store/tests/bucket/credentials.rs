//! Credentials of S3 that the environment gives: keys, those of an instance, of a pod and of a web
//! identity. One server gives them out and is the store, which looks at who has signed; whether a
//! signature is right is checked by a real one, which takes no credentials that expire.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use prometheus_client::registry::Registry;
use pyroscope_store::bucket::{Backend, Bucket, Http, S3, Settings};

use crate::target::{bytes, quick};

const KEY: &str = "writer";

/// What was asked for, and who signed what is for the store.
type Seen = Arc<Mutex<Vec<String>>>;

/// Starts a server that gives out a key in each of the ways of Amazon.
async fn giver(seen: Seen) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(give).with_state(seen);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn give(State(seen): State<Seen>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 16).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let said = format!(
        "{} {} {query} {}",
        parts.method,
        parts.uri.path(),
        String::from_utf8_lossy(&body)
    );
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    seen.lock().unwrap().push(said.chars().take(300).collect());
    let role = "/latest/meta-data/iam/security-credentials/";
    match (&parts.method, parts.uri.path()) {
        (&Method::PUT, "/profiles/a") => {
            let signer = header("authorization").unwrap_or_default();
            let session = header("x-amz-security-token").unwrap_or_default();
            seen.lock().unwrap().push(format!("{signer} {session}"));
            let tag: String = Md5::digest(&body).iter().map(|it| format!("{it:02x}")).collect();
            [("etag", tag)].into_response()
        }
        (&Method::PUT, "/latest/api/token") => "a-session".into_response(),
        (&Method::GET, path) if path.starts_with(role) => {
            if header("x-aws-ec2-metadata-token").as_deref() != Some("a-session") {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            match path.strip_prefix(role) {
                Some("") => "a-role".into_response(),
                _ => json().into_response(),
            }
        }
        (&Method::GET, "/pod") if header("authorization").as_deref() == Some("pods-token") => {
            json().into_response()
        }
        _ if said.contains("AssumeRoleWithWebIdentity") && said.contains("webs-token") => {
            format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                 <AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>a-secret</SecretAccessKey>\
                 <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                 </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            )
            .into_response()
        }
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

fn json() -> String {
    format!(
        r#"{{"Code": "Success", "AccessKeyId": "{KEY}", "SecretAccessKey": "a-secret",
            "Token": "session", "Expiration": "2099-01-01T00:00:00Z"}}"#
    )
}

fn open(store: SocketAddr, environment: &BTreeMap<&str, String>) -> Bucket {
    let mut settings = Settings::new(Backend::S3(S3 {
        bucket: "profiles".to_owned(),
        endpoint: store.to_string(),
        region: "here".to_owned(),
        key: None,
        insecure: true,
        path_style: None,
        encryption: None,
        http: Http::default(),
    }));
    settings.patience = quick();
    let find = |name: &str| environment.get(name).cloned();
    Bucket::open(&settings, &find, &mut Registry::default()).unwrap()
}

#[tokio::test]
async fn every_way_to_have_credentials_works() {
    let seen = Seen::default();
    let giver = giver(Arc::clone(&seen)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ways: [(&str, BTreeMap<&str, String>); 4] = [
        (
            "",
            BTreeMap::from([
                ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "a-secret".to_owned()),
            ]),
        ),
        (
            "/latest/meta-data/iam/security-credentials/a-role",
            BTreeMap::from([("AWS_METADATA_ENDPOINT", format!("http://{giver}"))]),
        ),
        (
            "/pod",
            BTreeMap::from([
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    format!("http://{giver}/pod"),
                ),
                (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                    file("pod", "pods-token"),
                ),
            ]),
        ),
        (
            "AssumeRoleWithWebIdentity",
            BTreeMap::from([
                ("AWS_WEB_IDENTITY_TOKEN_FILE", file("web", "webs-token")),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/writer".to_owned()),
                ("AWS_ENDPOINT_URL_STS", format!("http://{giver}")),
            ]),
        ),
    ];
    for (asked, environment) in ways {
        let bucket = open(giver, &environment);
        bucket.put("a", bytes(100, 1)).await.unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert!(
            seen.iter().any(|it| it.contains(asked)),
            "{asked}: {seen:?}"
        );
        let signed = seen.last().unwrap();
        assert!(signed.contains(&format!("Credential={KEY}/")), "{signed}");
        assert!(signed.contains("/here/s3/aws4_request"), "{signed}");
        let session = if asked.is_empty() { " " } else { " session" };
        assert!(signed.ends_with(session), "{signed}");
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_no_secret() {
    let giver = giver(Seen::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hunter2").unwrap();
    let environment = BTreeMap::from([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/writer".to_owned()),
        ("AWS_ENDPOINT_URL_STS", format!("http://{giver}")),
    ]);
    let error = open(giver, &environment).get("a", 1).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("Denied") && text.contains("403"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
