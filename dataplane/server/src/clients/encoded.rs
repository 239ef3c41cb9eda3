//! Calls whose message comes encoded, because the same bytes go to several
//! servers, and whose answer is small.

use std::marker::PhantomData;

use bytes::{BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
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
pub(super) async fn call<T: Message + Default + 'static>(
    channel: Channel,
    path: &'static str,
    parts: Request<Vec<Bytes>>,
) -> Result<T, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    let answer = grpc.unary(parts, path, Encoded(PhantomData)).await?;
    Ok(answer.into_inner())
}

#[derive(Debug)]
struct Encoded<T>(PhantomData<T>);

impl<T: Message + Default + 'static> Codec for Encoded<T> {
    type Encode = Vec<Bytes>;
    type Decode = T;
    type Encoder = Self;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(64, 64))
    }
}

impl<T> Encoder for Encoded<T> {
    type Item = Vec<Bytes>;
    type Error = Status;

    fn encode(&mut self, parts: Vec<Bytes>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(parts.iter().map(Bytes::len).sum());
        parts.into_iter().for_each(|part| buffer.put(part));
        Ok(())
    }
}
