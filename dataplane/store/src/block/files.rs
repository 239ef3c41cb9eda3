//! Where the files of a block are read from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The files of one block, on a disk or in a bucket.
///
/// Calls block. Ranges come together so that a store can answer those that are near
/// each other with one request.
pub trait Files: fmt::Debug + Send + Sync {
    /// Length of a file in bytes.
    ///
    /// # Errors
    /// Those of the store; that the file is not there is [`io::ErrorKind::NotFound`].
    fn length(&self, file: &str) -> io::Result<u64>;

    /// Reads ranges of a file, each in full.
    ///
    /// # Errors
    /// Those of the store; that the file ends within a range is
    /// [`io::ErrorKind::UnexpectedEof`].
    fn read(&self, file: &str, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>>;
}

/// A block in a directory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// Names the directory.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl Files for Directory {
    fn length(&self, file: &str) -> io::Result<u64> {
        Ok(self.0.join(file).metadata()?.len())
    }

    fn read(&self, file: &str, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let file = File::open(self.0.join(file))?;
        let length = file.metadata()?.len();
        let read = |range: &Range<u64>| {
            // Before as many bytes are made room for.
            if range.end > length || range.start > range.end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        };
        ranges.iter().map(read).collect()
    }
}

/// A block in memory: its files by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(pub BTreeMap<String, Bytes>);

impl Memory {
    /// Reads all files of a directory.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn read(directory: impl AsRef<Path>) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in directory.as_ref().read_dir()? {
            let entry = entry?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            files.insert(name, std::fs::read(entry.path())?.into());
        }
        Ok(Self(files))
    }
}

impl Files for Memory {
    fn length(&self, file: &str) -> io::Result<u64> {
        let bytes = self.0.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes.len() as u64)
    }

    fn read(&self, file: &str, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let bytes = self.0.get(file).ok_or(io::ErrorKind::NotFound)?;
        let read = |range: &Range<u64>| {
            if range.end > bytes.len() as u64 || range.start > range.end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(bytes.slice(range.start as usize..range.end as usize))
        };
        ranges.iter().map(read).collect()
    }
}
