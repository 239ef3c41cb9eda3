//! Counts and times HTTP requests.

use std::time::Instant;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::{self, Next},
    response::Response,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status_code: u16,
}

/// Duration of requests by method, route and status.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics {
    duration: Family<Labels, Histogram, fn() -> Histogram>,
}

impl RequestMetrics {
    /// Creates the metrics and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.5, 10));
        let duration = Family::new_with_constructor(buckets);
        registry.register(
            "pyroscope_request_duration_seconds",
            "Time (in seconds) spent serving HTTP requests",
            duration.clone(),
        );
        Self { duration }
    }

    /// Observes every request to `router`.
    pub(crate) fn observe(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), observe))
    }
}

async fn observe(State(metrics): State<RequestMetrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = known(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let labels = Labels {
        method,
        route,
        status_code: response.status().as_u16(),
    };
    metrics
        .duration
        .get_or_create(&labels)
        .observe(started.elapsed().as_secs_f64());
    response
}

/// Names a method. Clients can invent methods, and each would be a time series.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}
