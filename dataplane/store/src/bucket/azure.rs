//! Containers of Azure Blob Storage.

use object_store::RetryConfig;
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use secrecy::ExposeSecret;

use super::Environment;
use super::error::OpenError;
use super::http::Client;
use super::settings::{Azure, AzureAccess, Patience};

const SUFFIX: &str = "blob.core.windows.net";

/// Variables of an application or of workload identity.
const CREDENTIALS: [(&str, AzureConfigKey); 5] = [
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    (
        "AZURE_FEDERATED_TOKEN_FILE",
        AzureConfigKey::FederatedTokenFile,
    ),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
];

/// Makes a client of a container.
pub(super) fn open(
    settings: &Azure,
    patience: &Patience,
    environment: &Environment<'_>,
    no_retry: RetryConfig,
) -> Result<MicrosoftAzure, OpenError> {
    let said = match &settings.access {
        AzureAccess::ConnectionString(text) => Connection::read(text.expose_secret())?,
        _ => Connection::default(),
    };
    let account = Some(settings.account.as_str()).filter(|account| !account.is_empty());
    let account = account
        .or(said.account.as_deref())
        .ok_or_else(|| wrong("has no AccountName; set -storage.azure.account-name"))?;
    let endpoint = match &said.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => match settings.endpoint_suffix.as_str() {
            "" => format!("https://{account}.{SUFFIX}"),
            suffix => format!("https://{account}.{suffix}"),
        },
    };
    let client = Client::new(&settings.http, patience, environment)?;
    let is_http = endpoint.starts_with("http://");
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&settings.container)
        .with_endpoint(endpoint)
        .with_allow_http(is_http)
        .with_retry(no_retry)
        .with_http_connector(client);
    builder = match &settings.access {
        AzureAccess::Key(key) => builder.with_access_key(key.expose_secret()),
        AzureAccess::ConnectionString(_) => said.sign_in(builder)?,
        AzureAccess::Application {
            tenant,
            client,
            secret,
        } => builder.with_client_secret_authorization(client, secret.expose_secret(), tenant),
        AzureAccess::Environment { identity } => by_environment(builder, identity, environment),
    };
    builder.build().map_err(|error| OpenError::Client {
        backend: "azure",
        // The key itself may be what cannot be read, and be repeated.
        reason: match &error {
            object_store::Error::Generic { .. } => {
                "account, endpoint or key are malformed".to_owned()
            }
            error => error.to_string(),
        },
    })
}

fn by_environment(
    mut builder: MicrosoftAzureBuilder,
    identity: &str,
    environment: &Environment<'_>,
) -> MicrosoftAzureBuilder {
    if !identity.is_empty() {
        return builder.with_client_id(identity);
    }
    for (name, key) in CREDENTIALS {
        if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

/// What a connection string says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Connection {
    account: Option<String>,
    key: Option<String>,
    token: Option<String>,
    endpoint: Option<String>,
}

impl Connection {
    /// Reads `Name=value;Name=value`. Nothing of it is repeated in errors.
    fn read(text: &str) -> Result<Self, OpenError> {
        let mut said = Self::default();
        let (mut scheme, mut suffix) = ("https", None);
        for pair in text.split(';').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair
                .trim()
                .split_once('=')
                .ok_or_else(|| wrong("is not Name=value;Name=value"))?;
            match name.to_ascii_lowercase().as_str() {
                "accountname" => said.account = Some(value.to_owned()),
                "accountkey" => said.key = Some(value.to_owned()),
                "sharedaccesssignature" => said.token = Some(value.to_owned()),
                "blobendpoint" => said.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "endpointsuffix" => suffix = Some(value),
                "defaultendpointsprotocol" if matches!(value, "http" | "https") => scheme = value,
                // Those of queues, tables and files.
                _ => {}
            }
        }
        if let (None, Some(account), Some(suffix)) = (&said.endpoint, &said.account, suffix) {
            said.endpoint = Some(format!("{scheme}://{account}.blob.{suffix}"));
        }
        if said
            .endpoint
            .as_deref()
            .is_some_and(|url| !url.contains("://"))
        {
            return Err(wrong("has a BlobEndpoint without http:// or https://"));
        }
        if said.account.is_none() {
            said.account = said.account_of_endpoint();
        }
        Ok(said)
    }

    /// Returns the account by which the host's name begins, as strings with a token have it.
    fn account_of_endpoint(&self) -> Option<String> {
        let host = self.endpoint.as_deref()?.split("://").nth(1)?;
        let (account, rest) = host.split_once('.')?;
        rest.starts_with("blob.").then(|| account.to_owned())
    }

    fn sign_in(self, builder: MicrosoftAzureBuilder) -> Result<MicrosoftAzureBuilder, OpenError> {
        match (self.key, self.token) {
            (Some(key), _) => Ok(builder.with_access_key(key)),
            (None, Some(token)) => Ok(builder.with_config(AzureConfigKey::SasKey, token)),
            (None, None) => Err(wrong("has neither AccountKey nor SharedAccessSignature")),
        }
    }
}

fn wrong(reason: &str) -> OpenError {
    OpenError::Setting {
        setting: "-storage.azure.connection-string",
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::settings::Http;

    fn settings(access: AzureAccess) -> Azure {
        Azure {
            container: "profiles".to_owned(),
            account: String::new(),
            endpoint_suffix: String::new(),
            access,
            http: Http::default(),
        }
    }

    fn error(access: AzureAccess) -> String {
        let settings = settings(access);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let opened = open(
            &settings,
            &Patience::default(),
            &|_| None,
            RetryConfig::default(),
        );
        opened.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn connection_strings_are_read() {
        let emulator = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5PT0=;\
                        BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1/;";
        let said = Connection::read(emulator).unwrap();
        assert_eq!(said.account.as_deref(), Some("devstoreaccount1"));
        assert_eq!(said.key.as_deref(), Some("a2V5PT0="));
        let endpoint = "http://127.0.0.1:10000/devstoreaccount1";
        assert_eq!(said.endpoint.as_deref(), Some(endpoint));

        let portal = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aw==;EndpointSuffix=core.windows.net";
        let said = Connection::read(portal).unwrap();
        assert_eq!(
            said.endpoint.as_deref(),
            Some("https://a.blob.core.windows.net")
        );

        let token =
            "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=1&sig=x%3D";
        let said = Connection::read(token).unwrap();
        assert_eq!(said.account.as_deref(), Some("a"));
        assert_eq!(said.token.as_deref(), Some("sv=1&sig=x%3D"));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_repeated() {
        let of = |text: &str| error(AzureAccess::ConnectionString(text.into()));
        for (text, reason) in [
            ("hunter2", "is not Name=value"),
            ("AccountKey=hunter2", "has no AccountName"),
            ("AccountName=a", "has neither AccountKey"),
            ("AccountName=a;AccountKey=hunter2", "malformed"),
            (
                "AccountName=a;AccountKey=a2V5;BlobEndpoint=hunter2",
                "without http://",
            ),
        ] {
            let error = of(text);
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
