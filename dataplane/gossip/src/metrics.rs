//! Counters of the transport and of the store, named as dskit names them.

mod client;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use client::ClientMetrics;

/// What crosses the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransportMetrics {
    pub(crate) incoming_streams: Counter,
    pub(crate) outgoing_streams: Counter,
    pub(crate) outgoing_stream_errors: Counter,
    pub(crate) packets_received: Counter,
    pub(crate) packets_received_bytes: Counter,
    pub(crate) packets_received_errors: Counter,
    pub(crate) packets_dropped: Counter,
    pub(crate) packets_sent: Counter,
    pub(crate) packets_sent_bytes: Counter,
    pub(crate) packets_sent_errors: Counter,
    pub(crate) unknown_connections: Counter,
}

impl TransportMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("memberlist_tcp_transport");
        for (name, help, counter) in [
            (
                "incoming_streams",
                "Streams opened by peers",
                &metrics.incoming_streams,
            ),
            (
                "outgoing_streams",
                "Streams opened to peers",
                &metrics.outgoing_streams,
            ),
            (
                "outgoing_stream_errors",
                "Streams to peers that could not be opened",
                &metrics.outgoing_stream_errors,
            ),
            (
                "packets_received",
                "Packets received",
                &metrics.packets_received,
            ),
            (
                "packets_received_errors",
                "Packets that were cut off or damaged",
                &metrics.packets_received_errors,
            ),
            (
                "packets_dropped",
                "Packets dropped because a queue was full",
                &metrics.packets_dropped,
            ),
            ("packets_sent", "Packets sent", &metrics.packets_sent),
            (
                "packets_sent_errors",
                "Packets that could not be sent",
                &metrics.packets_sent_errors,
            ),
            (
                "unknown_connections",
                "Connections that are neither packet nor stream",
                &metrics.unknown_connections,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, counter) in [
            (
                "packets_received",
                "Bytes of received packets",
                &metrics.packets_received_bytes,
            ),
            (
                "packets_sent",
                "Bytes of sent packets",
                &metrics.packets_sent_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        metrics
    }
}
