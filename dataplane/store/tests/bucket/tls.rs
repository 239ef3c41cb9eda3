//! Whose certificates are trusted.

use std::path::PathBuf;
use std::sync::Arc;

use pyroscope_store::bucket::{Bucket, Http};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::fake_gcs;
use crate::suite::broken;
use crate::target::{bytes, open, quick};

/// An authority of our own, its certificate in a file, and what a server of `127.0.0.1` has of it.
struct Authority {
    folder: tempfile::TempDir,
    server: ServerConfig,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self { folder, server }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

fn bucket(url: &str, authorities: Option<PathBuf>, any_certificate: bool) -> Bucket {
    let http = Http {
        authorities,
        any_certificate,
        ..Http::default()
    };
    open(fake_gcs::backend(url, "profiles", http), "", quick())
}

#[tokio::test]
async fn an_own_authority_is_trusted_when_it_is_named() {
    let authority = Authority::new();
    let address = fake_gcs::start_with_tls(authority.server.clone()).await;
    let url = format!("https://{address}");
    let trusting = bucket(&url, Some(authority.file()), false);
    trusting.put("a", bytes(100_000, 1)).await.unwrap();
    assert!(trusting.get("a", 1 << 20).await.unwrap() == bytes(100_000, 1));
    let careless = bucket(&url, None, true);
    assert!(careless.exists("a").await.unwrap());
}

#[tokio::test]
async fn other_certificates_are_refused_with_advice() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = fake_gcs::start_with_tls(authority.server.clone()).await;
    let url = format!("https://{address}");
    for authorities in [None, Some(other.file())] {
        let error = broken(bucket(&url, authorities, false).get("a", 1).await);
        assert!(error.contains("is not trusted"), "{error}");
        assert!(error.contains("tls-ca-path"), "{error}");
    }
    let named = format!("https://localhost:{}", address.port());
    let error = broken(
        bucket(&named, Some(authority.file()), false)
            .get("a", 1)
            .await,
    );
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_store_without_tls_is_told_apart() {
    let plain = fake_gcs::start().await.address;
    let error = broken(
        bucket(&format!("https://{plain}"), None, true)
            .get("a", 1)
            .await,
    );
    assert!(error.contains("does not speak TLS"), "{error}");
}
