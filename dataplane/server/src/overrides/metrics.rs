use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hash {
    sha256: String,
}

/// What the reading of the files came to; the names are those of Grafana dskit
/// behind the prefix that Pyroscope gives them.
#[derive(Debug, Clone)]
pub(super) struct FileMetrics {
    successful: Gauge<u64, AtomicU64>,
    hash: Family<Hash, Gauge>,
}

impl FileMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new = Self {
            successful: Gauge::default(),
            hash: Family::default(),
        };
        registry.register(
            "pyroscope_runtime_config_last_reload_successful",
            "Whether the last runtime-config reload attempt was successful",
            new.successful.clone(),
        );
        registry.register(
            "pyroscope_runtime_config_hash",
            "Hash of the currently active runtime configuration, merged from all configured files",
            new.hash.clone(),
        );
        new
    }

    pub(super) fn observe(&self, successful: bool) {
        self.successful.set(u64::from(successful));
    }

    pub(super) fn active(&self, sha256: String) {
        self.hash.clear();
        self.hash.get_or_create(&Hash { sha256 }).set(1);
    }
}
