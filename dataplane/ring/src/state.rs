use std::fmt;

use proto::ring::{InstanceDesc, InstanceState};

/// What an instance says about itself in the ring.
///
/// The enumeration is open: peers of another version may gossip numbers that
/// this one does not know, and they survive decoding and merging. The accessor
/// that prost generates would read them as ACTIVE, so use [`State::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Owns its tokens and takes writes.
    Active,
    /// Stops: takes no writes, still answers reads.
    Leaving,
    /// Registered, without a claim to its tokens yet.
    Pending,
    /// Has chosen tokens and watches for conflicts.
    Joining,
    /// A tombstone: removed from the ring, owns nothing.
    Left,
    /// A number of a newer peer.
    Unknown(i32),
}

impl State {
    /// Reads the state of an entry of the ring.
    pub fn of(instance: &InstanceDesc) -> Self {
        Self::from(instance.state)
    }
}

impl From<i32> for State {
    fn from(number: i32) -> Self {
        match InstanceState::try_from(number) {
            Ok(InstanceState::Active) => Self::Active,
            Ok(InstanceState::Leaving) => Self::Leaving,
            Ok(InstanceState::Pending) => Self::Pending,
            Ok(InstanceState::Joining) => Self::Joining,
            Ok(InstanceState::Left) => Self::Left,
            Err(_) => Self::Unknown(number),
        }
    }
}

impl From<State> for i32 {
    fn from(state: State) -> Self {
        match state {
            State::Active => InstanceState::Active as Self,
            State::Leaving => InstanceState::Leaving as Self,
            State::Pending => InstanceState::Pending as Self,
            State::Joining => InstanceState::Joining as Self,
            State::Left => InstanceState::Left as Self,
            State::Unknown(number) => number,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "ACTIVE",
            Self::Leaving => "LEAVING",
            Self::Pending => "PENDING",
            Self::Joining => "JOINING",
            Self::Left => "LEFT",
            Self::Unknown(number) => return write!(f, "UNKNOWN({number})"),
        })
    }
}
