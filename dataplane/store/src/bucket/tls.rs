//! Whose certificates a store may have.

use std::sync::Arc;

use rustls::ClientConfig;
use trust::Trust;

use super::error::OpenError;
use super::settings::Http;

/// Returns how a client of these settings does TLS.
pub(super) fn config(settings: &Http) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Authorities(error.to_string()))?;
    let file = settings.authorities.as_deref();
    let pem = file
        .map(|path| {
            std::fs::read(path).map_err(|error| OpenError::File {
                path: path.to_owned(),
                error,
            })
        })
        .transpose()?;
    let trust = match &pem {
        _ if settings.any_certificate => Trust::Anybody,
        None => Trust::Host,
        Some(pem) => Trust::Authorities(pem),
    };
    let verifier = trust.server_verifier(provider).map_err(|error| {
        let of = file.map(|path| format!("{}: ", path.display()));
        OpenError::Authorities(format!("{}{error}", of.unwrap_or_default()))
    })?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}
