//! `POST /ingest`: the push API of the language SDKs, in all its formats.

mod body;
mod form;

use std::sync::Arc;

use axum::{
    extract::{Query, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use profile::{
    ingest::{self as formats, IngestError, SampleTypeConfig, Series, metric_name},
    pprof,
};
use proto::rejection::v1::Rejections;
use serde::Deserialize;
use tonic::{Code, Status};

use super::{
    Distributor, clean,
    prepare::{self, Parsed},
    rejection::Rejection,
};
use crate::{
    admission::Share,
    overrides::Limits,
    ring_view::unix_nanos,
    rpc::{Rpc, TenantId, detail, error_response},
};
pub(super) use body::{BodyError, inflate, is_gzip, read};
use form::Form;

/// Samples per second unless a request says otherwise.
const DEFAULT_SAMPLE_RATE: u32 = 100;

/// The parameters of a request. `units` and `aggregationType` are accepted and
/// mean nothing: profile types say both.
#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    name: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    format: String,
    #[serde(rename = "sampleRate", default)]
    sample_rate: String,
    #[serde(rename = "spyName", default)]
    spy_name: String,
}

impl Params {
    fn context(&self, now: i64) -> Result<formats::Context, Refusal> {
        let spy_name = match self.spy_name.as_str() {
            "" => "unknown",
            name => name,
        };
        Ok(formats::Context {
            name: self.name.parse().map_err(Refusal::of)?,
            spy_name: spy_name.to_owned(),
            // As the original does, what is no number is as good as none.
            sample_rate: self.sample_rate.parse().unwrap_or(DEFAULT_SAMPLE_RATE),
            start: time("from", &self.from, now)?,
            end: time("until", &self.until, now)?,
        })
    }
}

fn time(parameter: &str, text: &str, now: i64) -> Result<i64, Status> {
    if text.is_empty() {
        return Ok(now);
    }
    profile::time::parse(text, now / 1_000_000)
        .map(|millis| millis.saturating_mul(1_000_000))
        .map_err(|error| Status::invalid_argument(format!("{parameter}: {error}")))
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Groups,
    Jfr,
    Lines,
    Pprof,
    Speedscope,
    Tree,
    Trie,
}

impl Format {
    /// Finds the format by parameter and content type; what nobody knows is
    /// collapsed text.
    fn of(parameter: &str, content_type: &str) -> Self {
        match (parameter, content_type) {
            ("trie", _) | (_, "binary/octet-stream+trie") => Self::Trie,
            ("tree", _) | (_, "binary/octet-stream+tree") => Self::Tree,
            ("lines", _) => Self::Lines,
            ("jfr", _) => Self::Jfr,
            ("pprof", _) => Self::Pprof,
            ("speedscope", _) => Self::Speedscope,
            (_, form) if Form::is_one(form) => Self::Pprof,
            _ => Self::Groups,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Jfr => "jfr",
            Self::Lines => "lines",
            Self::Pprof => "pprof",
            Self::Speedscope => "speedscope",
            Self::Tree => "tree",
            Self::Trie => "trie",
        }
    }

    /// How many times the size of a body its parsed form may have.
    fn expansion(self) -> usize {
        match self {
            Self::Pprof => 0,
            Self::Groups | Self::Lines | Self::Tree | Self::Trie => 1,
            Self::Jfr => 4,
            Self::Speedscope => 8,
        }
    }
}

/// Why nothing was stored.
#[derive(Debug)]
enum Refusal {
    /// As the RPCs answer it.
    Status(Status),
    /// A limit of rate or series is reached.
    Limited(Status),
    /// With another status of HTTP.
    Http(StatusCode, String),
    /// The body is not what it says it is.
    Malformed(String),
}

impl Refusal {
    fn of(error: IngestError) -> Self {
        if error.is_malformed() {
            return Self::Malformed(error.to_string());
        }
        Status::invalid_argument(error.to_string()).into()
    }

    fn of_push(status: Status) -> Self {
        match status.code() {
            Code::ResourceExhausted => Self::Limited(status),
            _ => Self::Status(status),
        }
    }

    fn into_response(self, format: Format) -> Response {
        let (status, message) = match self {
            Self::Status(status) => return error_response(&status),
            Self::Limited(status) => return error_response(&limited(&status, format)),
            Self::Http(status, message) => (status, message),
            Self::Malformed(reason) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("parsing IngestInput-{} failed: {reason}", format.as_str()),
            ),
        };
        let body = serde_json::json!({"code": "unknown", "message": message}).to_string();
        let json = [(header::CONTENT_TYPE, "application/json")];
        (status, json, body).into_response()
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => {
                Self::Http(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            BodyError::Encoding(_) => {
                Self::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string())
            }
            BodyError::Broken(reason) => Self::Malformed(reason),
            BodyError::Refused(status) => Self::Status(status),
        }
    }
}

/// Words a limit as Grafana Pyroscope does, where series have an ID, which is
/// empty.
fn limited(status: &Status, format: Format) -> Status {
    let rejected = detail::<Rejections>(status);
    let first = rejected.and_then(|all| all.rejections.first().map(|first| first.series));
    let text = format!(
        "pushing IngestInput-{} failed push series with index {} and id  failed: \
         resource_exhausted: {}",
        format.as_str(),
        first.unwrap_or_default(),
        status.message()
    );
    let details = Bytes::copy_from_slice(status.details());
    Status::with_details(status.code(), text, details)
}

/// Answers one request.
pub(super) async fn ingest(distributor: Distributor, rpc: Rpc, request: Request) -> Response {
    let mut format = Format::Groups;
    match distributor.ingest(&rpc, request, &mut format).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refusal.into_response(format),
    }
}

impl Distributor {
    async fn ingest(
        &self,
        rpc: &Rpc,
        request: Request,
        format: &mut Format,
    ) -> Result<(), Refusal> {
        let tenant = rpc.context(request.headers())?.tenant;
        let Query(params) = Query::<Params>::try_from_uri(request.uri())
            .map_err(|error| Status::invalid_argument(error.body_text()))?;
        let content_type = content_type(&request).to_owned();
        *format = Format::of(&params.format, &content_type);
        let now = unix_nanos();
        let context = params.context(now)?;
        let (format, max_bytes) = (*format, rpc.max_message_bytes());
        let input = self
            .read_input(format, &content_type, request, max_bytes)
            .await?;
        if input.form.main.is_empty() {
            return Ok(());
        }
        self.ingest_input(&tenant, format, input, context, now)
            .await
    }

    async fn read_input(
        &self,
        format: Format,
        content_type: &str,
        request: Request,
        max_bytes: usize,
    ) -> Result<Input, Refusal> {
        let (parts, body) = request.into_parts();
        let gzipped = is_gzip(&parts.headers)?;
        let share = parts.extensions.get::<Share>().cloned();
        let mut body = read(body, max_bytes).await?;
        if gzipped && !body.is_empty() {
            let share = share.clone();
            body = self
                .parse(move || inflate(&body, max_bytes, share.as_ref()))
                .await??;
        }
        let form = match Form::is_one(content_type) {
            true if !body.is_empty() => Form::read(parts, body, format == Format::Jfr).await?,
            _ => Form::raw(body),
        };
        Ok(Input {
            form,
            share,
            max_bytes,
        })
    }

    async fn ingest_input(
        &self,
        tenant: &TenantId,
        format: Format,
        input: Input,
        context: formats::Context,
        now: i64,
    ) -> Result<(), Refusal> {
        let terms = self.terms(tenant, now);
        let limits = Arc::clone(&terms.limits);
        let outcome = self
            .parse(move || {
                let parsed = input.parse(format, &context, &terms.limits)?;
                let parsed = parsed.into_iter().map(Ok::<_, Rejection>);
                Ok::<_, Refusal>(prepare::prepare_parsed(parsed, &terms))
            })
            .await??;
        self.store(tenant, &limits, outcome)
            .await
            .map_err(Refusal::of_push)
    }
}

fn content_type(request: &Request) -> &str {
    let value = request.headers().get(header::CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A body and what is needed to parse it.
#[derive(Debug)]
struct Input {
    form: Form,
    share: Option<Share>,
    max_bytes: usize,
}

impl Input {
    fn parse(
        self,
        format: Format,
        context: &formats::Context,
        limits: &Limits,
    ) -> Result<Vec<Parsed>, Refusal> {
        if format == Format::Pprof {
            return parse_pprof(self.form, context, limits).map(|parsed| vec![parsed]);
        }
        let main = self.inflated(&self.form.main)?;
        if let Some(share) = &self.share {
            share.take(main.len().saturating_mul(format.expansion()))?;
        }
        let of_profile = &limits.profile;
        let series = match format {
            Format::Jfr => {
                let labels = self.inflated(&self.form.labels)?;
                formats::jfr::parse(&main, &labels, context, of_profile)
            }
            Format::Lines => formats::folded::lines(&main, context, of_profile),
            Format::Speedscope => formats::speedscope::parse(&main, context, of_profile),
            Format::Tree => formats::tree::parse(&main, context, of_profile),
            Format::Trie => formats::trie::parse(&main, context, of_profile),
            Format::Groups | Format::Pprof => formats::folded::groups(&main, context, of_profile),
        };
        let series = series.map_err(Refusal::of)?.into_iter();
        series.map(|one| built(one, limits)).collect()
    }

    /// The Java agent compresses what it sends without saying so.
    fn inflated(&self, bytes: &Bytes) -> Result<Bytes, BodyError> {
        match bytes.starts_with(&[0x1f, 0x8b]) {
            true => inflate(bytes, self.max_bytes, self.share.as_ref()),
            false => Ok(bytes.clone()),
        }
    }
}

fn parse_pprof(form: Form, context: &formats::Context, limits: &Limits) -> Result<Parsed, Refusal> {
    let config = match form.sample_types.is_empty() {
        true => SampleTypeConfig::default(),
        false => SampleTypeConfig::parse(&form.sample_types).map_err(Refusal::of)?,
    };
    let mut parsed = Parsed::pprof(form.main, limits).map_err(|error| Refusal::of(error.into()))?;
    parsed.stamp(context.start);
    let types = parsed.view().sample_types().map(|(name, _)| name);
    let metric = metric_name(types, &config);
    parsed.labels = context
        .name
        .series_labels(&metric, &context.spy_name)
        .map(|labels| clean::complete(labels, limits))
        .map_err(|error| Refusal::of(error.into()))?;
    Ok(parsed)
}

/// A profile that was put together here, as if it had been pushed as pprof: the
/// same input gives the same bytes, and so the same identity.
fn built(series: Series, limits: &Limits) -> Result<Parsed, Refusal> {
    let mut parsed = Parsed::pprof(pprof::encode(&series.profile).into(), limits)
        .map_err(|error| Refusal::of(error.into()))?;
    parsed.labels = clean::complete(series.labels, limits);
    Ok(parsed)
}
