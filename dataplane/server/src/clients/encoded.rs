//! Calls whose message comes encoded, because the same bytes go to several
//! servers, and whose answer says nothing but that it is one.

use bytes::{BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_prost::ProstDecoder;

/// Sends a message in parts: in protobuf, parts that follow each other are one
/// message with the repeated fields of all.
///
/// # Errors
///
/// The server's, or the transport's.
pub(super) async fn call(
    channel: Channel,
    path: &'static str,
    parts: Request<Vec<Bytes>>,
) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    grpc.unary(parts, path, Encoded).await.map(drop)
}

#[derive(Debug, Clone, Copy)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Vec<Bytes>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = ProstDecoder<()>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(64, 64))
    }
}

impl Encoder for Encoded {
    type Item = Vec<Bytes>;
    type Error = Status;

    fn encode(&mut self, parts: Vec<Bytes>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(parts.iter().map(Bytes::len).sum());
        parts.into_iter().for_each(|part| buffer.put(part));
        Ok(())
    }
}
