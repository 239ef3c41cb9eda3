//! Unary calls of gRPC over HTTP/2
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::{convert::Infallible, future::Future, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::Status;

use super::{Context, Rpc, connect, frame, shortened};
use crate::admission::Share;

/// Answers one request with `handler`.
pub(super) async fn serve<Req, Resp, F, Fut>(
    rpc: &Rpc,
    request: Request,
    handler: Arc<F>,
) -> Response
where
    Req: Message + Default + 'static,
    Resp: Message + 'static,
    F: Fn(Context, Req) -> Fut,
    Fut: Future<Output = Result<Resp, Status>>,
{
    let answer = async {
        let context = rpc.context(request.headers())?;
        let message = read(rpc, request).await?;
        handler(context, message).await
    };
    match answer.await {
        Ok(message) => respond(&message),
        Err(status) => shortened(&status).into_http(),
    }
}

async fn read<M>(rpc: &Rpc, request: Request) -> Result<M, Status>
where
    M: Message + Default + 'static,
{
    let rpc = rpc.clone();
    let gzipped = connect::is_gzipped(request.headers().get(frame::ENCODING))?;
    let share = request.extensions().get::<Share>().cloned();
    let most = rpc.max_message_bytes.saturating_add(frame::HEAD_BYTES);
    let body = connect::read_body(request.into_body(), most).await?;
    connect::off_thread(gzipped || body.len() > connect::INLINE_BYTES, move || {
        frame::decode_only(body, gzipped, &rpc, share.as_ref())
    })
    .await
}

fn respond<M: Message>(message: &M) -> Response {
    let mut body = BytesMut::new();
    frame::put_message(&mut body, message);
    let body = Full::<Bytes>::from(body.freeze()).with_trailers(async {
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Some(Ok::<_, Infallible>(trailers))
    });
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    let grpc = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, grpc);
    // Peers may compress what they send.
    let gzip = HeaderValue::from_static("gzip");
    headers.insert("grpc-accept-encoding", gzip);
    response
}
