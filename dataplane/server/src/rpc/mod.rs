//! Unary RPCs as users call them: Connect (JSON and protobuf) and gRPC, on one
//! port and one path each.
//!
//! A component registers a method once with [`Rpc::unary`]; the content type
//! of a request chooses the protocol. Errors are [`tonic::Status`] throughout.

mod connect;
mod tenant;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
    response::Response,
    routing::{MethodRouter, post},
};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tonic::{Status, codec::CompressionEncoding};

pub(crate) use connect::error_response;
pub(crate) use tenant::{TENANT_HEADER, Tenancy, TenantId};

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
    /// Longest that a handler may take when the client names no deadline.
    timeout: Duration,
}

impl Rpc {
    /// Creates the shared settings.
    pub(crate) fn new(tenancy: Tenancy, max_message_bytes: usize, timeout: Duration) -> Self {
        Self {
            tenancy,
            max_message_bytes,
            timeout,
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
        let timeout = self.timeout;
        let service = tower::service_fn(move |message: tonic::Request<Req>| {
            let handler = Arc::clone(&handler);
            let context = context.clone();
            async move {
                let call = handler(context?, message.into_inner());
                within(timeout, call).await.map(tonic::Response::new)
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

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value == "application/grpc"
                || value.starts_with("application/grpc+")
                || value.starts_with("application/grpc;")
        })
}

async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(Status::deadline_exceeded(format!(
            "not done within {timeout:?}"
        ))),
    }
}
