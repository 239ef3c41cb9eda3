//! Unary RPCs as users call them: Connect (JSON and protobuf) and gRPC, on one
//! port and one path each.
//!
//! A component registers a method once with [`Rpc::unary`]; the content type
//! of a request chooses the protocol. Errors are [`tonic::Status`] throughout.

mod connect;
mod tenant;

use std::{future::Future, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, post},
};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tonic::{Status, codec::CompressionEncoding};

pub(crate) use connect::{error_response, read_body};
pub(crate) use tenant::{TENANT_HEADER, Tenancy, TenantId};

/// Longest message of a gRPC error, in bytes: it travels, each byte as three at
/// worst, in a header, and HTTP/2 clients take 16 KiB of those.
const MAX_GRPC_MESSAGE_BYTES: usize = 4 << 10;

/// What every handler learns about its request besides the message.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Whose data the request is about.
    pub tenant: TenantId,
}

/// The settings that all RPCs of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    tenancy: Tenancy,
    /// Largest request message, in bytes after decompression.
    max_message_bytes: usize,
}

impl Rpc {
    /// Creates the shared settings.
    pub(crate) fn new(tenancy: Tenancy, max_message_bytes: usize) -> Self {
        Self {
            tenancy,
            max_message_bytes,
        }
    }

    /// Returns the settings with another bound of request messages, in bytes.
    pub(crate) fn with_max_message_bytes(self, max_message_bytes: usize) -> Self {
        Self {
            max_message_bytes,
            ..self
        }
    }

    /// Finds the tenant of a plain HTTP request.
    ///
    /// # Errors
    ///
    /// `unauthenticated` when multitenancy is on and the header is missing or
    /// not a valid tenant ID.
    pub(crate) fn context(&self, headers: &HeaderMap) -> Result<Context, Status> {
        Ok(Context {
            tenant: self.tenancy.tenant(headers)?,
        })
    }

    /// Returns the largest request body that is read, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// Serves `handler` over Connect and gRPC.
    pub(crate) fn unary<Req, Resp, F, Fut>(&self, handler: F) -> MethodRouter
    where
        Req: Message + Default + DeserializeOwned + 'static,
        Resp: Message + Serialize + 'static,
        F: Fn(Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, Status>> + Send + 'static,
    {
        let rpc = self.clone();
        let handler = Arc::new(handler);
        post(move |request: Request| {
            let rpc = rpc.clone();
            let handler = Arc::clone(&handler);
            async move {
                if is_grpc(request.headers()) {
                    rpc.serve_grpc(request, handler).await
                } else {
                    connect::serve(&rpc, request, handler).await
                }
            }
        })
    }

    /// Serves `handler` over gRPC only: for hops inside the cluster.
    pub(crate) fn unary_grpc<Req, Resp, F, Fut>(&self, handler: F) -> MethodRouter
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, Status>> + Send + 'static,
    {
        let rpc = self.clone();
        let handler = Arc::new(handler);
        post(move |request: Request| {
            let rpc = rpc.clone();
            let handler = Arc::clone(&handler);
            async move { rpc.serve_grpc(request, handler).await }
        })
    }

    async fn serve_grpc<Req, Resp, F, Fut>(&self, request: Request, handler: Arc<F>) -> Response
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, Status>> + Send + 'static,
    {
        let context = self.context(request.headers());
        let service = tower::service_fn(move |message: tonic::Request<Req>| {
            let handler = Arc::clone(&handler);
            let context = context.clone();
            async move {
                handler(context?, message.into_inner())
                    .await
                    .map(tonic::Response::new)
                    .map_err(|status| shortened(&status))
            }
        });
        tonic::server::Grpc::new(tonic_prost::ProstCodec::<Resp, Req>::default())
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(self.max_message_bytes)
            .unary(service, request)
            .await
            .map(Body::new)
    }
}

/// Tells whether a request is a gRPC call.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value == "application/grpc"
                || value.starts_with("application/grpc+")
                || value.starts_with("application/grpc;")
        })
}

/// Answers a request that does not reach its handler.
pub(crate) fn refuse(grpc: bool, status: &Status) -> Response {
    if grpc {
        shortened(status).into_http()
    } else {
        error_response(status)
    }
}

/// Answers a request for a path that does not exist.
pub(crate) async fn not_found(request: Request) -> Response {
    if is_grpc(request.headers()) {
        return Status::unimplemented("unknown method").into_http();
    }
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

fn shortened(status: &Status) -> Status {
    let text = status.message();
    let end = text.floor_char_boundary(MAX_GRPC_MESSAGE_BYTES);
    Status::new(status.code(), &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = shortened(&Status::invalid_argument("\u{e9}".repeat(1 << 20)));
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(status.message().len(), MAX_GRPC_MESSAGE_BYTES);
        assert_eq!(shortened(&Status::internal("brief")).message(), "brief");
    }
}
