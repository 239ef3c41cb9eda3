//! One writer per directory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::LogError;
use super::segment::failed;

/// A lock on a directory: released when dropped, or by the system when the
/// process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody else has this lock file.
    Held(PathBuf),
    /// The lock file cannot be used.
    Io(LogError),
}

impl Lock {
    /// Locks a directory by its file `LOCK`.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("LOCK");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| LockError::Io(failed("create", &path)(error)))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(path)),
            Err(TryLockError::Error(error)) => Err(LockError::Io(failed("lock", &path)(error))),
        }
    }
}
