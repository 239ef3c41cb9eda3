//! What can be wrong with input.

/// Bytes from the network that cannot be used; the machine's state is as valid as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends inside something.
    #[error("{what} is cut short")]
    Truncated {
        /// What the input ends in.
        what: &'static str,
    },
    /// An announced or actual size is over its limit.
    #[error("{what} of {size} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size, in bytes or entries.
        size: u64,
        /// The limit it exceeds.
        limit: u64,
    },
    /// The bytes do not follow the format.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What was being decoded.
        what: &'static str,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// The message type is not one for this place.
    #[error("message type {found} cannot stand in a {place}")]
    UnexpectedType {
        /// The type byte.
        found: u8,
        /// Where it stands.
        place: &'static str,
    },
    /// The input is encrypted; this node has no key at all.
    #[error(
        "encrypted input, but this node has no key: install the peer's key or stop encrypting there"
    )]
    Encrypted,
    /// The input is not encrypted, though all of the cluster's is.
    #[error("input is not encrypted, but gossip encryption is on: install a key on the peer")]
    NotEncrypted,
    /// The input is encrypted with none of the keys, or was changed on its way.
    #[error(
        "no installed key decrypts the input: compare keys and cluster label with those of the peer"
    )]
    UnknownKey,
    /// The input belongs to another cluster.
    #[error("cluster label is {found:?}, expected {expected:?}")]
    LabelMismatch {
        /// The label of the input, empty if it has none.
        found: String,
        /// The configured label.
        expected: String,
    },
    /// A checksum disagrees with the bytes it covers.
    #[error("{what} does not match the content")]
    Checksum {
        /// The checksum that disagrees.
        what: &'static str,
    },
    /// Wrappers are nested deeper than anybody sends them.
    #[error("messages are nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting accepted.
        limit: usize,
    },
    /// The compression algorithm is unknown.
    #[error("unknown compression algorithm {algorithm}")]
    UnknownCompression {
        /// The number of the algorithm.
        algorithm: u8,
    },
    /// The message is for a node of another name.
    #[error("message is for node {name:?}, not for this one")]
    WrongNode {
        /// The node it is for.
        name: String,
    },
    /// The sender cannot be answered.
    #[error("no usable address to answer a ping from {from:?}")]
    NoReturnAddress {
        /// The source as the transport gave it.
        from: String,
    },
    /// There is no room for what was received; nothing was stored.
    #[error("too many {what}, limit is {limit}")]
    Full {
        /// What there are too many of.
        what: &'static str,
        /// How many fit.
        limit: usize,
    },
    /// The user of the library does not want the node.
    #[error("node {node:?} is not admitted: {reason}")]
    NotAdmitted {
        /// The node's name.
        node: String,
        /// Why.
        reason: String,
    },
}

impl WireError {
    /// Returns a name for this kind of error, to count it by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::UnexpectedType { .. } => "unexpected_type",
            Self::Encrypted => "encrypted",
            Self::NotEncrypted => "not_encrypted",
            Self::UnknownKey => "unknown_key",
            Self::LabelMismatch { .. } => "label",
            Self::Checksum { .. } => "checksum",
            Self::TooDeep { .. } => "too_deep",
            Self::UnknownCompression { .. } => "unknown_compression",
            Self::WrongNode { .. } => "wrong_node",
            Self::NoReturnAddress { .. } => "no_return_address",
            Self::Full { .. } => "full",
            Self::NotAdmitted { .. } => "not_admitted",
        }
    }
}

/// A key, or a change of the keys, that is not possible; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is not one of AES.
    #[error("key has {found} bytes, must have 16, 24 or 32")]
    Length {
        /// How long it is.
        found: usize,
    },
    /// There are too many keys: remove one that is not used any more.
    #[error("key ring is full with {limit} keys: remove one first")]
    Full {
        /// How many fit.
        limit: usize,
    },
    /// The key must be installed before it can be used.
    #[error("key is not installed: install it on all nodes before using it")]
    NotInstalled,
    /// The key is in use.
    #[error("primary key cannot be removed: use another one first")]
    Primary,
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ConfigError {
    /// The field that is wrong.
    pub field: &'static str,
    /// Why, and what would be right.
    pub reason: &'static str,
}

/// A push/pull of which nothing was merged; its user state must not be either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushPullRejected {
    /// Some nodes could not speak to each other.
    #[error(
        "node {name:?} speaks {what} version {current}, but all nodes must speak one from {min} to {max}"
    )]
    Versions {
        /// The first node that does not fit.
        name: String,
        /// Which version does not fit: `protocol` or `delegate`.
        what: &'static str,
        /// The version that the node speaks.
        current: u8,
        /// The lowest version that all nodes understand.
        min: u8,
        /// The highest version that all nodes understand.
        max: u8,
    },
    /// The user of the library does not want the clusters to become one.
    #[error("joining this cluster was refused: {reason}")]
    Vetoed {
        /// Why.
        reason: String,
    },
}

impl PushPullRejected {
    /// Returns a name for this kind of rejection, to count it by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Versions { .. } => "versions",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}
