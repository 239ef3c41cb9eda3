//! The record kept of every known node.

use std::sync::Arc;

use bytes::Bytes;

use crate::address::Address;
use crate::time::Timestamp;

/// What is believed about a node.
///
/// ```text
///            suspect                timeout
///   Alive ───────────▶ Suspect ───────────────▶ Dead ──┐
///     ▲ ◀── refuted ──────┘                            ├──▶ forgotten
///     └──────── alive with a newer incarnation ◀── Left┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Answers probes, as far as is known.
    Alive,
    /// Did not answer somebody; still counted as a member.
    Suspect,
    /// Did not refute the suspicion in time.
    Dead,
    /// Said goodbye.
    Left,
}

impl NodeState {
    /// Returns the number that stands for this state in a push/pull.
    pub const fn to_wire(self) -> i64 {
        match self {
            Self::Alive => 0,
            Self::Suspect => 1,
            Self::Dead => 2,
            Self::Left => 3,
        }
    }

    /// Returns the state that a push/pull means by `number`.
    pub const fn from_wire(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Alive),
            1 => Some(Self::Suspect),
            2 => Some(Self::Dead),
            3 => Some(Self::Left),
            _ => None,
        }
    }

    /// Tells whether the node counts as a member: alive or merely suspected.
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// The protocol versions that a node announces: six bytes on the wire, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Versions {
    /// The lowest protocol version understood.
    pub protocol_min: u8,
    /// The highest protocol version understood.
    pub protocol_max: u8,
    /// The protocol version spoken.
    pub protocol_current: u8,
    /// The lowest version of the user state understood.
    pub delegate_min: u8,
    /// The highest version of the user state understood.
    pub delegate_max: u8,
    /// The version of the user state spoken.
    pub delegate_current: u8,
}

impl Versions {
    /// What memberlist peers of this generation announce, and so does this crate by default.
    pub const CURRENT: Self = Self {
        protocol_min: 1,
        protocol_max: 5,
        protocol_current: 2,
        delegate_min: 0,
        delegate_max: 0,
        delegate_current: 0,
    };

    /// Returns the versions of a node of this crate whose user data has the `[lowest, highest, present]` versions given.
    pub const fn with_delegate([min, max, current]: [u8; 3]) -> Self {
        Self {
            delegate_min: min,
            delegate_max: max,
            delegate_current: current,
            ..Self::CURRENT
        }
    }

    /// Reads the first six bytes; `None` if there are fewer.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[pmin, pmax, pcur, dmin, dmax, dcur, ..] = bytes else {
            return None;
        };
        Some(Self {
            protocol_min: pmin,
            protocol_max: pmax,
            protocol_current: pcur,
            delegate_min: dmin,
            delegate_max: dmax,
            delegate_current: dcur,
        })
    }

    /// Tells whether two nodes with these versions understand each other.
    pub fn is_compatible(&self, other: &Self) -> bool {
        let one_way = |a: &Self, b: &Self| {
            (a.protocol_min..=a.protocol_max).contains(&b.protocol_current)
                && (a.delegate_min..=a.delegate_max).contains(&b.delegate_current)
        };
        self.protocol_min > 0 && one_way(self, other) && one_way(other, self)
    }

    /// Returns the wire form.
    pub const fn to_bytes(self) -> [u8; 6] {
        [
            self.protocol_min,
            self.protocol_max,
            self.protocol_current,
            self.delegate_min,
            self.delegate_max,
            self.delegate_current,
        ]
    }
}

/// One node as this machine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The unique key.
    pub name: Arc<str>,
    /// Where the node listens, in its announced form.
    pub address: Address,
    /// Opaque data of the node, at most 512 bytes.
    pub meta: Bytes,
    /// The node's own counter; a higher one overrides what was said before.
    pub incarnation: u32,
    /// What is believed about the node.
    pub state: NodeState,
    /// When `state` changed last.
    pub state_change: Timestamp,
    /// The versions that the node announced.
    pub versions: Versions,
}
