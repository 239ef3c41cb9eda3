//! The key-value store as the application behind membership.

use std::sync::Arc;

use bytes::Bytes;
use memberlist::{Broadcast, Origin};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Config;
use crate::delegate::{Delegate, Request};
use crate::kv::{self, Shared};

/// Keeps the stores of all nodes the same.
pub(crate) struct Replication {
    shared: Arc<Shared>,
    /// News of peers that others have not been told.
    forwarded: Mutex<Vec<Broadcast>>,
    versions: [u8; 3],
}

impl Replication {
    pub(crate) fn new(shared: Arc<Shared>, config: &Config) -> Self {
        // Whoever missed the record that a short form is about asks for full
        // state. A node that exchanges none would stay wrong about an instance
        // for ever, so it is sent whole records.
        let versions = if config.push_pull_interval.is_zero() {
            [0; 3]
        } else {
            kv::DELEGATE_VERSIONS
        };
        Self {
            shared,
            forwarded: Mutex::default(),
            versions,
        }
    }
}

impl Delegate for Replication {
    fn message(&self, message: Bytes) {
        self.forwarded.lock().extend(self.shared.receive(message));
    }

    fn local_state(&self, _join: bool) -> Bytes {
        self.shared.full_state()
    }

    fn merge_state(&self, state: Bytes, _join: bool) {
        let news = self.shared.receive_state(state);
        self.forwarded.lock().extend(news);
    }

    fn versions(&self) -> [u8; 3] {
        self.versions
    }

    fn take_requests(&self) -> Vec<Request> {
        let forwarded = std::mem::take(&mut *self.forwarded.lock());
        let exchange = self.shared.take_push_pull_request();
        let own = self.shared.take_outbox();
        let own = own.into_iter().map(|own| (Origin::Local, own));
        let forwarded = forwarded.into_iter().map(|news| (Origin::Forwarded, news));
        own.chain(forwarded)
            .map(|(origin, broadcast)| Request::Broadcast(origin, broadcast))
            .chain(exchange.then_some(Request::PushPull))
            .collect()
    }

    fn waker(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.shared.changed))
    }

    fn tick(&self) {
        self.shared.forget_deleted();
    }

    fn leaving(&self) {
        self.shared.stop();
    }
}
