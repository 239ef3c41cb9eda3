use axum::{
    http::{HeaderMap, header},
    response::Response,
};
use tonic::Status;

use super::{error_response, grpc_web, shortened};

/// The protocol that a request speaks, which is also the form of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Connect, or plain HTTP.
    Connect,
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web over any HTTP.
    GrpcWeb(grpc_web::Encoding),
}

impl Protocol {
    /// Tells the protocol by the content type.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default();
        match content_type.trim() {
            "application/grpc-web" | "application/grpc-web+proto" => {
                Self::GrpcWeb(grpc_web::Encoding::Binary)
            }
            "application/grpc-web-text" | "application/grpc-web-text+proto" => {
                Self::GrpcWeb(grpc_web::Encoding::Text)
            }
            "application/grpc" => Self::Grpc,
            other if other.starts_with("application/grpc+") => Self::Grpc,
            _ => Self::Connect,
        }
    }

    /// Answers a request that does not reach its handler.
    pub(crate) fn refuse(self, status: &Status) -> Response {
        match self {
            Self::Connect => error_response(status),
            Self::Grpc => shortened(status).into_http(),
            Self::GrpcWeb(encoding) => grpc_web::refuse(encoding, status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_protocol() {
        let of = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            Protocol::of(&headers)
        };
        assert_eq!(of("application/grpc"), Protocol::Grpc);
        assert_eq!(of("application/grpc+proto"), Protocol::Grpc);
        assert_eq!(of("application/grpc; charset=utf-8"), Protocol::Grpc);
        let binary = Protocol::GrpcWeb(grpc_web::Encoding::Binary);
        assert_eq!(of("application/grpc-web+proto"), binary);
        let text = Protocol::GrpcWeb(grpc_web::Encoding::Text);
        assert_eq!(of("application/grpc-web-text"), text);
        for other in ["application/json", "application/grpc-websocket", ""] {
            assert_eq!(of(other), Protocol::Connect);
        }
        assert_eq!(Protocol::of(&HeaderMap::new()), Protocol::Connect);
    }
}
