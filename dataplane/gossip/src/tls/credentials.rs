//! Certificates and keys as read from disk, made ready for use.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use thiserror::Error;
use trust::{Trust, TrustError};
use x509_cert::der::Decode;

use super::{TlsConfig, TlsVersion};

/// Why certificates cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path} holds no {what} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate, key and authorities do not work together.
    #[error("cannot use the TLS certificate {path}: {error}")]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
    /// The authorities do not make a verifier.
    #[error("cannot verify peers: {0}; set memberlist tls-ca-path")]
    Authorities(String),
    /// The name that peers must have is none.
    #[error("memberlist tls-server-name {0:?} is not a host name")]
    ServerName(String),
}

/// Contents of the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    /// Empty when no file is set.
    ca: Vec<u8>,
}

impl Files {
    pub(super) async fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&config.cert_path).await?,
            key: read(&config.key_path).await?,
            ca: match config.ca_path.as_os_str().is_empty() {
                true => Vec::new(),
                false => read(&config.ca_path).await?,
            },
        })
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|error| TlsError::File {
        path: path.to_owned(),
        error,
    })
}

/// Both roles of a node in TLS.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// When the first certificate of the chain to expire does.
    pub(super) expiry: Option<SystemTime>,
}

impl Credentials {
    pub(super) fn new(config: &TlsConfig, files: &Files) -> Result<Self, TlsError> {
        let chain =
            trust::certificates(&files.cert).ok_or_else(|| no_certificate(&config.cert_path))?;
        let pem = || TlsError::Pem {
            path: config.key_path.clone(),
            what: "private key",
        };
        let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| pem())?;
        Ok(Self {
            expiry: chain.iter().filter_map(not_after).min(),
            server: Arc::new(server(config, files, chain.clone(), key.clone_key())?),
            client: Arc::new(client(config, files, chain, key)?),
        })
    }
}

fn server(
    config: &TlsConfig,
    files: &Files,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let provider = provider(config);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(config.min_version))
        .map_err(|error| unusable(config, error))?;
    let builder = if files.ca.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = Trust::Authorities(&files.ca).roots();
        let roots = roots.map_err(|error| untrusted(config, error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| TlsError::Authorities(error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(config, error))
}

fn client(
    config: &TlsConfig,
    files: &Files,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let provider = provider(config);
    let verifier = trust(config, files)
        .server_verifier(Arc::clone(&provider))
        .map_err(|error| untrusted(config, error))?;
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(config.min_version))
        .map_err(|error| unusable(config, error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(config, error))
}

fn unusable(config: &TlsConfig, error: rustls::Error) -> TlsError {
    TlsError::Unusable {
        path: config.cert_path.clone(),
        error,
    }
}

fn provider(config: &TlsConfig) -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .retain(|suite| config.cipher_suites.allows(suite.suite()));
    Arc::new(provider)
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match min {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &NEWEST,
    }
}

/// Returns who may be a peer.
fn trust<'a>(config: &TlsConfig, files: &'a Files) -> Trust<'a> {
    match files {
        _ if config.insecure_skip_verify => Trust::Anybody,
        Files { ca, .. } if ca.is_empty() => Trust::Host,
        Files { ca, .. } => Trust::Authorities(ca),
    }
}

fn untrusted(config: &TlsConfig, error: TrustError) -> TlsError {
    match error {
        TrustError::Pem => no_certificate(&config.ca_path),
        error => TlsError::Authorities(error.to_string()),
    }
}

fn no_certificate(path: &Path) -> TlsError {
    TlsError::Pem {
        path: path.to_owned(),
        what: "certificate",
    }
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(
        parsed
            .tbs_certificate()
            .validity()
            .not_after
            .to_system_time(),
    )
}
