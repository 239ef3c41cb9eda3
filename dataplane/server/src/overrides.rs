//! Limits by tenant: those of the configuration and, on top of them, those of
//! the files that are read again while the process runs.

mod files;
mod limits;
mod metrics;
mod pages;

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use arc_swap::ArcSwap;
use contract::Config;

pub(crate) use files::Files;
pub(crate) use limits::Limits;

use crate::rpc::TenantId;

/// The limits of every tenant; cheap to clone and to read.
#[derive(Debug, Clone)]
pub(crate) struct Overrides {
    current: Arc<ArcSwap<Table>>,
}

/// The limits as of one reading of the files.
#[derive(Debug)]
struct Table {
    everybody: Arc<Limits>,
    tenants: HashMap<Box<str>, Arc<Limits>>,
    /// What the tenants were made of, for people.
    source: contract::overrides::Overrides,
}

impl Overrides {
    /// Creates the limits of a configuration, with no tenant of its own.
    ///
    /// # Errors
    ///
    /// Fails on a relabelling rule that is none.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let table = Table {
            everybody: Arc::new(Limits::new(&config.limits)?),
            tenants: HashMap::new(),
            source: contract::overrides::Overrides::new(),
        };
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(table)),
        })
    }

    /// Returns the limits of a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Limits> {
        let table = self.current.load();
        let own = table.tenants.get(tenant.as_str());
        Arc::clone(own.unwrap_or(&table.everybody))
    }

    /// Gives these tenants limits of their own, and no others.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, on a relabelling rule that is none.
    fn replace(&self, source: contract::overrides::Overrides) -> Result<()> {
        let compile = |(tenant, limits): (&String, &contract::config::Limits)| {
            Ok((tenant.as_str().into(), Arc::new(Limits::new(limits)?)))
        };
        let tenants = source.iter().map(compile).collect::<Result<_>>()?;
        let everybody = Arc::clone(&self.current.load().everybody);
        self.current.store(Arc::new(Table {
            everybody,
            tenants,
            source,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::rpc::{Rpc, TENANT_HEADER, Tenancy};

    fn tenant(name: &'static str) -> TenantId {
        let mut headers = HeaderMap::new();
        headers.insert(TENANT_HEADER, name.parse().unwrap());
        Rpc::new(Tenancy::new(true), 1)
            .context(&headers)
            .unwrap()
            .tenant
    }

    #[test]
    fn a_tenant_has_its_own_limits_or_those_of_everybody() {
        let config = Config::default();
        let overrides = Overrides::new(&config).unwrap();
        let rate = |name| overrides.of(&tenant(name)).rate.bytes_per_second;
        let everybody = rate("a");
        let mut own = config.limits.clone();
        own.ingestion_rate_mb *= 2.0;
        overrides.replace([("a".to_owned(), own)].into()).unwrap();
        assert_eq!((rate("a"), rate("b")), (2.0 * everybody, everybody));
        overrides
            .replace(contract::overrides::Overrides::new())
            .unwrap();
        assert_eq!(rate("a"), everybody);
    }
}
