//! OpenTelemetry profiles: OTLP over HTTP (protobuf and JSON) and gRPC.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, post},
};
use bytes::Bytes;
use profile::{
    Labels,
    otlp::{self, OtlpError, Series},
    pprof,
};
use prost::Message;
use proto::otlp::v1::{Dictionary, ExportRequest, ExportResponse, ResourceProfiles};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::{
    Distributor, clean,
    ingest::{BodyError, inflate, is_gzip, read},
    prepare::{self, Outcome, Parsed, Terms},
    rejection::{Reason, Rejection},
};
use crate::{
    admission::Share,
    overrides::Limits,
    ring_view::unix_nanos,
    rpc::{Context, Protocol, Rpc, TenantId, retry_after},
};

/// Path of the HTTP protocol.
pub(super) const HTTP_PATH: &str = "/v1development/profiles";
/// Path of the method of gRPC, which takes HTTP too.
pub(super) const GRPC_PATH: &str =
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

/// Bytes of memory that an entry may take.
const ENTRY_BYTES: usize = 96;

/// How many times the size of a request, or of the usual one, the profiles made
/// of it may have: each has its own copy of the tables.
const MAX_EXPANSION: usize = 16;
const USUAL_BYTES: usize = 4 << 20;

/// A request whose parts are not decoded yet, so that what they would take can be
/// told before. The numbers are those of the protocol.
#[derive(Clone, PartialEq, Message)]
struct Undecoded {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    resource_profiles: Vec<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    dictionary: Option<Bytes>,
}

/// A request that is decoded.
struct Export {
    resources: Vec<ResourceProfiles>,
    dictionary: Dictionary,
    bytes: usize,
}

/// Serves requests by both protocols.
pub(super) fn route(distributor: &Distributor, rpc: &Rpc) -> MethodRouter {
    let export = distributor.clone();
    let grpc = rpc.clone().with_entries(otlp::entries);
    let grpc = grpc.unary_grpc(move |context: Context, request: Undecoded| {
        let distributor = export.clone();
        async move {
            let bytes = request.encoded_len();
            let decode = move || undecoded(request, bytes);
            let export = distributor.parse(decode).await??;
            distributor.export(&context.tenant, export).await?;
            Ok(ExportResponse::default())
        }
    });
    let (distributor, rpc) = (distributor.clone(), rpc.clone());
    post(move |request: Request| async move {
        match Protocol::of(request.headers()) {
            Protocol::Connect => http(&distributor, &rpc, request).await,
            _ => grpc
                .oneshot(request)
                .await
                .unwrap_or_else(|never| match never {}),
        }
    })
}

/// Answers a request of the HTTP protocol; errors are plain text.
async fn http(distributor: &Distributor, rpc: &Rpc, request: Request) -> Response {
    match answer(distributor, rpc, request).await {
        Ok(()) => {
            let protobuf = [(header::CONTENT_TYPE, "application/x-protobuf")];
            (protobuf, ExportResponse::default().encode_to_vec()).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(distributor: &Distributor, rpc: &Rpc, request: Request) -> Result<(), Refusal> {
    let tenant = rpc.context(request.headers())?.tenant;
    let encoding = Encoding::of(request.headers())?;
    let (parts, body) = request.into_parts();
    let gzipped = is_gzip(&parts.headers)?;
    let share = parts.extensions.get::<Share>().cloned();
    let limit = rpc.max_message_bytes();
    let body = read(body, limit).await?;
    let decode = move || {
        let body = match gzipped && !body.is_empty() {
            true => inflate(&body, limit, share.as_ref())?,
            false => body,
        };
        Ok::<_, Refusal>(encoding.decode(body, share.as_ref())?)
    };
    let export = distributor.parse(decode).await??;
    Ok(distributor.export(&tenant, export).await?)
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(header::CONTENT_TYPE);
        let value = value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match value.split(';').next().unwrap_or_default().trim() {
            "application/json" => Ok(Self::Json),
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            _ => Err(Refusal {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                message: format!("Unsupported Content-Type: {value}"),
                retry_after: None,
            }),
        }
    }

    fn decode(self, body: Bytes, share: Option<&Share>) -> Result<Export, Status> {
        let bytes = body.len();
        if let Self::Json = self {
            // A member or an element begins after one of these.
            let entries = body.iter().filter(|byte| b"{[,".contains(byte)).count();
            charge(entries, share)?;
            let request: ExportRequest = serde_json::from_slice(&body).map_err(|error| {
                Status::invalid_argument(format!("Failed to parse JSON request: {error}"))
            })?;
            let dictionary = request.dictionary.ok_or_else(no_dictionary)?;
            return Ok(Export {
                resources: request.resource_profiles,
                dictionary,
                bytes,
            });
        }
        // Checked before, as even what is not decoded takes memory.
        charge(otlp::entries(&body), share)?;
        undecoded(Undecoded::decode(body).map_err(unparsable)?, bytes)
    }
}

/// Decodes the parts of a request.
fn undecoded(request: Undecoded, bytes: usize) -> Result<Export, Status> {
    let dictionary = request.dictionary.ok_or_else(no_dictionary)?;
    let dictionary = Dictionary::decode(dictionary).map_err(unparsable)?;
    let resources = request.resource_profiles.into_iter();
    let resources = resources.map(ResourceProfiles::decode);
    Ok(Export {
        resources: resources.collect::<Result<_, _>>().map_err(unparsable)?,
        dictionary,
        bytes,
    })
}

fn charge(entries: usize, share: Option<&Share>) -> Result<(), Status> {
    share.map_or(Ok(()), |share| {
        share.take(entries.saturating_mul(ENTRY_BYTES))
    })
}

fn unparsable(error: prost::DecodeError) -> Status {
    Status::invalid_argument(format!("Failed to parse protobuf request: {error}"))
}

fn no_dictionary() -> Status {
    Status::invalid_argument("missing profile metadata dictionary")
}

impl Distributor {
    /// Stores the valid profiles of a request; answers with an error when some
    /// are not.
    async fn export(&self, tenant: &TenantId, export: Export) -> Result<(), Status> {
        if export.resources.is_empty() {
            return Err(Status::invalid_argument("missing resource profiles"));
        }
        let terms = self.terms(tenant, unix_nanos());
        let limits = Arc::clone(&terms.limits);
        let outcome = self.parse(move || prepared(&export, &terms)).await?;
        self.store(tenant, &limits, outcome).await
    }
}

/// Converts and prepares one profile after the other: a converted one is large.
fn prepared(export: &Export, terms: &Terms) -> Outcome {
    let limits = &*terms.limits;
    let mut room = export.bytes.max(USUAL_BYTES).saturating_mul(MAX_EXPANSION);
    let series = otlp::convert(&export.resources, &export.dictionary, &limits.profile);
    let parsed = series.enumerate().map_while(|(position, series)| {
        if room == 0 {
            return None;
        }
        let parsed = series
            .map_err(|error| rejection(position, error))
            .and_then(|series| parse(position, series, &mut room, limits));
        Some(parsed)
    });
    prepare::prepare_parsed(parsed, terms)
}

fn parse(
    position: usize,
    series: Series,
    room: &mut usize,
    limits: &Limits,
) -> Result<Parsed, Rejection> {
    let labels = clean::complete(series.labels, limits);
    let raw = pprof::encode(&series.profile);
    *room = room.saturating_sub(raw.len());
    if *room == 0 {
        return Err(Rejection {
            series: position,
            labels,
            reason: Reason::ProfileSizeLimit,
            message: "the profiles of the request are too large together; send fewer at once"
                .to_owned(),
        });
    }
    let mut parsed = Parsed::pprof(raw.into(), limits)
        .map_err(|error| Rejection::of_profile(position, &labels, &error))?;
    parsed.labels = labels;
    Ok(parsed)
}

fn rejection(position: usize, error: OtlpError) -> Rejection {
    match error {
        OtlpError::Labels(error) => Rejection::of_labels(position, &error),
        OtlpError::Profile(error) => Rejection::of_profile(position, &Labels::default(), &error),
        error => Rejection {
            series: position,
            labels: Labels::default(),
            reason: Reason::MalformedProfile,
            message: error.to_string(),
        },
    }
}

/// An error of the HTTP protocol.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
    /// Seconds.
    retry_after: Option<u64>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let http = match status.code() {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status: http,
            message: status.message().to_owned(),
            retry_after: retry_after(&status),
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let (status, message) = match error {
            BodyError::Refused(status) => return status.into(),
            BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            BodyError::Encoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()),
            BodyError::Broken(reason) => (
                StatusCode::BAD_REQUEST,
                format!("Failed to read request body: {reason}"),
            ),
        };
        Self {
            status,
            message,
            retry_after: None,
        }
    }
}

impl Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.message).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
