use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::rejection::Reason;
use crate::rpc::TenantId;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
    tenant: String,
}

/// What of pushes is not stored.
#[derive(Debug, Clone)]
pub(super) struct DiscardMetrics {
    samples: Family<Labels, Counter>,
}

impl DiscardMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let samples = Family::default();
        registry.register(
            "pyroscope_discarded_samples",
            "Profiles and series that were refused or dropped, by reason and tenant",
            samples.clone(),
        );
        Self { samples }
    }

    pub(super) fn discarded(
        &self,
        tenant: &TenantId,
        reasons: impl IntoIterator<Item = (Reason, u64)>,
    ) {
        for (reason, count) in reasons {
            let labels = Labels {
                reason: reason.as_str(),
                tenant: tenant.to_string(),
            };
            self.samples.get_or_create(&labels).inc_by(count);
        }
    }
}
