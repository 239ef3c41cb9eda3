//! Pages for people and probes: readiness, metrics, configuration, ring and
//! membership.

mod html;
mod memberlist;
mod metrics;
mod ring;
mod same_origin;
mod time;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::Query,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use contract::Config;
use gossip::Gossip;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::ring_view::RingView;

/// A condition of readiness.
pub(crate) struct Check {
    service: &'static str,
    check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Whether the condition, once met, is met for good.
    latch: Option<AtomicBool>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Check {
    /// Creates a condition; `check` says why it is not met.
    pub(crate) fn new(
        service: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            service,
            check: Box::new(check),
            latch: None,
        }
    }

    /// Makes the condition count as met from the first time that it is.
    pub(crate) fn latched(self) -> Self {
        Self {
            latch: Some(AtomicBool::new(false)),
            ..self
        }
    }

    fn run(&self) -> Result<(), String> {
        if self
            .latch
            .as_ref()
            .is_some_and(|met| met.load(Ordering::Relaxed))
        {
            return Ok(());
        }
        (self.check)()?;
        if let Some(met) = &self.latch {
            met.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The pages of one process; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    state: Arc<State>,
    rings: Vec<RingView>,
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    registry: Registry,
    gossip: Arc<Gossip>,
    checks: Vec<Check>,
    stopping: AtomicBool,
}

impl Pages {
    /// Creates the pages over what they show.
    pub(crate) fn new(
        config: Arc<Config>,
        registry: Registry,
        gossip: Arc<Gossip>,
        rings: Vec<RingView>,
        checks: Vec<Check>,
    ) -> Self {
        let state = State {
            config,
            registry,
            gossip,
            checks,
            stopping: AtomicBool::new(false),
        };
        Self {
            state: Arc::new(state),
            rings,
        }
    }

    /// Makes the process unready from now on.
    pub(crate) fn stopping(&self) {
        self.state.stopping.store(true, Ordering::Relaxed);
    }

    /// Returns the routes of all pages.
    pub(crate) fn routes(&self) -> Router {
        macro_rules! page {
            ($method:ident) => {{
                let pages = self.clone();
                get(move |headers: HeaderMap| async move { pages.$method(&headers) })
            }};
        }
        let mut router = Router::new()
            .route("/", page!(index))
            .route("/ready", page!(ready))
            .route("/metrics", page!(metrics))
            .route("/config", page!(config))
            .route("/services", page!(services))
            .route("/memberlist", self.memberlist())
            .route("/api/v1/status/buildinfo", page!(buildinfo));
        for ring in &self.rings {
            router = router.route(ring_path(ring), self.ring(ring));
        }
        router
    }

    /// Returns the page of one ring.
    fn ring(&self, ring: &RingView) -> MethodRouter {
        let (shown, values) = (ring.clone(), self.state.gossip.kv());
        let show = move |Query(query): Query<ring::Query>, headers: HeaderMap| async move {
            ring::page(&shown, &values, &query, wants_json(&headers))
        };
        let (ring, kv) = (ring.clone(), self.state.gossip.kv());
        let forget =
            move |headers: HeaderMap, form| async move { ring::forget(&ring, &kv, &headers, form) };
        get(show).post(forget)
    }

    fn memberlist(&self) -> MethodRouter {
        let pages = self.clone();
        get(
            move |Query(query): Query<memberlist::Query>, headers: HeaderMap| async move {
                memberlist::page(&pages.state, &query, &headers)
            },
        )
    }

    fn index(&self, _: &HeaderMap) -> Response {
        let links = ["/ready", "/services", "/memberlist", "/config", "/metrics"];
        let items: String = links
            .into_iter()
            .chain(self.rings.iter().map(ring_path))
            .map(|path| format!("<li><a href=\"{path}\">{path}</a></li>"))
            .collect();
        html::page("Pyroscope", &format!("<ul>{items}</ul>"))
    }

    fn ready(&self, _: &HeaderMap) -> Response {
        if self.state.stopping.load(Ordering::Relaxed) {
            let names: Vec<String> = self
                .state
                .config
                .target
                .iter()
                .map(|target| target.to_string())
                .collect();
            let names = names.join(" ");
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("Some services are not Running:\nStopping: [{names}]\n"),
            );
        }
        let reasons: Vec<String> = self
            .state
            .checks
            .iter()
            .filter_map(|check| check.run().err().map(|why| not_ready(check.service, &why)))
            .collect();
        if reasons.is_empty() {
            text(StatusCode::OK, "ready\n")
        } else {
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                &(reasons.join("\n") + "\n"),
            )
        }
    }

    fn metrics(&self, _: &HeaderMap) -> Response {
        let phlare_names = self.state.config.server.phlare_metric_names;
        match metrics::render(&self.state.registry, phlare_names) {
            Ok(body) => {
                let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                ([(header::CONTENT_TYPE, content_type)], body).into_response()
            }
            Err(error) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("metrics: {error}\n"),
            ),
        }
    }

    fn config(&self, _: &HeaderMap) -> Response {
        text(StatusCode::OK, &self.state.config.to_yaml())
    }

    fn services(&self, _: &HeaderMap) -> Response {
        let mut body = String::new();
        for check in &self.state.checks {
            let state = if check.run().is_ok() {
                "Running"
            } else {
                "Starting"
            };
            // Writing to a string cannot fail.
            let _ = writeln!(body, "{} => {state}", check.service);
        }
        for target in self.state.config.target.iter() {
            let _ = writeln!(body, "target {target} => Running");
        }
        let _ = writeln!(body, "memberlist => Running");
        text(StatusCode::OK, &body)
    }

    fn buildinfo(&self, _: &HeaderMap) -> Response {
        Json(json!({
            "status": "success",
            "data": {
                "version": env!("CARGO_PKG_VERSION"),
                "revision": option_env!("PYROSCOPE_REVISION").unwrap_or(""),
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        }))
        .into_response()
    }
}

/// Returns where the page of a ring is.
fn ring_path(ring: &RingView) -> &'static str {
    match ring.name() {
        "distributor" => "/distributor/ring",
        _ => "/ring",
    }
}

/// Returns the line of `/ready` for one unmet condition.
fn not_ready(service: &str, why: &str) -> String {
    let mut name = service.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{name} not ready: {why}")
}

fn text(status: StatusCode, body: &str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        body.to_owned(),
    )
        .into_response()
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("application/json"))
}
