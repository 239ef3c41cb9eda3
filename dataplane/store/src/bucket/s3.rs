//! Buckets that are spoken to in the language of Amazon S3.

use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use secrecy::ExposeSecret;

use super::Environment;
use super::error::OpenError;
use super::http::Client;
use super::settings::{Patience, S3, S3Encryption};

/// Variables from which credentials are taken, in the order in which the library looks at them:
/// static keys, web identity, the agent of a container, and then the machine's metadata.
const CREDENTIALS: [(&str, AmazonS3ConfigKey); 11] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
];

/// Makes a client of a bucket.
pub(super) fn open(
    settings: &S3,
    patience: &Patience,
    environment: &Environment<'_>,
    no_retry: RetryConfig,
) -> Result<AmazonS3, OpenError> {
    let address = Address::new(settings, environment)?;
    let client = Client::new(&settings.http, patience, environment)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&address.region)
        .with_endpoint(address.url(settings))
        .with_virtual_hosted_style_request(!address.path_style)
        .with_allow_http(settings.insecure)
        // Other stores than Amazon's have no deletion of many, and we delete one by one.
        .with_disable_bulk_delete(true)
        .with_retry(no_retry)
        .with_http_connector(client);
    if let Some(key) = &settings.key {
        builder = builder
            .with_access_key_id(&key.id)
            .with_secret_access_key(key.secret.expose_secret());
    } else {
        for (name, key) in CREDENTIALS {
            if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
                builder = builder.with_config(key, value);
            }
        }
    }
    if let Some(encryption) = &settings.encryption {
        builder = encrypted(builder, encryption);
    }
    builder.build().map_err(|error| OpenError::Client {
        backend: "s3",
        reason: error.to_string(),
    })
}

fn encrypted(builder: AmazonS3Builder, encryption: &S3Encryption) -> AmazonS3Builder {
    let with = |builder: AmazonS3Builder, name: &str, value: &str| {
        let key: AmazonS3ConfigKey = name.parse().expect("a key of the library");
        builder.with_config(key, value)
    };
    match encryption {
        S3Encryption::Store => with(builder, "server_side_encryption", "AES256"),
        S3Encryption::Kms(id) => {
            let builder = with(builder, "server_side_encryption", "aws:kms");
            match id.as_str() {
                "" => builder,
                id => with(builder, "sse_kms_key_id", id),
            }
        }
    }
}

/// Where a bucket is.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Host and perhaps port, without the bucket.
    host: String,
    region: String,
    path_style: bool,
}

impl Address {
    fn new(settings: &S3, environment: &Environment<'_>) -> Result<Self, OpenError> {
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let region = Some(settings.region.clone())
            .filter(|region| !region.is_empty())
            .or_else(|| said("AWS_REGION"))
            .or_else(|| said("AWS_DEFAULT_REGION"));
        let endpoint = settings.endpoint.as_str();
        let region = match (region, endpoint) {
            (Some(region), _) => region,
            (None, "") => {
                return Err(OpenError::Setting {
                    setting: "-storage.s3.region",
                    reason: "must be set, or AWS_REGION, or -storage.s3.endpoint of another store than Amazon's".to_owned(),
                });
            }
            // Other stores do not care, but want one in the signature.
            (None, _) => region_of(endpoint).unwrap_or("us-east-1").to_owned(),
        };
        let host = match endpoint {
            // The name without a region is that of us-east-1; elsewhere it only redirects.
            "" | "s3.amazonaws.com" => amazon(&region),
            endpoint => endpoint.to_owned(),
        };
        // A certificate is for one label in the bucket's place, so not for a name with dots.
        let by_name = is_amazon(&host) && (settings.insecure || !settings.bucket.contains('.'));
        let path_style = settings.path_style.unwrap_or(!by_name);
        Ok(Self {
            host,
            region,
            path_style,
        })
    }

    fn url(&self, settings: &S3) -> String {
        let scheme = if settings.insecure { "http" } else { "https" };
        match self.path_style {
            true => format!("{scheme}://{}", self.host),
            false => format!("{scheme}://{}.{}", settings.bucket, self.host),
        }
    }
}

fn amazon(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("s3.{region}.amazonaws.com{china}")
}

fn is_amazon(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// Returns the region in a name of Amazon's, as in `s3.dualstack.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    let name = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let last = name.rsplit('.').next()?;
    let region = last.strip_prefix("s3-").unwrap_or(last);
    (!matches!(region, "s3" | "dualstack")).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::settings::Http;

    fn settings(endpoint: &str, region: &str) -> S3 {
        S3 {
            bucket: "profiles".to_owned(),
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            key: None,
            insecure: false,
            path_style: None,
            encryption: None,
            http: Http::default(),
        }
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn address(settings: &S3) -> (String, String) {
        let address = Address::new(settings, &nothing).unwrap();
        (address.url(settings), address.region)
    }

    #[test]
    fn addresses_follow_endpoint_region_and_style() {
        let cases = [
            (
                "",
                "eu-west-2",
                "https://profiles.s3.eu-west-2.amazonaws.com",
                "eu-west-2",
            ),
            (
                "",
                "cn-north-1",
                "https://profiles.s3.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "s3.amazonaws.com",
                "eu-west-2",
                "https://profiles.s3.eu-west-2.amazonaws.com",
                "eu-west-2",
            ),
            (
                "s3.amazonaws.com",
                "",
                "https://profiles.s3.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                "s3.eu-west-1.amazonaws.com",
                "",
                "https://profiles.s3.eu-west-1.amazonaws.com",
                "eu-west-1",
            ),
            (
                "s3.dualstack.eu-west-1.amazonaws.com",
                "",
                "https://profiles.s3.dualstack.eu-west-1.amazonaws.com",
                "eu-west-1",
            ),
            (
                "s3-us-west-2.amazonaws.com",
                "",
                "https://profiles.s3-us-west-2.amazonaws.com",
                "us-west-2",
            ),
            ("minio:9000", "", "https://minio:9000", "us-east-1"),
            ("minio:9000", "here", "https://minio:9000", "here"),
        ];
        for (endpoint, region, url, expected) in cases {
            let expected = (url.to_owned(), expected.to_owned());
            assert_eq!(address(&settings(endpoint, region)), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_client_is_made_of_every_kind_of_encryption() {
        for encryption in [
            S3Encryption::Store,
            S3Encryption::Kms(String::new()),
            S3Encryption::Kms("key".to_owned()),
        ] {
            let mut settings = settings("", "eu-west-2");
            settings.encryption = Some(encryption);
            let opened = open(
                &settings,
                &Patience::default(),
                &nothing,
                RetryConfig::default(),
            );
            assert!(opened.is_ok(), "{opened:?}");
        }
    }

    #[test]
    fn the_style_that_is_asked_for_wins() {
        let mut amazon = settings("", "eu-west-2");
        amazon.path_style = Some(true);
        assert_eq!(address(&amazon).0, "https://s3.eu-west-2.amazonaws.com");
        let mut other = settings("minio:9000", "");
        (other.path_style, other.insecure) = (Some(false), true);
        assert_eq!(address(&other).0, "http://profiles.minio:9000");
        let mut dotted = settings("", "eu-west-2");
        dotted.bucket = "my.profiles".to_owned();
        assert_eq!(address(&dotted).0, "https://s3.eu-west-2.amazonaws.com");
    }

    #[test]
    fn a_region_is_taken_from_the_environment_or_asked_for() {
        let environment = |name: &str| (name == "AWS_REGION").then(|| "eu-west-3".to_owned());
        let address = Address::new(&settings("", ""), &environment).unwrap();
        assert_eq!(address.region, "eu-west-3");
        let error = Address::new(&settings("", ""), &nothing).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("-storage.s3.region: must be set")
        );
    }
}
