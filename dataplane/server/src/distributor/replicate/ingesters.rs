//! The ways to ingesters: a function call to that of this process, the network
//! to others.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use proto::push::v1::PushRequest;
use store::DigestKey;
use tonic::Status;

use super::shipment::Shipment;
use crate::{
    clients::{Clients, request},
    ingester::Ingester,
    rpc::TenantId,
};

/// Reaches ingesters by their addresses; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ingesters {
    clients: Arc<Clients>,
    own: Option<Own>,
    /// Agreed with ingesters, those of other processes too.
    digest_key: Arc<DigestKey>,
}

/// The ingester of this process.
#[derive(Debug, Clone)]
struct Own {
    addr: String,
    ingester: Ingester,
}

impl Ingesters {
    /// Creates the ways to ingesters of other processes.
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self {
            clients,
            own: None,
            digest_key: Arc::new(DigestKey::new(rand::random())),
        }
    }

    /// Adds the ingester of this process, which is known in the ring by `addr`.
    pub(crate) fn with_own(self, addr: String, ingester: Ingester) -> Self {
        Self {
            digest_key: ingester.digest_key(),
            own: Some(Own { addr, ingester }),
            ..self
        }
    }

    /// Returns the key of the digests that ingesters can use.
    pub(super) fn digest_key(&self) -> u64 {
        self.digest_key.get()
    }

    /// Has an ingester store a shipment.
    ///
    /// # Errors
    ///
    /// The ingester's, or `unavailable` or `deadline_exceeded` without one.
    pub(super) async fn push(
        &self,
        addr: &str,
        tenant: &TenantId,
        shipment: &Shipment,
        timeout: Duration,
    ) -> Result<(), Status> {
        match self.own_at(addr) {
            Some(own) => within(timeout, own.store(tenant, shipment.incoming())).await,
            None => {
                self.send(addr, tenant, vec![shipment.message()], timeout)
                    .await
            }
        }
    }

    /// Has an ingester store encoded `push.v1.PushRequest`s.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub(super) async fn deliver(
        &self,
        addr: &str,
        tenant: &TenantId,
        messages: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(), Status> {
        let Some(own) = self.own_at(addr) else {
            return self.send(addr, tenant, messages, timeout).await;
        };
        for message in messages {
            let request = PushRequest::decode(message).map_err(|error| {
                Status::internal(format!("decode what was handed off: {error}"))
            })?;
            within(timeout, own.push(tenant, request)).await?;
        }
        Ok(())
    }

    /// Asks an ingester for a sign of life.
    pub(super) async fn is_alive(&self, addr: &str, timeout: Duration) -> bool {
        self.own_at(addr).is_some() || self.clients.is_alive(addr, timeout).await
    }

    fn own_at(&self, addr: &str) -> Option<&Ingester> {
        let own = self.own.as_ref()?;
        (own.addr == addr).then_some(&own.ingester)
    }

    async fn send(
        &self,
        addr: &str,
        tenant: &TenantId,
        messages: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(), Status> {
        let call = self.clients.push(addr, request(tenant, timeout, messages));
        let response = within(timeout, call).await?;
        self.digest_key.agree(response.digest_key);
        Ok(())
    }
}

async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}
