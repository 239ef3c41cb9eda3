//! What can be wrong with a block.

use std::io;

use parquet::errors::ParquetError;

use super::meta::{Description, VERSION};

/// Why a block cannot be written or read. Nothing that was read is to be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system, or the store that the block is in, refused.
    #[error("block {block}: {file} cannot be accessed: {error}; try again, the block may be whole")]
    Io {
        /// The block.
        block: String,
        /// File of the block, or its directory.
        file: String,
        /// What was refused.
        error: io::Error,
    },
    /// A file that a block must have is not there.
    #[error(
        "block {block}: {file} is missing; bring it back from a replica or a backup, or set the block aside"
    )]
    Missing {
        /// The block.
        block: String,
        /// The file.
        file: String,
    },
    /// A file is not what was written.
    #[error(
        "block {block}: {file} is damaged: {reason}; bring it back from a replica or a backup, or set the block aside"
    )]
    Damaged {
        /// The block.
        block: String,
        /// The file.
        file: String,
        /// What does not fit.
        reason: String,
    },
    /// A newer version wrote it.
    #[error(
        "block {block}: meta.json has format version {version}, this program reads up to {VERSION}: use a newer one"
    )]
    Version {
        /// The block.
        block: String,
        /// Its version.
        version: u64,
    },
    /// It is something else.
    #[error(
        "block {block}: meta.json is not that of this block: {reason}; look who else writes to this place"
    )]
    Foreign {
        /// The block.
        block: String,
        /// How that is known.
        reason: String,
    },
    /// What was asked to be written makes no block.
    #[error("block {block} cannot be written: {reason}")]
    Refused {
        /// The block.
        block: String,
        /// Why.
        reason: String,
    },
}

impl BlockError {
    /// A block without profiles.
    pub(crate) fn empty(description: &Description) -> Self {
        Self::Refused {
            block: description.id.to_string(),
            reason: "it would have no profiles".to_owned(),
        }
    }
}

/// What is wrong with one file, before it is said which.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    Missing,
    Damaged(String),
    Refused(String),
}

impl Fault {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    /// Says of which file of which block it is.
    pub(crate) fn of(self, block: impl ToString, file: impl Into<String>) -> BlockError {
        let (block, file) = (block.to_string(), file.into());
        match self {
            Self::Io(error) => BlockError::Io { block, file, error },
            Self::Missing => BlockError::Missing { block, file },
            Self::Damaged(reason) => BlockError::Damaged {
                block,
                file,
                reason,
            },
            Self::Refused(reason) => BlockError::Refused { block, reason },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        // A writer's disk errors come wrapped.
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(error) => Self::Damaged(error.to_string()),
            },
            error => Self::Damaged(error.to_string()),
        }
    }
}
