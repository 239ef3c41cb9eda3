//! What can go wrong with a bucket, and what to do about it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::retry::Cause;

/// Why an operation on a bucket failed.
///
/// Nothing but a put, an upload or a deletion changes the bucket; of those that failed for another
/// reason than [`Error::Denied`] it is not known whether they did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("cannot {place}: there is no such object")]
    NotFound {
        /// What was tried, and where.
        place: Place,
    },
    /// The store does not let us.
    #[error("cannot {place}: {reason}; check the credentials, and that they may {}", .place.operation.permission())]
    Denied {
        /// What was tried, and where.
        place: Place,
        /// What the store says.
        reason: String,
    },
    /// The store asked for fewer requests until there was no time left for another.
    #[error(
        "cannot {place}: {reason}; the store throttles, try again later or with fewer requests at once"
    )]
    Throttled {
        /// What was tried, and where.
        place: Place,
        /// What the store says.
        reason: String,
        /// How long it asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// The store failed, or could not be reached, as often as it was tried.
    #[error("cannot {place}: {reason}; try again later")]
    Transient {
        /// What was tried, and where.
        place: Place,
        /// What happened last.
        reason: String,
    },
    /// It would fail again: something is to be changed.
    #[error("cannot {place}: {reason}")]
    Broken {
        /// What was tried, and where.
        place: Place,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What was tried, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What was tried.
    pub operation: Operation,
    /// The bucket, as in `s3 bucket profiles`.
    pub bucket: Arc<str>,
    /// The key with its prefix, or what the keys of a list start with.
    pub key: String,
}

/// What is done with a bucket. The names in metrics are those of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reading a whole object.
    Get,
    /// Reading a part of an object.
    GetRange,
    /// Asking how large an object is, and how old.
    Head,
    /// Asking whether there is an object.
    Exists,
    /// Listing keys.
    List,
    /// Writing an object.
    Upload,
    /// Deleting an object.
    Delete,
}

impl Error {
    /// Makes an error of what the last attempt met.
    pub(super) fn new(place: Place, cause: Cause) -> Self {
        match cause {
            Cause::NotFound => Self::NotFound { place },
            Cause::Denied(reason) => Self::Denied { place, reason },
            Cause::Throttled {
                reason,
                retry_after,
            } => Self::Throttled {
                place,
                reason,
                retry_after,
            },
            Cause::Transient(reason) => Self::Transient { place, reason },
            Cause::Broken(reason) => Self::Broken { place, reason },
        }
    }

    /// Returns whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns whether the same may succeed later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Transient { .. })
    }

    /// Returns what was tried, and where.
    pub fn place(&self) -> &Place {
        match self {
            Self::NotFound { place }
            | Self::Denied { place, .. }
            | Self::Throttled { place, .. }
            | Self::Transient { place, .. }
            | Self::Broken { place, .. } => place,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            bucket,
            key,
        } = self;
        write!(f, "{} {key:?} in {bucket}", operation.verb())
    }
}

impl Operation {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Get,
        Self::GetRange,
        Self::Head,
        Self::Exists,
        Self::List,
        Self::Upload,
        Self::Delete,
    ];

    /// Returns its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::Head => "attributes",
            Self::Exists => "exists",
            Self::List => "iter",
            Self::Upload => "upload",
            Self::Delete => "delete",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetRange => "get a range of",
            Self::Head => "look at",
            Self::Exists => "look for",
            Self::List => "list",
            Self::Upload => "upload",
            Self::Delete => "delete",
        }
    }

    const fn permission(self) -> &'static str {
        match self {
            Self::Get | Self::GetRange | Self::Head | Self::Exists => "read objects",
            Self::List => "list the bucket",
            Self::Upload => "write objects",
            Self::Delete => "delete objects",
        }
    }
}

/// Why a bucket cannot be used at all; found before anything is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that the settings name cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The directory of a filesystem bucket cannot be made or used.
    #[error("cannot use the directory {} as a bucket: {error}", .path.display())]
    Directory {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// No certificate could be verified.
    #[error("cannot verify the store's certificate: {0}; set the file of authorities, tls-ca-path")]
    Authorities(String),
    /// A setting makes no sense, alone or with others.
    #[error("{setting}: {reason}")]
    Setting {
        /// The setting, as its flag.
        setting: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The client cannot be made of the settings.
    #[error("cannot make a client of the {backend} settings: {reason}")]
    Client {
        /// The backend.
        backend: &'static str,
        /// What is wrong.
        reason: String,
    },
}
