//! The health check of gRPC, which client pools and probes ask by any protocol.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::Router;
use proto::grpc::health::v1::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
};
use tonic::Status;

use crate::rpc::{Context, Rpc};

/// Tells whether the process serves; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// Names of the services that the process has.
    services: Arc<[&'static str]>,
    stopping: Arc<AtomicBool>,
}

impl Health {
    /// Creates the check of a process that has these services.
    pub(crate) fn new(services: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            services: services.into_iter().collect(),
            stopping: Arc::default(),
        }
    }

    /// Makes clients look for another process from now on.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Returns the endpoint.
    pub(crate) fn routes(&self, rpc: &Rpc) -> Router {
        let health = self.clone();
        let check =
            rpc.clone()
                .without_tenants()
                .unary(move |_: Context, request: HealthCheckRequest| {
                    let answer = health.check(&request.service);
                    async move { answer }
                });
        Router::new().route("/grpc.health.v1.Health/Check", check)
    }

    fn check(&self, service: &str) -> Result<HealthCheckResponse, Status> {
        if !service.is_empty() && !self.services.contains(&service) {
            return Err(Status::not_found("unknown service"));
        }
        let status = if self.stopping.load(Relaxed) {
            ServingStatus::NotServing
        } else {
            ServingStatus::Serving
        };
        Ok(HealthCheckResponse {
            status: status as i32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_until_it_stops() {
        let health = Health::new(["push.v1.PusherService"]);
        let status = |service| health.check(service).map(|answer| answer.status());
        assert_eq!(status("").unwrap(), ServingStatus::Serving);
        assert_eq!(
            status("push.v1.PusherService").unwrap(),
            ServingStatus::Serving
        );
        assert!(status("querier.v1.QuerierService").is_err());
        health.stopping();
        assert_eq!(status("").unwrap(), ServingStatus::NotServing);
    }
}
