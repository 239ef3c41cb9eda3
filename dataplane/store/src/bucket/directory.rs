//! A directory as a bucket: objects are files, and keys are their paths.
//!
//! An object appears whole or not at all: it is written beside the others, synced, read again and
//! renamed, and its directory is synced. Symbolic links are never followed below the root, so that
//! no key leads out of it. Everything here blocks.

mod walk;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error::OpenError;
use super::retry::Cause;
use super::{Object, Page};

/// Where objects are written before they appear; no key begins with it.
const WRITING: &str = ".uploading";
/// What a process that ended has left there is removed when it is this old.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// A directory that is empty may be removed by others at any time, but not for ever.
const MOST_TRIES: u32 = 100;

/// A bucket in a directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// Without symbolic links in it.
    root: PathBuf,
}

impl Directory {
    /// Makes the directory if there is none, and removes what others left half-written.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Directory {
            path: path.to_owned(),
            error,
        };
        fs::create_dir_all(path.join(WRITING)).map_err(failed)?;
        let root = path.canonicalize().map_err(failed)?;
        let new = Self { root };
        new.remove_abandoned(SystemTime::now());
        Ok(new)
    }

    /// Reads a part of an object that begins within it, or the whole of an empty one, with the
    /// size of the whole; `None` if it begins beyond the end.
    pub(super) fn read(
        &self,
        key: &str,
        range: std::ops::Range<u64>,
        most: u64,
    ) -> Result<Option<(Bytes, u64)>, Cause> {
        let file = self.file(key)?;
        let size = file.metadata().map_err(cause)?.len();
        if size > most {
            return Err(too_large(size, most));
        }
        if range.start >= size {
            return Ok(None);
        }
        let length = usize::try_from(range.end.min(size) - range.start)
            .map_err(|_| Cause::Broken("the range does not fit into memory".to_owned()))?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start).map_err(cause)?;
        Ok(Some((bytes.into(), size)))
    }

    /// Returns size and age of an object.
    pub(super) fn head(&self, key: &str) -> Result<Object, Cause> {
        let meta = self.file(key)?.metadata().map_err(cause)?;
        Ok(Object {
            key: key.to_owned(),
            size: meta.len(),
            modified: meta.modified().map_err(cause)?,
        })
    }

    /// Writes an object of this many bytes.
    pub(super) fn write(&self, key: &str, source: &mut dyn Read, size: u64) -> Result<(), Cause> {
        if key.split('/').next() == Some(WRITING) {
            return Err(Cause::Broken(format!("keys do not begin with {WRITING}")));
        }
        let name = format!("{:032x}", rand::random::<u128>());
        let written = Written(self.root.join(WRITING).join(name));
        written.write(source, size)?;
        self.appear(&written, key)
    }

    /// Gives what was written its name.
    fn appear(&self, written: &Written, key: &str) -> Result<(), Cause> {
        let target = self.root.join(key);
        let folder = target.parent().unwrap_or(&self.root);
        for _ in 0..MOST_TRIES {
            match self.rename(written, folder, &target) {
                // A deletion has removed a folder on the way, as it was empty.
                Err(Cause::NotFound) => {}
                result => return result,
            }
        }
        Err(Cause::Transient(
            "its folder is removed again and again".to_owned(),
        ))
    }

    fn rename(&self, written: &Written, folder: &Path, target: &Path) -> Result<(), Cause> {
        self.make(folder)?;
        self.check_inside(folder)?;
        fs::rename(&written.0, target).map_err(in_the_way)?;
        sync(folder).map_err(cause)
    }

    /// Deletes an object, and the folders that are empty then.
    pub(super) fn delete(&self, key: &str) -> Result<(), Cause> {
        let path = self.root.join(key);
        let folder = path.parent().unwrap_or(&self.root);
        match self.check_inside(folder) {
            Err(Cause::NotFound) => return Ok(()),
            checked => checked?,
        }
        match fs::remove_file(&path) {
            Ok(()) => sync(folder).map_err(cause)?,
            Err(error) if is_absent(&error) => return Ok(()),
            // A folder is no object.
            Err(_) if path.is_dir() => return Ok(()),
            Err(error) => return Err(cause(error)),
        }
        for folder in folder.ancestors().take_while(|it| **it != self.root) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Lists at most `most` objects and folders below a folder, which ends with a slash or is
    /// empty, after the one that the last page ended with.
    pub(super) fn list(
        &self,
        folder: &str,
        depth: super::Depth,
        after: &str,
        most: usize,
    ) -> Result<Page, Cause> {
        let path = self.root.join(folder);
        match self.check_inside(&path) {
            Err(Cause::NotFound) => return Ok(Page::default()),
            checked => checked?,
        }
        walk::page(&path, folder, depth, after, most).map_err(cause)
    }

    /// Opens the file of an object.
    fn file(&self, key: &str) -> Result<File, Cause> {
        let path = self.root.join(key);
        self.check_inside(path.parent().unwrap_or(&self.root))?;
        let file = OpenOptions::new()
            .read(true)
            // A pipe would wait for a writer.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP) => {
                    Cause::Broken("it is a symbolic link, which is not followed".to_owned())
                }
                _ => cause(error),
            })?;
        match file.metadata().map_err(cause)?.is_file() {
            true => Ok(file),
            false => Err(Cause::NotFound),
        }
    }

    /// Checks that no symbolic link leads a folder out of the root.
    fn check_inside(&self, folder: &Path) -> Result<(), Cause> {
        let real = folder.canonicalize().map_err(cause)?;
        match real.starts_with(&self.root) {
            true => Ok(()),
            false => Err(Cause::Broken(format!(
                "a symbolic link leads out of the bucket to {}",
                real.display()
            ))),
        }
    }

    /// Makes a folder and those it is in, each durable.
    fn make(&self, folder: &Path) -> Result<(), Cause> {
        let is_missing = |it: &&Path| fs::symlink_metadata(it).is_err();
        let missing: Vec<_> = folder.ancestors().take_while(is_missing).collect();
        let Some(outermost) = missing.last().and_then(|it| it.parent()) else {
            return Ok(());
        };
        self.check_inside(outermost)?;
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(in_the_way(error));
                }
                _ => {}
            }
            sync(folder.parent().unwrap_or(&self.root)).map_err(cause)?;
        }
        Ok(())
    }

    fn remove_abandoned(&self, now: SystemTime) {
        let entries = fs::read_dir(self.root.join(WRITING)).into_iter().flatten();
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let age = modified.ok().and_then(|then| now.duration_since(then).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Who may not remove it has not written it.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A file that is being written; removed when dropped, unless it was renamed.
struct Written(PathBuf);

impl Written {
    /// Writes a file, syncs it and reads it again.
    fn write(&self, source: &mut dyn Read, size: u64) -> Result<(), Cause> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&self.0)
            .map_err(cause)?;
        let mut source = Checked::new(source.take(size));
        let copied = io::copy(&mut source, &mut file).map_err(cause)?;
        if copied != size {
            return Err(Cause::Broken(format!(
                "its source had {copied} bytes instead of {size}: it changed meanwhile"
            )));
        }
        file.sync_all().map_err(cause)?;
        let mut back = Checked::new(File::open(&self.0).map_err(cause)?);
        let read = io::copy(&mut back, &mut io::sink()).map_err(cause)?;
        match read == size && back.sum() == source.sum() {
            true => Ok(()),
            false => Err(Cause::Transient(
                "what the disk has is not what was written".to_owned(),
            )),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sums up what is read through it.
struct Checked<R> {
    inner: R,
    sum: crc32fast::Hasher,
}

impl<R> Checked<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            sum: crc32fast::Hasher::new(),
        }
    }

    fn sum(self) -> u32 {
        self.sum.finalize()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

/// Makes the names in a directory durable.
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // It was empty and somebody removed it: there is no name to keep.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns what is said of an object that is larger than the caller takes.
pub(super) fn too_large(size: u64, most: u64) -> Cause {
    Cause::Broken(format!(
        "it has {size} bytes, and no more than {most} are read at once"
    ))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns what an error of the system means for a read.
fn cause(error: io::Error) -> Cause {
    use io::ErrorKind as Kind;
    let reason = error.to_string();
    match error.kind() {
        Kind::NotFound | Kind::NotADirectory => Cause::NotFound,
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Cause::Denied(reason),
        Kind::InvalidInput | Kind::InvalidFilename => Cause::Broken(reason),
        _ => Cause::Transient(reason),
    }
}

/// Returns what an error of the system means for a name that is to appear.
fn in_the_way(error: io::Error) -> Cause {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::DirectoryNotEmpty
        | Kind::AlreadyExists => {
            Cause::Broken("an object stands where a folder should be, or the reverse".to_owned())
        }
        _ => cause(error),
    }
}
