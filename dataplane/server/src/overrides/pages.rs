use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Query,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use contract::Config;
use serde::Deserialize;

use super::Overrides;
use crate::rpc::{Rpc, error_response};

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    mode: String,
}

impl Overrides {
    /// Returns the pages: `/runtime_config` for all tenants, with `?mode=diff` for
    /// what is not as for everybody, and `/api/v1/tenant_limits` for the one that
    /// asks.
    pub(crate) fn routes(&self, config: &Arc<Config>, rpc: &Rpc) -> Router {
        let (overrides, everybody) = (self.clone(), Arc::clone(config));
        let all = move |Query(params): Query<Params>| async move {
            overrides.all(&everybody.limits, params.mode == "diff")
        };
        let (overrides, everybody, rpc) = (self.clone(), Arc::clone(config), rpc.clone());
        let own = move |headers: HeaderMap| async move {
            match rpc.context(&headers) {
                Ok(context) => overrides.own(context.tenant.as_str(), &everybody.limits),
                Err(status) => error_response(&status),
            }
        };
        Router::new()
            .route("/runtime_config", get(all))
            .route("/api/v1/tenant_limits", get(own))
    }

    fn all(&self, everybody: &contract::config::Limits, only_differences: bool) -> Response {
        let source = &self.current.load().source;
        let body = contract::overrides::to_yaml(source, only_differences.then_some(everybody));
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
    }

    fn own(&self, tenant: &str, everybody: &contract::config::Limits) -> Response {
        let table = self.current.load();
        Json(table.source.get(tenant).unwrap_or(everybody)).into_response()
    }
}
