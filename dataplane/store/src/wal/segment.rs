//! Segments as files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::format::{self, HEADER_LEN, Header};

/// Directory, inside that of the log, for damaged segments as they were found.
const QUARANTINE: &str = "quarantine";

/// The directory that the segments are in.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// A segment that is appended to.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    pub(crate) header: Header,
    /// Bytes that are written and synced. What is behind them was never
    /// acknowledged.
    pub(crate) durable: u64,
}

impl Directory {
    /// Makes the directory if there is none.
    pub(crate) fn create(path: PathBuf) -> Result<Self, LogError> {
        fs::create_dir_all(path.join(QUARANTINE)).map_err(failed("create", &path))?;
        let directory = Self { path };
        directory.sync()?;
        // So that neither the directory nor the one it is in, which may be new
        // too, is lost with its name.
        for parent in directory.path.ancestors().skip(1).take(2) {
            sync_directory(if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            })?;
        }
        Ok(directory)
    }

    /// Lists the segments by number, and removes what an interrupted repair left.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, LogError> {
        let listed = failed("list", &self.path);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(&listed)? {
            let name = entry.map_err(&listed)?.file_name();
            let name = name.to_string_lossy();
            if let Some(number) = number_of(&name) {
                numbers.push(number);
            } else if name.strip_suffix(".tmp").and_then(number_of).is_some() {
                let path = self.path.join(&*name);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:08}"))
    }

    pub(crate) fn read(&self, number: u64) -> Result<Vec<u8>, LogError> {
        let path = self.segment_path(number);
        fs::read(&path).map_err(failed("read", &path))
    }

    pub(crate) fn remove(&self, number: u64) -> Result<(), LogError> {
        let path = self.segment_path(number);
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        self.sync()
    }

    /// Cuts a segment to a length, durably.
    pub(crate) fn truncate(&self, number: u64, len: u64) -> Result<(), LogError> {
        let path = self.segment_path(number);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        file.set_len(len).map_err(failed("truncate", &path))?;
        file.sync_all().map_err(failed("sync", &path))
    }

    /// Replaces a segment by one with just these payloads and keeps the old file
    /// in quarantine, whose path it returns. A crash leaves either state, never
    /// neither.
    pub(crate) fn replace<'a>(
        &self,
        header: Header,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> Result<PathBuf, LogError> {
        let path = self.segment_path(header.number);
        let repaired = path.with_extension("tmp");
        let mut bytes = header.encode().to_vec();
        for payload in payloads {
            format::write_frame(&mut bytes, header.sync, payload);
        }
        let mut file = File::create(&repaired).map_err(failed("create", &repaired))?;
        file.write_all(&bytes).map_err(failed("write", &repaired))?;
        file.sync_all().map_err(failed("sync", &repaired))?;
        let kept = self.quarantine(&path)?;
        fs::rename(&repaired, &path).map_err(failed("replace", &path))?;
        self.sync()?;
        Ok(kept)
    }

    fn quarantine(&self, path: &Path) -> Result<PathBuf, LogError> {
        let directory = self.path.join(QUARANTINE);
        let inode = fs::metadata(path).map_err(failed("inspect", path))?.ino();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for attempt in 0_u32.. {
            let kept = match attempt {
                0 => directory.join(&*name),
                n => directory.join(format!("{name}-{n}")),
            };
            match fs::hard_link(path, &kept) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // A repair that was interrupted after this step left it.
                    if fs::metadata(&kept).map_err(failed("inspect", &kept))?.ino() != inode {
                        continue;
                    }
                }
                Err(error) => return Err(failed("quarantine", path)(error)),
            }
            sync_directory(&directory)?;
            return Ok(kept);
        }
        unreachable!("a directory has fewer than 2^32 entries")
    }

    fn sync(&self) -> Result<(), LogError> {
        sync_directory(&self.path)
    }
}

impl Segment {
    /// Creates a segment that survives a crash.
    pub(crate) fn create(directory: &Directory, header: Header) -> Result<Self, LogError> {
        let path = directory.segment_path(header.number);
        let created = || {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)?;
            file.write_all_at(&header.encode(), 0)?;
            file.sync_all()?;
            File::open(&directory.path)?.sync_all()?;
            Ok(file)
        };
        match created() {
            Ok(file) => Ok(Self {
                file,
                path,
                header,
                durable: HEADER_LEN as u64,
            }),
            Err(error) => {
                // Best effort: replay removes a segment whose header is torn.
                let _ = fs::remove_file(&path);
                Err(failed("create", &path)(error))
            }
        }
    }

    /// Writes and syncs whole frames behind the durable ones.
    ///
    /// After an error the state of the file behind `durable` is unknown, and a
    /// later sync proves nothing: the segment must be [abandoned](Self::abandon).
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), LogError> {
        self.file
            .write_all_at(frames, self.durable)
            .map_err(failed("write", &self.path))?;
        self.file.sync_data().map_err(failed("sync", &self.path))?;
        self.durable += frames.len() as u64;
        Ok(())
    }

    /// Cuts what a failed append left.
    pub(crate) fn abandon(self) -> Result<(), LogError> {
        self.file
            .set_len(self.durable)
            .map_err(failed("truncate", &self.path))?;
        self.file.sync_all().map_err(failed("sync", &self.path))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.durable == HEADER_LEN as u64
    }
}

fn number_of(name: &str) -> Option<u64> {
    let digits = (8..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}

fn sync_directory(path: &Path) -> Result<(), LogError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(failed("sync", path))
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
    use super::*;

    #[test]
    fn damaged_segments_are_all_kept() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(temp.path().join("wal")).unwrap();
        let header = Header { number: 1, sync: 5 };
        for content in ["first", "second"] {
            fs::write(directory.segment_path(1), content).unwrap();
            let kept = directory
                .replace(header, [b"good".as_slice()].into_iter())
                .unwrap();
            assert_eq!(fs::read_to_string(kept).unwrap(), content);
        }
        assert_eq!(
            fs::read_dir(temp.path().join("wal/quarantine"))
                .unwrap()
                .count(),
            2
        );
        assert_eq!(directory.segments().unwrap(), [1]);
    }

    #[test]
    fn an_interrupted_repair_is_taken_up_again() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(temp.path().join("wal")).unwrap();
        let path = directory.segment_path(7);
        fs::write(&path, "damaged").unwrap();
        fs::write(path.with_extension("tmp"), "half").unwrap();
        fs::hard_link(&path, temp.path().join("wal/quarantine/00000007")).unwrap();
        assert_eq!(directory.segments().unwrap(), [7]);
        assert!(!path.with_extension("tmp").exists());
        directory
            .replace(Header { number: 7, sync: 5 }, std::iter::empty())
            .unwrap();
        assert_eq!(
            fs::read_dir(temp.path().join("wal/quarantine"))
                .unwrap()
                .count(),
            1
        );
    }
}
