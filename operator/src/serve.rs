//! Serves metrics and health to the cluster's own machinery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, http};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::freshness::Freshness;

/// What the pages show.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) registry: Arc<Registry>,
    pub(crate) freshness: Freshness,
}

/// Serves until `stop` is cancelled.
///
/// # Errors
///
/// Fails when the listener does.
pub(crate) async fn serve(
    listener: TcpListener,
    pages: Pages,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(|| std::future::ready("ok\n")))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    const TYPE: http::HeaderValue = http::HeaderValue::from_static(
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &pages.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(pages): State<Pages>) -> (StatusCode, String) {
    match pages.freshness.stale() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
