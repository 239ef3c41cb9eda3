//! S3, spoken by versitygw.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pyroscope_store::bucket::{Backend, Error, Http, S3, S3Key};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::process::Command;

use crate::faults;
use crate::server::{Server, built};
use crate::suite::{behaves, broken};
use crate::target::{Target, bytes, open, quick};

const BUCKET: &str = "profiles";
const KEY: &str = "writer";
const SECRET: &str = "a-secret";
const REGION: &str = "here";

async fn start(certificate: Option<(PathBuf, PathBuf)>) -> Server {
    let command = |address: SocketAddr, folder: &Path| {
        let root = folder.join("buckets");
        // A folder is a bucket.
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let mut command = Command::new(built("versitygw"));
        command.args(["--access", KEY, "--secret", SECRET, "--region", REGION]);
        command.args(["--port", &address.to_string(), "--quiet"]);
        if let Some((certificate, key)) = &certificate {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        // Attributes in files of their own: not every disk keeps them with its files.
        let attributes = folder.join("attributes");
        std::fs::create_dir_all(&attributes).unwrap();
        command
            .args(["posix", "--sidecar"])
            .arg(attributes)
            .arg(root);
        command
    };
    Server::start(command).await
}

fn s3(by: SocketAddr, http: Http) -> S3 {
    S3 {
        bucket: BUCKET.to_owned(),
        endpoint: by.to_string(),
        region: REGION.to_owned(),
        key: Some(S3Key {
            id: KEY.to_owned(),
            secret: SECRET.into(),
        }),
        insecure: true,
        path_style: None,
        encryption: None,
        http,
    }
}

fn target(server: &Server) -> Target {
    Target {
        address: server.address,
        head: Duration::from_secs(2),
        backend: Box::new(|by, http| Backend::S3(s3(by, http))),
    }
}

#[tokio::test]
async fn behaves_as_every_bucket() {
    let server = start(None).await;
    let target = target(&server);
    behaves(&target.open(server.address, "", quick())).await;
    behaves(&target.open(server.address, "a/prefix", quick())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_what_networks_do() {
    let server = start(None).await;
    faults::survives(&target(&server)).await;
}

#[tokio::test]
async fn wrong_keys_buckets_and_regions_are_told_apart() {
    let server = start(None).await;
    let with = |change: fn(&mut S3)| {
        let mut s3 = s3(server.address, Http::default());
        change(&mut s3);
        open(Backend::S3(s3), "", quick())
    };
    let denied = with(|s3| s3.key.as_mut().unwrap().secret = "another".into());
    let error = denied.get("a", 1).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(
        error.to_string().contains("SignatureDoesNotMatch"),
        "{error}"
    );
    let denied = with(|s3| s3.region = "elsewhere".to_owned());
    let error = denied.put("a", bytes(1, 1)).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("region"), "{error}");
    let missing = with(|s3| s3.bucket = "other".to_owned());
    let error = broken(missing.get("a", 1).await);
    assert!(
        error.contains("NoSuchBucket") && error.contains("make the bucket"),
        "{error}"
    );
    let error = broken(missing.put("a", bytes(1, 1)).await);
    assert!(error.contains("s3 bucket other"), "{error}");
    let error = broken(missing.exists("a").await);
    assert!(error.contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn speaks_by_tls_with_an_authority_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();

    let server = start(Some((path("cert.pem"), path("key.pem")))).await;
    let bucket = |authorities| {
        let http = Http {
            authorities,
            ..Http::default()
        };
        let mut s3 = s3(server.address, http);
        s3.insecure = false;
        open(Backend::S3(s3), "", quick())
    };
    let trusting = bucket(Some(path("ca.pem")));
    trusting.put("a", bytes(100_000, 1)).await.unwrap();
    assert!(trusting.get("a", 1 << 20).await.unwrap() == bytes(100_000, 1));
    let error = broken(bucket(None).get("a", 1).await);
    assert!(error.contains("is not trusted"), "{error}");
}

#[tokio::test]
async fn objects_are_encrypted_as_asked_or_the_store_says_no() {
    use pyroscope_store::bucket::S3Encryption;
    let server = start(None).await;
    for encryption in [S3Encryption::Store, S3Encryption::Kms("key".to_owned())] {
        let mut s3 = s3(server.address, Http::default());
        s3.encryption = Some(encryption);
        let bucket = open(Backend::S3(s3), "", quick());
        match bucket.put("a", bytes(100, 1)).await {
            Ok(()) => assert_eq!(bucket.get("a", 100).await.unwrap(), bytes(100, 1)),
            Err(error) => assert!(matches!(error, Error::Broken { .. }), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn what_it_keeps_is_the_file() {
    let server = start(None).await;
    let target = target(&server);
    let bucket = target.open(server.address, "p", quick());
    bucket.put("t/a", bytes(1000, 1)).await.unwrap();
    let file = server.folder.path().join("buckets/profiles/p/t/a");
    assert_eq!(std::fs::read(file).unwrap(), bytes(1000, 1));
}
