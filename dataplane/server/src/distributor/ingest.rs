//! `POST /ingest`: the push API of the language SDKs, here for pprof.

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Multipart, Query, Request, multipart::MultipartError},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use profile::{
    ingest::{AppName, SampleTypeConfig, metric_name},
    pprof,
};
use serde::Deserialize;
use tonic::Status;

use super::{
    Distributor, clean,
    prepare::{self, Parsed},
};
use crate::{
    overrides::Limits,
    ring_view::unix_nanos,
    rpc::{Rpc, TenantId, error_response, read_body},
};

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    name: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    format: String,
    #[serde(rename = "spyName", default)]
    spy_name: String,
}

/// The parts of a body that describe one profile.
#[derive(Debug, Default)]
struct Input {
    profile: Bytes,
    sample_types: SampleTypeConfig,
}

/// Why nothing was stored.
enum Refusal {
    /// As the RPCs answer it.
    Status(Status),
    /// The body is not what it says it is.
    Unprocessable(String),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Answers one request.
pub(super) async fn ingest(distributor: Distributor, rpc: Rpc, request: Request) -> Response {
    let stored = async {
        let tenant = rpc.context(request.headers())?.tenant;
        let Query(params) = Query::<Params>::try_from_uri(request.uri())
            .map_err(|error| Status::invalid_argument(error.body_text()))?;
        distributor
            .ingest(&tenant, params, request, rpc.max_message_bytes())
            .await
    };
    match stored.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Refusal::Status(status)) => error_response(&status),
        Err(Refusal::Unprocessable(reason)) => unprocessable(&reason),
    }
}

impl Distributor {
    async fn ingest(
        &self,
        tenant: &TenantId,
        params: Params,
        request: Request,
        max_bytes: usize,
    ) -> Result<(), Refusal> {
        if params.name.is_empty() {
            return Err(Status::invalid_argument("name: service name is required").into());
        }
        let name: AppName = params
            .name
            .parse()
            .map_err(|error| Status::invalid_argument(format!("name: {error}")))?;
        let now = unix_nanos();
        let started = start_time(&params.from, now)?;
        let Some(input) = read_input(&params, request, max_bytes).await? else {
            return Ok(());
        };
        let limits = self.overrides.of(tenant);
        let (of_tenant, owner) = (limits.clone(), tenant.clone());
        let outcome = self
            .parse(move || {
                let mut parsed = parse(&name, &params.spy_name, input, &of_tenant)?;
                if parsed.profile.time_nanos == 0 {
                    parsed.profile.time_nanos = started;
                }
                Ok::<_, Refusal>(prepare::prepare_one(&owner, parsed, &of_tenant, now))
            })
            .await??;
        Ok(self.store(tenant, &limits, outcome).await?)
    }
}

fn start_time(from: &str, now: i64) -> Result<i64, Status> {
    if from.is_empty() {
        return Ok(now);
    }
    profile::time::parse(from, now / 1_000_000)
        .map(|millis| millis.saturating_mul(1_000_000))
        .map_err(|error| Status::invalid_argument(format!("from: {error}")))
}

fn parse(name: &AppName, spy_name: &str, input: Input, limits: &Limits) -> Result<Parsed, Refusal> {
    let profile = pprof::decode(&input.profile, limits.profile.uncompressed_bytes)
        .and_then(|profile| pprof::validate(&profile, &limits.profile).map(|()| profile))
        .map_err(|error| Refusal::Unprocessable(error.to_string()))?;
    let bytes = prost::Message::encoded_len(&profile);
    let metric = metric_name(&profile, &input.sample_types);
    let labels = name
        .series_labels(&metric, spy_name)
        .map(|labels| clean::complete(labels, limits))
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(Parsed {
        labels,
        profile,
        raw: input.profile,
        bytes,
    })
}

/// Reads the body; `None` when it is empty, which is not an error here.
async fn read_input(
    params: &Params,
    request: Request,
    max_bytes: usize,
) -> Result<Option<Input>, Refusal> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("multipart/form-data") {
        return read_multipart(request).await;
    }
    let body = read_body(request.into_body(), max_bytes).await?;
    if body.is_empty() {
        return Ok(None);
    }
    if params.format != "pprof" {
        let format = if params.format.is_empty() {
            "folded"
        } else {
            &params.format
        };
        return Err(Status::unimplemented(format!(
            "format '{format}' is not supported by this version; send format=pprof"
        ))
        .into());
    }
    Ok(Some(Input {
        profile: body,
        ..Input::default()
    }))
}

async fn read_multipart(request: Request) -> Result<Option<Input>, Refusal> {
    let bad = |error: MultipartError| {
        let reason = format!("multipart body: {}", error.body_text());
        Status::try_from_error(error.into()).map_or(Refusal::Unprocessable(reason), Refusal::Status)
    };
    let mut form: Multipart = request
        .extract()
        .await
        .map_err(|error| Refusal::Unprocessable(format!("multipart body: {error}")))?;
    let mut input = Input::default();
    while let Some(field) = form.next_field().await.map_err(bad)? {
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_err(bad)?;
        match name.as_str() {
            "profile" => input.profile = content,
            "sample_type_config" => {
                input.sample_types = SampleTypeConfig::parse(&content)
                    .map_err(|error| Refusal::Unprocessable(error.to_string()))?;
            }
            "prev_profile" => {
                return Err(Refusal::Unprocessable(
                    "unsupported client version: previous profiles are not accepted, update the SDK"
                        .to_owned(),
                ));
            }
            "jfr" => {
                return Err(Status::unimplemented(
                    "format 'jfr' is not supported by this version; send pprof",
                )
                .into());
            }
            _ => {}
        }
    }
    Ok((!input.profile.is_empty()).then_some(input))
}

fn unprocessable(reason: &str) -> Response {
    let message = format!("parsing IngestInput-pprof failed: {reason}");
    let body = serde_json::json!({"code": "unknown", "message": message}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
