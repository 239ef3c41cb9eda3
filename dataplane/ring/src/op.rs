use crate::State;

/// What the replicas of a series are wanted for: which states serve it, and
/// which states make the walk look for one instance more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Writes go to ACTIVE instances; every other one on the way is replaced
    /// by the next.
    Write,
    /// Writes to ACTIVE instances without looking further.
    WriteNoExtend,
    /// Reads ask ACTIVE, PENDING and LEAVING instances; one that is too new to
    /// have the data is replaced by the next.
    Read,
    /// Counts every instance.
    Reporting,
}

impl Op {
    /// Whether an instance in this state serves the operation.
    pub fn serves(self, state: State) -> bool {
        match self {
            Self::Write | Self::WriteNoExtend => state == State::Active,
            Self::Read => matches!(state, State::Active | State::Pending | State::Leaving),
            Self::Reporting => true,
        }
    }

    /// Whether meeting an instance in this state adds one to the replica set.
    pub fn extends(self, state: State) -> bool {
        match self {
            Self::Write => state != State::Active,
            Self::Read => matches!(state, State::Pending | State::Joining | State::Left),
            Self::WriteNoExtend | Self::Reporting => false,
        }
    }
}
