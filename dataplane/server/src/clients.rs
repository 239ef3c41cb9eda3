//! gRPC connections to ingesters, one per address, shared by all requests.

mod encoded;

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::{
    ingester::v1::ingester_service_client::IngesterServiceClient, push::v1::PushResponse,
    reader::v1::reader_service_client::ReaderServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::rpc::{TENANT_HEADER, TenantId};

/// Longest wait for a connection before the instance counts as failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const PUSH: &str = "/ingester.v1.IngesterService/Push";
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Connections to the instances of a ring.
#[derive(Debug)]
pub(crate) struct Clients {
    channels: Mutex<HashMap<String, Channel>>,
    max_message_bytes: usize,
}

impl Clients {
    /// Creates an empty pool; `max_message_bytes` bounds what a peer may answer.
    pub(crate) fn new(max_message_bytes: usize) -> Self {
        Self {
            channels: Mutex::default(),
            max_message_bytes,
        }
    }

    /// Returns a client for writes and label queries at `addr`.
    ///
    /// # Errors
    ///
    /// `unavailable` when `addr` is not `host:port`.
    pub(crate) fn ingester(&self, addr: &str) -> Result<IngesterServiceClient<Channel>, Status> {
        Ok(IngesterServiceClient::new(self.channel(addr)?)
            .max_decoding_message_size(self.max_message_bytes)
            .max_encoding_message_size(self.max_message_bytes))
    }

    /// Returns a client for reads of profiles at `addr`.
    ///
    /// # Errors
    ///
    /// `unavailable` when `addr` is not `host:port`.
    pub(crate) fn reader(&self, addr: &str) -> Result<ReaderServiceClient<Channel>, Status> {
        Ok(ReaderServiceClient::new(self.channel(addr)?)
            .max_decoding_message_size(self.max_message_bytes)
            .max_encoding_message_size(self.max_message_bytes))
    }

    /// Sends encoded `push.v1.PushRequest`s, in one message, to the ingester at
    /// `addr`.
    ///
    /// # Errors
    ///
    /// The ingester's; `unavailable` when `addr` is not `host:port`.
    pub(crate) async fn push(
        &self,
        addr: &str,
        messages: Request<Vec<Bytes>>,
    ) -> Result<PushResponse, Status> {
        encoded::call(self.channel(addr)?, PUSH, messages).await
    }

    /// Asks the process at `addr` for a sign of life: any answer of its own is
    /// one, whatever it says. Without one in time its connection is replaced.
    pub(crate) async fn is_alive(&self, addr: &str, timeout: Duration) -> bool {
        let check = async {
            // A request without fields asks for the process as a whole.
            let request = Request::new(Vec::new());
            encoded::call(self.channel(addr)?, HEALTH_CHECK, request).await
        };
        let is_alive = match tokio::time::timeout(timeout, check).await {
            Ok(Ok(())) => true,
            Ok(Err(status)) => {
                status.code() == Code::Unimplemented || status.code() == Code::NotFound
            }
            Err(_) => false,
        };
        if !is_alive {
            self.channels.lock().remove(addr);
        }
        is_alive
    }

    /// Closes the connections to addresses for which `keep` is false.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.channels.lock().retain(|addr, _| keep(addr));
    }

    fn channel(&self, addr: &str) -> Result<Channel, Status> {
        if let Some(channel) = self.channels.lock().get(addr) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{addr}"))
            .map_err(|error| {
                Status::unavailable(format!("bad address {addr} in the ring: {error}"))
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        let mut channels = self.channels.lock();
        Ok(channels
            .entry(addr.to_owned())
            .or_insert_with(|| endpoint.connect_lazy())
            .clone())
    }
}

/// Wraps a message with its tenant and a deadline.
pub(crate) fn request<T>(tenant: &TenantId, timeout: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let tenant = MetadataValue::<Ascii>::try_from(tenant.as_str())
        .expect("tenant IDs consist of visible ASCII characters");
    request.metadata_mut().insert(TENANT_HEADER, tenant);
    request.set_timeout(timeout);
    request
}
