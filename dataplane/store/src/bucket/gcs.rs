//! Buckets of Google Cloud Storage.

use object_store::RetryConfig;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use secrecy::ExposeSecret;

use super::Environment;
use super::error::OpenError;
use super::http::Client;
use super::settings::{Gcs, Patience};

const SETTING: &str = "-storage.gcs.service-account";

/// Makes a client of a bucket.
pub(super) fn open(
    settings: &Gcs,
    patience: &Patience,
    environment: &Environment<'_>,
    no_retry: RetryConfig,
) -> Result<GoogleCloudStorage, OpenError> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&settings.bucket)
        .with_retry(no_retry);
    if let Some(account) = &settings.service_account {
        let account = account.expose_secret();
        check(account)?;
        builder = builder.with_service_account_key(account);
    } else if let Some(path) = environment("GOOGLE_APPLICATION_CREDENTIALS") {
        builder = builder.with_application_credentials(path);
    }
    builder
        .with_http_connector(Client::new(&settings.http, patience, environment)?)
        .build()
        .map_err(|error| OpenError::Client {
            backend: "gcs",
            reason: error.to_string(),
        })
}

/// Checks a key. Nothing of it is repeated in errors.
fn check(key: &str) -> Result<(), OpenError> {
    let wrong = |reason: &str| OpenError::Setting {
        setting: SETTING,
        reason: reason.to_owned(),
    };
    let key: serde_json::Value = serde_json::from_str(key).map_err(|_| wrong("is not JSON"))?;
    match key.get("type").and_then(serde_json::Value::as_str) {
        Some("service_account") | None => Ok(()),
        Some("external_account") => Err(wrong(
            "is a federated identity, which is not supported; use a service account's key, or the identity of the machine or pod",
        )),
        Some(_) => Err(wrong("is not the key of a service account")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_are() {
        assert!(check(r#"{"type": "service_account"}"#).is_ok());
        for (bad, reason) in [
            ("/var/key.json", "is not JSON"),
            (r#"{"type": "external_account"}"#, "federated identity"),
            (
                r#"{"type": "authorized_user"}"#,
                "not the key of a service account",
            ),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(
                error.starts_with(SETTING) && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        let secret = r#"{"type": "service_account", "private_key": "hunter2", "client_email": 1}"#;
        let settings = Gcs {
            bucket: "b".to_owned(),
            service_account: Some(secret.into()),
            http: super::super::settings::Http::default(),
        };
        let error = open(
            &settings,
            &Patience::default(),
            &|_| None,
            RetryConfig::default(),
        );
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
