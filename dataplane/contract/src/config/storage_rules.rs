//! Rules over the settings of long-term storage. Those of backends that are not chosen are not
//! looked at.

use super::storage::{Azure, Gcs, S3, Storage};
use super::validate::Rules;

impl Storage {
    /// Checks the chosen backend's settings.
    pub(super) fn check(&self, rules: &mut Rules) {
        rules.choice("storage.backend", &self.backend);
        self.check_prefix(rules);
        match self.backend.as_str() {
            "filesystem" => rules.require(
                !self.filesystem.dir.is_empty(),
                "storage.filesystem.dir",
                || "must not be empty".to_owned(),
            ),
            "s3" => self.s3.check(rules),
            "gcs" => self.gcs.check(rules),
            "azure" => self.azure.check(rules),
            _ => {}
        }
    }

    fn check_prefix(&self, rules: &mut Rules) {
        for (path, prefix) in [
            ("storage.prefix", &self.prefix),
            ("storage.storage_prefix", &self.storage_prefix),
        ] {
            rules.require(prefix.is_empty() || is_prefix(prefix), path, || {
                format!(
                    "{prefix:?} must be names of letters, digits, '-', '_' and '.' with '/' between them"
                )
            });
        }
        let (new, old) = (&self.prefix, &self.storage_prefix);
        rules.require(
            new.is_empty() || old.is_empty() || new == old,
            "storage.storage_prefix",
            || format!("{old:?} is not {new:?} of -storage.prefix; set only that"),
        );
    }
}

impl S3 {
    fn check(&self, rules: &mut Rules) {
        needed(rules, "storage.s3.bucket_name", &self.bucket_name, "s3");
        let host = self.endpoint.as_str();
        rules.require(
            !host.contains(['/', '@', '?', '#']) && !host.contains(char::is_whitespace),
            "storage.s3.endpoint",
            || format!("{host:?} is not host or host:port; whether it is spoken to by http is said by -storage.s3.insecure"),
        );
        rules.require(
            self.access_key_id.is_empty() == self.secret_access_key.is_empty(),
            "storage.s3.secret_access_key",
            || "and -storage.s3.access-key-id must be set both, or neither to take the credentials of the environment".to_owned(),
        );
        rules.require(
            !self.native_aws_auth_enabled || self.access_key_id.is_empty(),
            "storage.s3.native_aws_auth_enabled",
            || {
                "takes the credentials of the environment; remove -storage.s3.access-key-id"
                    .to_owned()
            },
        );
        rules.choice("storage.s3.bucket_lookup_type", &self.bucket_lookup_type);
        rules.require(
            !self.force_path_style || self.bucket_lookup_type != "virtual-hosted-style",
            "storage.s3.force_path_style",
            || "contradicts -storage.s3.bucket-lookup-type=virtual-hosted-style".to_owned(),
        );
        let encryption = self.sse.r#type.as_str();
        rules.require(
            matches!(encryption, "" | "SSE-S3" | "SSE-KMS"),
            "storage.s3.sse.type",
            || format!("{encryption:?} is neither SSE-S3 nor SSE-KMS"),
        );
        rules.require(
            self.sse.kms_key_id.is_empty() || encryption == "SSE-KMS",
            "storage.s3.sse.kms_key_id",
            || "is used with -storage.s3.sse.type=SSE-KMS only".to_owned(),
        );
    }
}

impl Gcs {
    fn check(&self, rules: &mut Rules) {
        needed(rules, "storage.gcs.bucket_name", &self.bucket_name, "gcs");
        let account = self.service_account.reveal();
        rules.require(
            account.is_empty()
                || serde_json::from_str::<serde_json::Map<_, _>>(account).is_ok()
                // As the overrides read the configuration again.
                || account == super::secret::MASK,
            "storage.gcs.service_account",
            || "is not a JSON object; give the content of the key's file, not its path".to_owned(),
        );
    }
}

impl Azure {
    fn check(&self, rules: &mut Rules) {
        let container = "storage.azure.container_name";
        needed(rules, container, &self.container_name, "azure");
        rules.require(
            !self.account_name.is_empty() || !self.connection_string.is_empty(),
            "storage.azure.account_name",
            || {
                "must be set with -storage.backend=azure, or -storage.azure.connection-string"
                    .to_owned()
            },
        );
        rules.require(
            self.connection_string.is_empty() || self.account_key.is_empty(),
            "storage.azure.connection_string",
            || "and -storage.azure.account-key exclude each other; remove one".to_owned(),
        );
        let host = self.endpoint_suffix.as_str();
        rules.require(
            !host.contains(['/', '@', '?', '#']) && !host.contains(char::is_whitespace),
            "storage.azure.endpoint_suffix",
            || format!("{host:?} is not the end of a host name, like blob.core.windows.net"),
        );
        let (tenant, client) = (&self.az_tenant_id, &self.client_id);
        rules.require(
            self.client_secret.is_empty() || (!tenant.is_empty() && !client.is_empty()),
            "storage.azure.client_secret",
            || "needs -storage.azure.az-tenant-id and -storage.azure.client-id".to_owned(),
        );
    }
}

fn needed(rules: &mut Rules, path: &str, value: &str, backend: &str) {
    rules.require(!value.is_empty(), path, || {
        format!("must be set with -storage.backend={backend}")
    });
    rules.require(
        !value.contains('/') && !value.contains(char::is_whitespace),
        path,
        || format!("{value:?} is not a name; a folder of the bucket is set by -storage.prefix"),
    );
}

fn is_prefix(prefix: &str) -> bool {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    prefix.split('/').all(is_name)
}
