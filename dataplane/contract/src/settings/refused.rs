//! Settings of Grafana Pyroscope that must not be ignored: whoever sets them counts on
//! encryption or signatures, on data being changed or dropped, or on another address.

use super::{Effect, Kind, Setting};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    refused(
        "server.http-tls-cert-path",
        "server.http_tls_config.cert_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.http-tls-key-path",
        "server.http_tls_config.key_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.http-tls-ca-path",
        "server.http_tls_config.client_ca_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.http-tls-client-auth",
        "server.http_tls_config.client_auth_type",
        Kind::Text,
        "",
    ),
    refused(
        "server.grpc-tls-cert-path",
        "server.grpc_tls_config.cert_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.grpc-tls-key-path",
        "server.grpc_tls_config.key_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.grpc-tls-ca-path",
        "server.grpc_tls_config.client_ca_file",
        Kind::Text,
        "",
    ),
    refused(
        "server.grpc-tls-client-auth",
        "server.grpc_tls_config.client_auth_type",
        Kind::Text,
        "",
    ),
    refused(
        "server.http-listen-network",
        "server.http_listen_network",
        Kind::Text,
        "tcp",
    ),
    refused(
        "server.path-prefix",
        "server.http_path_prefix",
        Kind::Text,
        "",
    ),
    refused(
        "server.proxy-protocol-enabled",
        "server.proxy_protocol_enabled",
        Kind::Bool,
        "false",
    ),
    refused(
        "storage.s3.signature-version",
        "storage.s3.signature_version",
        Kind::Text,
        "v4",
    ),
    refused(
        "storage.s3.sse.kms-encryption-context",
        "storage.s3.sse.kms_encryption_context",
        Kind::Text,
        "",
    ),
];

const fn refused(
    flag: &'static str,
    path: &'static str,
    kind: Kind,
    unless: &'static str,
) -> Setting {
    Setting {
        flag,
        path,
        kind,
        effect: Effect::Refused { unless },
        help: "",
    }
}
