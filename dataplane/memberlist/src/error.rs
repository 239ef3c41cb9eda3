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
    /// The input is encrypted; this node has no key.
    #[error("encrypted input, and gossip encryption is not supported: disable it on the peer")]
    Encrypted,
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

/// A push/pull whose nodes cannot speak to each other; nothing of it was merged, its user state must not be either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {name:?} speaks {what} version {current}, but all nodes must speak one from {min} to {max}"
)]
pub struct PushPullRejected {
    /// The first node that does not fit.
    pub name: String,
    /// Which version does not fit: `protocol` or `delegate`.
    pub what: &'static str,
    /// The version that the node speaks.
    pub current: u8,
    /// The lowest version that all nodes understand.
    pub min: u8,
    /// The highest version that all nodes understand.
    pub max: u8,
}
