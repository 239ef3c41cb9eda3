//! Settings of long-term storage: where the bucket is and who may use it.

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::duration::Duration;

/// Settings of long-term storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Kind of object store: `filesystem`, `s3`, `gcs` or `azure`.
    pub backend: String,
    /// What every key in the bucket starts with, without a slash at its ends; empty is nothing.
    pub prefix: String,
    /// The older name of [`Self::prefix`], used when that is empty.
    pub storage_prefix: String,
    /// Settings of the `filesystem` backend.
    pub filesystem: Filesystem,
    /// Settings of the `s3` backend.
    pub s3: S3,
    /// Settings of the `gcs` backend.
    pub gcs: Gcs,
    /// Settings of the `azure` backend.
    pub azure: Azure,
}

/// Settings of an object store on a local or shared disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filesystem {
    /// Directory that holds the objects.
    pub dir: String,
}

/// Settings of a bucket that is spoken to in the language of Amazon S3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Host and port of the service; empty is that of Amazon for the region.
    pub endpoint: String,
    /// Region; empty is that of the environment or of the endpoint's name.
    pub region: String,
    /// Name of the bucket.
    pub bucket_name: String,
    /// Secret part of a static key.
    pub secret_access_key: Secret,
    /// Public part of a static key; empty takes the credentials of the environment.
    pub access_key_id: String,
    /// Whether the service is spoken to without TLS.
    pub insecure: bool,
    /// Older way to ask for `path-style` in [`Self::bucket_lookup_type`].
    pub force_path_style: bool,
    /// Where the bucket's name stands in addresses: `auto`, `path-style` or
    /// `virtual-hosted-style`.
    pub bucket_lookup_type: String,
    /// Whether only the credentials of the environment may be taken.
    pub native_aws_auth_enabled: bool,
    /// Encryption by the service.
    pub sse: S3Sse,
    /// The HTTP client.
    pub http: StorageHttp,
}

/// How S3 encrypts objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Sse {
    /// `SSE-S3`, `SSE-KMS`, or empty for the bucket's own default.
    pub r#type: String,
    /// Key of `SSE-KMS`; empty is the account's.
    pub kms_key_id: String,
}

/// Settings of a bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gcs {
    /// Name of the bucket.
    pub bucket_name: String,
    /// A service account's key, as JSON; empty takes the credentials of the environment.
    pub service_account: Secret,
    /// The HTTP client.
    pub http: StorageHttp,
}

/// Settings of a container of Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Azure {
    /// Name of the storage account.
    pub account_name: String,
    /// Key of the storage account; empty takes another way to sign in.
    pub account_key: Secret,
    /// Connection string, which says account, key or token, and endpoint at once.
    pub connection_string: Secret,
    /// Name of the container.
    pub container_name: String,
    /// What follows the account's name in the host name; empty is `blob.core.windows.net`.
    pub endpoint_suffix: String,
    /// Attempts after the first.
    pub max_retries: u32,
    /// Client id of a managed identity that is assigned to the machine; empty is the machine's own.
    pub user_assigned_id: String,
    /// Directory of an application that signs in with a secret.
    pub az_tenant_id: String,
    /// Client id of that application.
    pub client_id: String,
    /// Secret of that application.
    pub client_secret: Secret,
}

/// Settings of the HTTP client of one backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageHttp {
    /// How long a connection may be idle before it is closed.
    pub idle_conn_timeout: Duration,
    /// How long the head of an answer may take; 0 leaves it to the operation's timeout.
    pub response_header_timeout: Duration,
    /// Whether every certificate is taken.
    pub insecure_skip_verify: bool,
    /// How long connecting may take, TLS included; 0 leaves it to the operation's timeout.
    pub tls_handshake_timeout: Duration,
    /// Idle connections that are kept.
    pub max_idle_connections_per_host: u32,
    /// Requests at once; 0 is the default.
    pub max_connections_per_host: u32,
    /// File with the authorities that the server's certificate may come from; empty is the host's.
    pub tls_ca_path: String,
}

impl Storage {
    /// Returns what every key in the bucket starts with.
    pub fn key_prefix(&self) -> &str {
        match self.prefix.as_str() {
            "" => &self.storage_prefix,
            prefix => prefix,
        }
    }
}

impl S3 {
    /// Returns whether addresses are to hold the bucket's name in their path, if that is said.
    pub fn path_style(&self) -> Option<bool> {
        match self.bucket_lookup_type.as_str() {
            "path-style" => Some(true),
            "virtual-hosted-style" => Some(false),
            _ => self.force_path_style.then_some(true),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            backend: "filesystem".to_owned(),
            prefix: String::new(),
            storage_prefix: String::new(),
            filesystem: Filesystem::default(),
            s3: S3::default(),
            gcs: Gcs::default(),
            azure: Azure::default(),
        }
    }
}

impl Default for Filesystem {
    fn default() -> Self {
        Self {
            dir: "./data/v2/shared".to_owned(),
        }
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            bucket_name: String::new(),
            secret_access_key: Secret::default(),
            access_key_id: String::new(),
            insecure: false,
            force_path_style: false,
            bucket_lookup_type: "auto".to_owned(),
            native_aws_auth_enabled: false,
            sse: S3Sse::default(),
            http: StorageHttp::default(),
        }
    }
}

impl Default for Azure {
    fn default() -> Self {
        Self {
            account_name: String::new(),
            account_key: Secret::default(),
            connection_string: Secret::default(),
            container_name: String::new(),
            endpoint_suffix: String::new(),
            max_retries: 3,
            user_assigned_id: String::new(),
            az_tenant_id: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
        }
    }
}

impl Default for StorageHttp {
    fn default() -> Self {
        Self {
            idle_conn_timeout: Duration::from_secs(600),
            response_header_timeout: Duration::from_secs(120),
            insecure_skip_verify: false,
            tls_handshake_timeout: Duration::from_secs(10),
            max_idle_connections_per_host: 1000,
            max_connections_per_host: 0,
            tls_ca_path: String::new(),
        }
    }
}
