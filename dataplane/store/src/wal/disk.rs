//! The operations of a file system that the log is built on.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A file system, as far as the log needs one: the [real one](Os), or one of a
/// test that fails and forgets.
///
/// What the log relies on is what POSIX promises and no more: a name is durable
/// once its directory is synced, bytes once their file is; until then a crash
/// may keep any of them, in any order; a rename is atomic; and a write leaves
/// bytes that it does not cover, or covers with what they were, as they were.
pub trait Disk: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// Keeps others out until it is dropped.
    type Lock: fmt::Debug + Send;

    /// Locks a file, which is made if there is none; `None` if somebody else
    /// has it locked.
    ///
    /// # Errors
    /// The system's.
    fn lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
    /// Makes a directory and those it is in.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Lists the names in a directory.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes a file that does not exist.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file to read and write it.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Renames a file, over another if there is one.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must not exist.
    ///
    /// # Errors
    /// The system's.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that is open on a [`Disk`].
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;
    /// Reads at an offset; 0 bytes say that the file ends there.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes at an offset, possibly less than all.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Cuts the file, or extends it by zeros.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes bytes and length durable. After an error neither is known to be,
    /// and a later success says nothing about them.
    ///
    /// # Errors
    /// The system's.
    fn sync_data(&self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

/// A locked file: released when dropped, or by the system when the process ends
/// in whatever way.
#[derive(Debug)]
pub struct OsLock {
    _file: File,
}

impl Disk for Os {
    type File = File;
    type Lock = OsLock;

    fn lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(OsLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        fs::read_dir(directory)?
            .map(|entry| entry.map(name))
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    #[inline]
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[inline]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }

    #[inline]
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, at)
    }

    #[inline]
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    #[inline]
    fn sync_data(&self) -> io::Result<()> {
        self.sync_data()
    }
}
