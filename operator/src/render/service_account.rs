use crds::PyroscopeCluster;
use k8s_openapi::api::core::v1::ServiceAccount;

use super::labels;

/// Returns the name of the service account that pods run as.
pub(super) fn name(cluster: &PyroscopeCluster) -> &str {
    match cluster.spec.service_account.name.as_str() {
        "" => labels::name(cluster),
        name => name,
    }
}

/// Returns the service account, unless the specification names one that exists.
pub(super) fn service_account(cluster: &PyroscopeCluster) -> Option<ServiceAccount> {
    let wanted = &cluster.spec.service_account;
    if !wanted.name.is_empty() {
        return None;
    }
    let mut metadata = labels::meta(cluster, name(cluster).to_owned(), None);
    if !wanted.annotations.is_empty() {
        metadata.annotations = Some(wanted.annotations.clone());
    }
    Some(ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
