//! What was not accepted from the network, counted by reason.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Reasons of the transport; those of messages are the kinds of
/// [`memberlist::WireError`] and [`memberlist::PushPullRejected`].
pub(crate) mod reason {
    /// A connection was given up for newer ones, as there were too many.
    pub(crate) const CROWDED: &str = "crowded";
    /// The TLS handshake failed or took too long.
    pub(crate) const HANDSHAKE: &str = "tls_handshake";
    /// No byte for too long, or none at all.
    pub(crate) const IDLE: &str = "idle";
    /// Not complete in time.
    pub(crate) const SLOW: &str = "slow";
    /// Closed before its end.
    pub(crate) const TRUNCATED: &str = "truncated";
    /// Larger than anything that peers send.
    pub(crate) const TOO_LARGE: &str = "too_large";
    /// No room among the messages that are being received.
    pub(crate) const NO_MEMORY: &str = "no_memory";
    /// Messages arrive faster than they are handled.
    pub(crate) const QUEUE_FULL: &str = "queue_full";
    /// A connection is neither packet nor stream.
    pub(crate) const UNKNOWN_KIND: &str = "unknown_kind";
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counts what was refused. None of it has changed any state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Family<ReasonLabel, Counter>);

impl Refusals {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let refusals = Self::default();
        registry.register(
            "pyroscope_memberlist_refused",
            "Connections and messages from the network that were refused",
            refusals.0.clone(),
        );
        refusals
    }

    pub(crate) fn count(&self, reason: &'static str) {
        self.0.get_or_create_owned(&ReasonLabel { reason }).inc();
    }
}
