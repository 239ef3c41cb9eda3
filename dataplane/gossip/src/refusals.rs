//! What was not accepted from the network, counted by reason.

use memberlist::WireError;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Why something from the network was refused. None of it changes any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Given up for newer connections, as there are too many.
    Crowded,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// No byte for too long, or none at all.
    Idle,
    /// Not complete in time.
    Slow,
    /// Closed before its end.
    Truncated,
    /// Larger than anything that peers send.
    TooLarge,
    /// No room among the messages that are being received.
    NoMemory,
    /// Packets arrive faster than they are handled.
    QueueFull,
    /// Neither packet nor stream.
    UnknownKind,
    /// A checksum disagrees.
    Checksum,
    /// Not decodable, or not allowed where it stands.
    Malformed,
    /// Of another cluster.
    Label,
    /// Encrypted with an unknown key, or not encrypted as it has to be.
    Encryption,
    /// For a node of another name.
    WrongNode,
    /// A node would speak versions that others do not understand, or the
    /// application vetoes the members.
    Members,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Refusal {
    const ALL: [Self; 15] = [
        Self::Crowded,
        Self::Handshake,
        Self::Idle,
        Self::Slow,
        Self::Truncated,
        Self::TooLarge,
        Self::NoMemory,
        Self::QueueFull,
        Self::UnknownKind,
        Self::Checksum,
        Self::Malformed,
        Self::Label,
        Self::Encryption,
        Self::WrongNode,
        Self::Members,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::Handshake => "tls_handshake",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
            Self::QueueFull => "queue_full",
            Self::UnknownKind => "unknown_kind",
            Self::Checksum => "checksum",
            Self::Malformed => "malformed",
            Self::Label => "label",
            Self::Encryption => "encryption",
            Self::WrongNode => "wrong_node",
            Self::Members => "members",
        }
    }
}

impl From<&WireError> for Refusal {
    fn from(error: &WireError) -> Self {
        match error {
            WireError::Truncated { .. } => Self::Truncated,
            WireError::TooLarge { .. } => Self::TooLarge,
            WireError::Encrypted => Self::Encryption,
            WireError::LabelMismatch { .. } => Self::Label,
            WireError::Checksum { .. } => Self::Checksum,
            WireError::WrongNode { .. } => Self::WrongNode,
            WireError::Full { .. } => Self::Members,
            _ => Self::Malformed,
        }
    }
}

/// Counts what was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Family<ReasonLabel, Counter>);

impl Refusals {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let refusals = Self::default();
        for refusal in Refusal::ALL {
            // Each reason is shown from the start, as zero.
            drop(refusals.counter(refusal));
        }
        registry.register(
            "pyroscope_memberlist_refused",
            "Connections and messages from the network that were refused",
            refusals.0.clone(),
        );
        refusals
    }

    pub(crate) fn count(&self, refusal: Refusal) {
        self.counter(refusal).inc();
    }

    fn counter(&self, refusal: Refusal) -> Counter {
        let reason = refusal.label();
        self.0.get_or_create_owned(&ReasonLabel { reason })
    }
}
