//! What goes into a push and what comes back.

use std::sync::Arc;

use bytes::Bytes;
use profile::pprof::ReusedView;
use profile::{Labels, PprofError};

use crate::digest::Digest;
use crate::wal::{EncodeError, LogError};

/// A profile to store.
#[derive(Clone, Debug)]
pub struct IncomingProfile {
    /// Labels of the series as pushed, without those that are derived from the
    /// sample types.
    pub labels: Labels,
    /// Identity: the same profile pushed again has the same one.
    pub id: [u8; 16],
    /// The pprof, gzip or plain. It is logged byte for byte as given.
    pub raw: Bytes,
    /// What `raw` says, where this process has read, validated and normalised it
    /// already; nothing of it was cut.
    pub view: Option<Arc<ReusedView>>,
    /// What `raw` says but for its symbols, where somebody has read, validated
    /// and normalised it already. One under another key is not used.
    pub digest: Option<Arc<Digest>>,
}

/// Limits of the tenant that apply to one push.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushLimits {
    /// Most active series, counting one per sample type; a series that got no
    /// profile for ten minutes is not active. 0 is no limit.
    pub max_series: usize,
}

/// Some profiles of a push were not stored. Those that are not listed were, as
/// durably as if all had been.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} of {} profiles were not stored, the first because {}",
    .rejected.len(), .rejected.len() + .stored,
    .rejected.first().map(|first| first.reason.to_string()).unwrap_or_default()
)]
pub struct PushError {
    /// The profiles that were not stored, in the order of the push; never empty.
    pub rejected: Vec<Rejected>,
    /// How many were stored, or had been already.
    pub stored: usize,
}

impl PushError {
    /// Tells whether the same push may do better later. Pushing all of it again
    /// is right: what was stored is recognised by its identity.
    pub fn is_retryable(&self) -> bool {
        self.rejected
            .iter()
            .any(|rejected| rejected.reason.is_retryable())
    }
}

/// A profile that was not stored.
#[derive(Debug)]
pub struct Rejected {
    /// Its position in the push.
    pub index: usize,
    /// Its labels as pushed.
    pub labels: Labels,
    /// Why.
    pub reason: RejectReason,
}

/// Why a profile was not stored.
#[derive(Debug, thiserror::Error)]
pub enum RejectReason {
    /// It is no valid pprof.
    #[error(transparent)]
    Invalid(#[from] PprofError),
    /// It does not fit in a log record.
    #[error(transparent)]
    Record(#[from] EncodeError),
    /// Its series would exceed the limit of the tenant.
    #[error(
        "Maximum active series limit exceeded ({active}/{limit}), reduce the number of active \
         streams (reduce labels or reduce label values), or contact your administrator to see \
         if the limit can be increased"
    )]
    SeriesLimit {
        /// Active series before this profile.
        active: usize,
        /// The limit.
        limit: usize,
    },
    /// The head has no room for it.
    #[error("the head holds {used} of at most {max} bytes; add ingesters or raise the budget")]
    Full {
        /// Estimated size of the head, pushes under way included.
        used: u64,
        /// The budget.
        max: u64,
    },
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The same profile was being written for another push, which failed.
    #[error("another write of the same profile failed")]
    Superseded,
    /// The database is shutting down.
    #[error("the database is shutting down")]
    Closed,
}

impl RejectReason {
    /// Tells whether the profile may be stored when it is pushed again later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Record(_) | Self::SeriesLimit { .. } => false,
            Self::Full { .. } | Self::Log(_) | Self::Superseded | Self::Closed => true,
        }
    }
}
