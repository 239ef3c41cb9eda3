//! Whom this side of a TLS connection trusts.

#![warn(missing_docs)]

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whose certificates are accepted.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Everybody's.
    Anybody,
    /// Those that the authorities of the host have signed.
    Host,
    /// Those that these authorities have signed, in PEM form.
    Authorities(&'a [u8]),
}

/// Why nobody would be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities are no certificates.
    #[error("there is no certificate in PEM form")]
    Pem,
    /// No authority can be used.
    #[error("there is no authority to trust")]
    Nobody,
    /// The authorities do not make a verifier.
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
}

impl Trust<'_> {
    /// Returns what verifies the certificates of servers.
    ///
    /// # Errors
    /// There is nobody to trust.
    pub fn server_verifier(
        self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        if matches!(self, Self::Anybody) {
            return Ok(Arc::new(AnyCertificate(provider)));
        }
        let roots = Arc::new(self.roots()?);
        Ok(WebPkiServerVerifier::builder_with_provider(roots, provider).build()?)
    }

    /// Returns the authorities.
    ///
    /// # Errors
    /// There are none, and so everybody would be refused.
    pub fn roots(self) -> Result<RootCertStore, TrustError> {
        let certificates = match self {
            Self::Anybody => Vec::new(),
            Self::Host => rustls_native_certs::load_native_certs().certs,
            Self::Authorities(pem) => certificates(pem).ok_or(TrustError::Pem)?,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(TrustError::Nobody);
        }
        Ok(roots)
    }
}

/// Reads certificates in PEM form; `None` if there is none, or one is broken.
pub fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty())
}

/// Takes every certificate, but still wants its holder to have the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_trusted_by_mistake() {
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for pem in [&b""[..], b"no certificate", broken] {
            let roots = Trust::Authorities(pem).roots();
            assert!(matches!(roots, Err(TrustError::Pem)), "{roots:?}");
        }
        // Certificates that are whole in PEM form and say nothing.
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let roots = Trust::Authorities(empty).roots();
        assert!(matches!(roots, Err(TrustError::Nobody)), "{roots:?}");
        let roots = Trust::Anybody.roots();
        assert!(matches!(roots, Err(TrustError::Nobody)), "{roots:?}");
    }
}
