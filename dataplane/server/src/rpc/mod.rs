//! Unary RPCs as users call them: Connect (JSON and protobuf), gRPC and gRPC-Web,
//! on one port and one path each.
//!
//! A component registers a method once with [`Rpc::unary`]; the content type
//! of a request chooses the protocol. Errors are [`tonic::Status`] throughout.

mod connect;
mod details;
mod entries;
mod frame;
mod grpc;
mod grpc_web;
mod protocol;
mod tenant;

use std::{future::Future, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, post},
};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tonic::Status;

pub(crate) use connect::error_response;
pub(crate) use details::{detail, retry_after, retry_later, status_with, too_many};
pub(crate) use entries::of_push as entries_of_push;
pub(crate) use protocol::Protocol;
pub(crate) use tenant::{TENANT_HEADER, Tenancy, TenantId};

/// Longest message of a gRPC error, in bytes: it travels, each byte as three at
/// worst, in a header, and some clients take no more than 8 KiB of those.
const MAX_GRPC_MESSAGE_BYTES: usize = 1 << 10;

/// Most details of a gRPC error, in bytes; they travel as base64 beside it.
const MAX_GRPC_DETAIL_BYTES: usize = 3 << 10;

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
    /// Counts what a request message announces.
    entries: entries::Count,
}

impl Rpc {
    /// Creates the shared settings.
    pub(crate) fn new(tenancy: Tenancy, max_message_bytes: usize) -> Self {
        Self {
            tenancy,
            max_message_bytes,
            entries: entries::none,
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

    /// Returns the settings with a count of what messages announce, which is
    /// bounded.
    pub(crate) fn with_entries(self, entries: entries::Count) -> Self {
        Self { entries, ..self }
    }

    /// Returns the settings for what belongs to no tenant.
    pub(crate) fn without_tenants(self) -> Self {
        Self {
            tenancy: Tenancy::new(false),
            ..self
        }
    }

    /// Serves `handler` over Connect, gRPC and gRPC-Web.
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
                match Protocol::of(request.headers()) {
                    Protocol::Grpc => grpc::serve(&rpc, request, handler).await,
                    Protocol::GrpcWeb(encoding) => {
                        grpc_web::serve(&rpc, encoding, request, handler).await
                    }
                    Protocol::Connect => connect::serve(&rpc, request, handler).await,
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
            async move { grpc::serve(&rpc, request, handler).await }
        })
    }
}

/// Answers a request for a path that does not exist.
pub(crate) async fn not_found(request: Request) -> Response {
    match Protocol::of(request.headers()) {
        Protocol::Connect => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
        protocol => protocol.refuse(&Status::unimplemented("unknown method")),
    }
}

fn shortened(status: &Status) -> Status {
    details::shortened(status, MAX_GRPC_MESSAGE_BYTES, MAX_GRPC_DETAIL_BYTES)
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
