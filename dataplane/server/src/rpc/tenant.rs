//! Whose request it is.

use std::{fmt, sync::Arc};

use axum::http::HeaderMap;
use tonic::Status;

/// The HTTP header and gRPC metadata key that names the tenant.
pub(crate) const TENANT_HEADER: &str = "x-scope-orgid";

/// The tenant of every request while multitenancy is off.
const ANONYMOUS: &str = "anonymous";

/// Longest tenant ID, in bytes.
const MAX_TENANT_BYTES: usize = 150;

/// A valid tenant ID; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TenantId(Arc<str>);

impl TenantId {
    /// Returns the ID as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the tenant of a request is found.
#[derive(Debug, Clone)]
pub(crate) struct Tenancy {
    enabled: bool,
    anonymous: TenantId,
}

impl Tenancy {
    /// Creates the rule: with `enabled` each request must name its tenant,
    /// without it all requests are of one tenant and the header is ignored.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            anonymous: TenantId(ANONYMOUS.into()),
        }
    }

    /// Finds the tenant of a request.
    pub(super) fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Status> {
        if !self.enabled {
            return Ok(self.anonymous.clone());
        }
        let id = headers
            .get(TENANT_HEADER)
            .map_or(Ok(""), |value| value.to_str());
        match id {
            Err(_) => Err(Status::unauthenticated("tenant ID is not plain text")),
            Ok("") => Err(Status::unauthenticated("no org id")),
            Ok(id) if id.contains('|') => Err(Status::unauthenticated("multiple org IDs present")),
            Ok(id) => check(id).map(|()| TenantId(id.into())),
        }
    }
}

fn check(id: &str) -> Result<(), Status> {
    if id.len() > MAX_TENANT_BYTES {
        return Err(Status::unauthenticated(format!(
            "tenant ID is too long: max {MAX_TENANT_BYTES} characters"
        )));
    }
    if id == "." || id == ".." {
        return Err(Status::unauthenticated("tenant ID is '.' or '..'"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    match id.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(Status::unauthenticated(format!(
            "tenant ID '{id}' contains unsupported character '{c}'"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(value: &'static str) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert(TENANT_HEADER, value.parse().unwrap());
        Tenancy::new(true)
            .tenant(&headers)
            .map(|id| id.to_string())
            .map_err(|status| status.message().to_owned())
    }

    #[test]
    fn with_multitenancy_the_header_decides() {
        assert_eq!(tenant("team-a"), Ok("team-a".into()));
        assert_eq!(tenant(""), Err("no org id".into()));
        assert_eq!(tenant("a|b"), Err("multiple org IDs present".into()));
        assert!(tenant("a/b").is_err());
        assert!(tenant("..").is_err());
    }

    #[test]
    fn without_multitenancy_the_header_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(TENANT_HEADER, "a|b".parse().unwrap());
        let tenant = Tenancy::new(false).tenant(&headers).unwrap();
        assert_eq!(tenant.as_str(), ANONYMOUS);
    }
}
