//! The driver's clock reading.

use std::ops::Add;
use std::time::Duration;

/// A point in time, as the duration since an epoch of the driver's choice.
///
/// The epoch must not change during the life of a [`crate::Machine`] and readings must not go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(Duration::ZERO);
    /// Later than every reachable time.
    pub const MAX: Self = Self(Duration::MAX);

    /// Creates the timestamp that lies `since_epoch` after the epoch.
    pub const fn from_duration(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Returns the duration since the epoch.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}
