//! Where a bucket is, who may use it, and how long its answers are waited for.

use std::path::PathBuf;
use std::time::Duration;

pub use secrecy::SecretString;

/// Everything about one bucket.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store that holds it.
    pub backend: Backend,
    /// What every key starts with: names with slashes between; empty is nothing.
    pub prefix: String,
    /// Requests at once, at least 1.
    pub parallel: usize,
    /// How long, and how often.
    pub patience: Patience,
}

/// A kind of store, with what it needs.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A directory of a local or shared disk.
    Filesystem(PathBuf),
    /// A store that speaks the language of Amazon S3.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
}

/// How long answers are waited for, and how often a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// The longest that one operation takes, pauses and repetitions included. An upload of many
    /// parts has this for each of its requests.
    pub operation: Duration,
    /// The longest that a body may stand still.
    pub stall: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// About the pause before the second attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// No pause is longer, unless the store asks for a longer one.
    pub longest_pause: Duration,
}

/// The HTTP client of a bucket.
#[derive(Clone, Debug)]
pub struct Http {
    /// How long connecting may take, TLS included; `None` leaves it to the operation.
    pub connect: Option<Duration>,
    /// How long it may take from the start of a request to the head of its answer; `None` leaves
    /// it to the operation.
    pub head: Option<Duration>,
    /// How long a connection may be idle; `None` is forever.
    pub idle: Option<Duration>,
    /// Idle connections that are kept.
    pub idle_connections: usize,
    /// Whether every certificate is taken.
    pub any_certificate: bool,
    /// File with the authorities to trust, in PEM form; `None` is those of the host.
    pub authorities: Option<PathBuf>,
}

/// A bucket of a store that speaks the language of Amazon S3.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Name of the bucket.
    pub bucket: String,
    /// Host and port; empty is Amazon's for the region.
    pub endpoint: String,
    /// Region; empty is that of the environment or of the endpoint.
    pub region: String,
    /// A static key; `None` takes the credentials of the environment.
    pub key: Option<S3Key>,
    /// Whether the store is spoken to without TLS.
    pub insecure: bool,
    /// Whether addresses hold the bucket in their path; `None` depends on the endpoint.
    pub path_style: Option<bool>,
    /// Encryption by the store; `None` is the bucket's default.
    pub encryption: Option<S3Encryption>,
    /// The HTTP client.
    pub http: Http,
}

/// A static key of S3.
#[derive(Clone, Debug)]
pub struct S3Key {
    /// Its public part.
    pub id: String,
    /// Its secret part.
    pub secret: SecretString,
}

/// How S3 encrypts objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Encryption {
    /// With keys of the store.
    Store,
    /// With a key of the key management service; empty is the account's.
    Kms(String),
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug)]
pub struct Gcs {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of a service account, as JSON; `None` takes the application default credentials.
    pub service_account: Option<SecretString>,
    /// The HTTP client.
    pub http: Http,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Name of the container.
    pub container: String,
    /// Name of the storage account; empty when the connection string has it.
    pub account: String,
    /// What follows the account in the host name; empty is `blob.core.windows.net`.
    pub endpoint_suffix: String,
    /// How to sign in.
    pub access: AzureAccess,
    /// The HTTP client.
    pub http: Http,
}

/// Ways to sign in to Azure.
#[derive(Clone, Debug)]
pub enum AzureAccess {
    /// The key of the storage account.
    Key(SecretString),
    /// A connection string, with a key or a shared access signature.
    ConnectionString(SecretString),
    /// An application with a secret.
    Application {
        /// Its directory.
        tenant: String,
        /// Its id.
        client: String,
        /// Its secret.
        secret: SecretString,
    },
    /// What the environment gives: an application, workload identity, or the managed identity with
    /// this client id, of which an empty one is the machine's own.
    Environment {
        /// Client id of the managed identity.
        identity: String,
    },
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(300),
            stall: Duration::from_secs(30),
            retries: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            head: Some(Duration::from_secs(120)),
            idle: Some(Duration::from_secs(600)),
            idle_connections: 1000,
            any_certificate: false,
            authorities: None,
        }
    }
}

impl Settings {
    /// Requests at once when nothing is said.
    pub const PARALLEL: usize = 64;

    /// Returns the settings of a backend with the usual patience and no prefix.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            prefix: String::new(),
            parallel: Self::PARALLEL,
            patience: Patience::default(),
        }
    }
}

impl Backend {
    /// Returns its kind and the name of the bucket.
    pub(super) fn name(&self) -> (&'static str, String) {
        match self {
            Self::Filesystem(path) => ("filesystem", path.display().to_string()),
            Self::S3(s3) => ("s3", s3.bucket.clone()),
            Self::Gcs(gcs) => ("gcs", gcs.bucket.clone()),
            Self::Azure(azure) => ("azure", azure.container.clone()),
        }
    }
}
