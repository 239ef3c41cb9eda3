//! Unary calls of gRPC-Web
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).
//!
//! Bodies are frames as in gRPC. An answer has one with the message, unless it is
//! an error, and one with the trailers. The text form is the same in base64, which
//! may end and begin again between frames.

use std::{future::Future, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use prost::Message;
use tonic::Status;

use super::{
    Context, Rpc, connect,
    frame::{self, put_frame, put_message},
    shortened,
};
use crate::admission::Share;

/// The payload is trailers, written as HTTP/1 headers are.
const TRAILERS: u8 = 0x80;

/// The two forms of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Frames as they are.
    Binary,
    /// Frames in base64.
    Text,
}

impl Encoding {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Binary => "application/grpc-web+proto",
            Self::Text => "application/grpc-web-text+proto",
        })
    }
}

/// Answers one request with `handler`.
pub(super) async fn serve<Req, Resp, F, Fut>(
    rpc: &Rpc,
    encoding: Encoding,
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
        let message = read(rpc, encoding, request).await?;
        handler(context, message).await
    };
    match answer.await {
        Ok(message) => {
            let mut body = BytesMut::new();
            put_message(&mut body, &message);
            respond(encoding, body, &Status::ok(""))
        }
        Err(status) => refuse(encoding, &status),
    }
}

/// Answers with an error.
pub(super) fn refuse(encoding: Encoding, status: &Status) -> Response {
    respond(encoding, BytesMut::new(), &shortened(status))
}

async fn read<M>(rpc: &Rpc, encoding: Encoding, request: Request) -> Result<M, Status>
where
    M: Message + Default + 'static,
{
    let (rpc, limit) = (rpc.clone(), rpc.max_message_bytes);
    let gzipped = connect::is_gzipped(request.headers().get(frame::ENCODING))?;
    let share = request.extensions().get::<Share>().cloned();
    // Base64 is longer by a third.
    let most = limit.saturating_add(limit / 2).saturating_add(64);
    let body = connect::read_body(request.into_body(), most).await?;
    connect::off_thread(gzipped || body.len() > connect::INLINE_BYTES, move || {
        let body = match encoding {
            Encoding::Binary => body,
            Encoding::Text => decode_text(&body)?,
        };
        frame::decode_only(body, gzipped, &rpc, share.as_ref())
    })
    .await
}

/// Decodes base64 that may be padded in its middle, where a sender has joined
/// pieces.
fn decode_text(text: &[u8]) -> Result<Bytes, Status> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let padding = rest.iter().position(|&byte| byte == b'=');
        // Padding ends at the next multiple of four.
        let end = padding.map_or(rest.len(), |at| (at / 4 * 4 + 4).min(rest.len()));
        let (piece, after) = rest.split_at(end);
        STANDARD
            .decode_vec(piece, &mut bytes)
            .map_err(|_| Status::invalid_argument("unmarshal message: the body is not base64"))?;
        rest = after;
    }
    Ok(bytes.into())
}

/// Ends an answer, which has its message already or none.
fn respond(encoding: Encoding, mut body: BytesMut, status: &Status) -> Response {
    put_frame(&mut body, TRAILERS, &trailers(status));
    let body = match encoding {
        Encoding::Binary => body.freeze(),
        Encoding::Text => STANDARD.encode(&body).into(),
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, encoding.content_type());
    response
}

/// Writes the status as trailers.
fn trailers(status: &Status) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        // The message has bytes that no header has.
        headers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    let mut text = Vec::new();
    for (name, value) in &headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_be_joined_of_padded_pieces() {
        let text = format!("{}{}", STANDARD.encode(b"a"), STANDARD.encode(b"bcde"));
        assert_eq!(&decode_text(text.as_bytes()).unwrap()[..], b"abcde");
        assert_eq!(&decode_text(b"").unwrap()[..], b"");
        for bad in ["*", "====", "YQ=", "YQ==="] {
            assert!(decode_text(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn trailers_carry_the_status() {
        let text = |status: &Status| String::from_utf8(trailers(status)).unwrap();
        assert_eq!(text(&Status::ok("")), "grpc-status: 0\r\n");
        assert_eq!(
            text(&Status::invalid_argument("no\nline")),
            "grpc-status: 3\r\ngrpc-message: no%0Aline\r\n"
        );
    }
}
