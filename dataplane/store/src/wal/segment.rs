//! The segment that is appended to.

use std::path::PathBuf;

use super::LogError;
use super::directory::{Directory, failed, write_all_at, write_at_least};
use super::disk::{Disk, DiskFile};
use super::format::{HEADER_LEN, Header, Link};

/// Space is taken in steps of this many bytes, by writing zeros behind a batch:
/// a sync of what overwrites them has no metadata to write.
const AHEAD: u64 = 1 << 20;

/// A segment that is appended to.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    file: F,
    path: PathBuf,
    pub(crate) header: Header,
    /// Bytes that are written and synced. What is behind them was never
    /// acknowledged.
    pub(crate) durable: u64,
    /// Bytes that have been written, zeros at the end included.
    allocated: u64,
}

impl<F: DiskFile> Segment<F> {
    /// Creates a segment that survives a crash.
    pub(crate) fn create<D: Disk<File = F>>(
        directory: &Directory<D>,
        header: Header,
    ) -> Result<Self, LogError> {
        let path = directory.segment_path(header.number);
        let created = || {
            let file = directory.disk.create(&path)?;
            write_all_at(&file, &header.encode(), 0)?;
            file.sync_data()?;
            Ok(file)
        };
        let created = created().map_err(failed("create", &path));
        match created.and_then(|file| directory.sync().map(|()| file)) {
            Ok(file) => Ok(Self {
                file,
                path,
                header,
                durable: HEADER_LEN as u64,
                allocated: HEADER_LEN as u64,
            }),
            Err(error) => {
                // Best effort: replay removes a segment that nothing links to.
                let _ = directory.remove_file(&path);
                Err(error)
            }
        }
    }

    /// Writes and syncs whole frames behind the durable ones. `frames` comes
    /// back with zeros at its end.
    ///
    /// After an error the state of the file behind `durable` is unknown, and a
    /// later sync proves nothing: the segment must not be appended to again.
    pub(crate) fn append(&mut self, frames: &mut Vec<u8>, most: u64) -> Result<(), LogError> {
        let len = frames.len();
        let end = self.durable + len as u64;
        if end > self.allocated {
            let ahead = end.next_multiple_of(AHEAD).min(most).max(end);
            frames.resize((ahead - self.durable) as usize, 0);
        }
        // Without space for the zeros the records may still fit.
        let written = write_at_least(&self.file, frames, len, self.durable)
            .map_err(failed("write", &self.path))?;
        self.file.sync_data().map_err(failed("sync", &self.path))?;
        self.allocated = self.allocated.max(self.durable + written as u64);
        self.durable = end;
        Ok(())
    }

    /// Gives back the space behind what is durable, as far as that is possible:
    /// replay does not look there.
    pub(crate) fn cut(&self) -> Result<(), LogError> {
        self.file
            .truncate(self.durable)
            .map_err(failed("truncate", &self.path))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.durable == HEADER_LEN as u64
    }

    /// What the next segment says of this one.
    pub(crate) fn link(&self) -> Link {
        Link {
            number: self.header.number,
            sync: self.header.sync,
            end: self.durable,
        }
    }
}
