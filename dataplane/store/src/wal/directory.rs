//! The directory that the segments are in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::disk::{Disk, DiskFile};

/// Directory, inside that of the log, for what damage took out of it.
const QUARANTINE: &str = "quarantine";

/// The directory of a log.
#[derive(Clone, Debug)]
pub(crate) struct Directory<D> {
    pub(crate) disk: D,
    path: PathBuf,
}

impl<D: Disk> Directory<D> {
    /// Makes the directory if there is none.
    pub(crate) fn create(disk: D, path: PathBuf) -> Result<Self, LogError> {
        let directory = Self { disk, path };
        let quarantine = directory.path.join(QUARANTINE);
        let created = directory.disk.create_dir_all(&quarantine);
        created.map_err(failed("create", &quarantine))?;
        directory.sync()?;
        // So that neither the directory nor the one it is in, which may be new
        // too, is lost with its name.
        for parent in directory.path.ancestors().skip(1).take(2) {
            directory.sync_directory(if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            })?;
        }
        Ok(directory)
    }

    /// Lists the segments by number, and removes what an interrupted repair left.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, LogError> {
        let names = self.disk.list(&self.path);
        let mut numbers = Vec::new();
        for name in names.map_err(failed("list", &self.path))? {
            if let Some(number) = number_of(&name) {
                numbers.push(number);
            } else if name.strip_suffix(".tmp").and_then(number_of).is_some() {
                self.remove_file(&self.path.join(&*name))?;
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.path.join(name_of(number))
    }

    /// Opens a segment, and returns its length too.
    pub(crate) fn open(&self, number: u64) -> Result<(D::File, u64), LogError> {
        let path = self.segment_path(number);
        let file = self.disk.open(&path).map_err(failed("open", &path))?;
        let size = file.size().map_err(failed("inspect", &path))?;
        Ok((file, size))
    }

    /// Removes a segment, durably.
    pub(crate) fn remove(&self, number: u64) -> Result<(), LogError> {
        self.remove_file(&self.segment_path(number))?;
        self.sync()
    }

    /// Puts a segment into quarantine, durably, under a name that is not taken
    /// and that is returned. It keeps its place in the log as well.
    pub(crate) fn quarantine(&self, number: u64) -> Result<PathBuf, LogError> {
        let path = self.segment_path(number);
        let name = name_of(number);
        for attempt in 0_u32.. {
            let kept = self.path.join(QUARANTINE).join(match attempt {
                0 => name.clone(),
                n => format!("{name}-{n}"),
            });
            match self.disk.link(&path, &kept) {
                Ok(()) => {
                    self.sync_directory(&self.path.join(QUARANTINE))?;
                    return Ok(kept);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("quarantine", &path)(error)),
            }
        }
        unreachable!("a directory has fewer than 2^32 entries")
    }

    /// Writes, beside what is in quarantine, why it is there.
    pub(crate) fn annotate(&self, kept: &Path, note: &str) -> Result<(), LogError> {
        let path = kept.with_extension("txt");
        let file = self.disk.create(&path).map_err(failed("create", &path))?;
        write_all_at(&file, note.as_bytes(), 0).map_err(failed("write", &path))?;
        file.sync_data().map_err(failed("sync", &path))?;
        self.sync_directory(&self.path.join(QUARANTINE))
    }

    /// Puts a new file in the place of a segment, durably.
    pub(crate) fn replace(&self, by: &Path, number: u64) -> Result<(), LogError> {
        let path = self.segment_path(number);
        let renamed = self.disk.rename(by, &path);
        renamed.map_err(failed("replace", &path))?;
        self.sync()
    }

    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.sync_directory(&self.path)
    }

    fn sync_directory(&self, path: &Path) -> Result<(), LogError> {
        let synced = self.disk.sync_directory(path);
        synced.map_err(failed("sync", path))
    }

    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), LogError> {
        self.disk.remove(path).map_err(failed("remove", path))
    }
}

fn name_of(number: u64) -> String {
    format!("{number:08}")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

/// Writes all of `bytes`, and returns how many of those behind `needed` were
/// written before the disk refused.
pub(crate) fn write_at_least<F: DiskFile>(
    file: &F,
    bytes: &[u8],
    needed: usize,
    at: u64,
) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], at + written as u64) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) if written >= needed => break,
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(some) => written += some,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

pub(crate) fn write_all_at<F: DiskFile>(file: &F, bytes: &[u8], at: u64) -> io::Result<()> {
    write_at_least(file, bytes, bytes.len(), at).map(drop)
}

/// Says what was tried on which file when it failed.
pub(crate) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> LogError + 'a {
    move |source| LogError::Io {
        action,
        path: path.to_owned(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Os;
    use super::*;
    use std::fs;

    #[test]
    fn whatever_is_put_in_quarantine_stays_there() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(Os, temp.path().join("wal")).unwrap();
        for content in ["first", "second"] {
            let new = directory.segment_path(1).with_extension("tmp");
            fs::write(&new, content).unwrap();
            directory.replace(&new, 1).unwrap();
            let kept = directory.quarantine(1).unwrap();
            directory.annotate(&kept, "why").unwrap();
            assert_eq!(fs::read_to_string(kept).unwrap(), content);
        }
        let quarantine = fs::read_dir(temp.path().join("wal/quarantine")).unwrap();
        assert_eq!(quarantine.count(), 4);
        assert_eq!(directory.segments().unwrap(), [1]);
    }

    #[test]
    fn only_segments_are_listed_and_interrupted_repairs_removed() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(Os, temp.path().join("wal")).unwrap();
        for name in [
            "00000007",
            "123456789",
            "7",
            "000000008",
            "00000007.tmp",
            "x.tmp",
        ] {
            fs::write(temp.path().join("wal").join(name), "").unwrap();
        }
        assert_eq!(directory.segments().unwrap(), [7, 123_456_789]);
        assert!(!temp.path().join("wal/00000007.tmp").exists());
        assert!(temp.path().join("wal/x.tmp").exists());
    }
}
