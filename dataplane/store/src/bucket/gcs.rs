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
    let mut host = "storage.googleapis.com".to_owned();
    if let Some(account) = &settings.service_account {
        let account = account.expose_secret();
        let said = Account::read(account)?;
        host = said.host.unwrap_or(host);
        builder = builder.with_service_account_key(account);
    } else if let Some(path) = environment("GOOGLE_APPLICATION_CREDENTIALS") {
        builder = builder.with_application_credentials(path);
    }
    builder
        .with_http_connector(Client::new(&settings.http, patience, &host)?)
        .build()
        .map_err(|error| OpenError::Client {
            backend: "gcs",
            reason: error.to_string(),
        })
}

/// What must be known of an account's key beside the key.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    /// The host of another store than Google's, as tests and emulators have.
    host: Option<String>,
}

impl Account {
    /// Reads a key. Nothing of it is repeated in errors.
    fn read(text: &str) -> Result<Self, OpenError> {
        let wrong = |reason: &str| OpenError::Setting {
            setting: SETTING,
            reason: reason.to_owned(),
        };
        let key: serde_json::Value =
            serde_json::from_str(text).map_err(|_| wrong("is not JSON"))?;
        let word = |name: &str| key.get(name).and_then(serde_json::Value::as_str);
        match word("type") {
            Some("service_account") | None => {}
            Some("external_account") => {
                return Err(wrong(
                    "is a federated identity, which is not supported; use a service account's key, or the identity of the machine or pod",
                ));
            }
            Some(_) => return Err(wrong("is not the key of a service account")),
        }
        let host = word("gcs_base_url").and_then(|url| url.split("://").nth(1));
        Ok(Self {
            host: host.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_are() {
        let host = |text: &str| Account::read(text).unwrap().host;
        assert_eq!(host(r#"{"type": "service_account"}"#), None);
        let emulator = r#"{"gcs_base_url": "http://127.0.0.1:4443"}"#;
        assert_eq!(host(emulator).as_deref(), Some("127.0.0.1:4443"));
        for (bad, reason) in [
            ("/var/key.json", "is not JSON"),
            (r#"{"type": "external_account"}"#, "federated identity"),
            (
                r#"{"type": "authorized_user"}"#,
                "not the key of a service account",
            ),
        ] {
            let error = Account::read(bad).unwrap_err().to_string();
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
