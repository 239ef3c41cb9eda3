//! Leaving the log, after it was read, as one that was never damaged.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::LogError;
use super::chain::{Chained, End};
use super::directory::{Directory, failed, write_all_at};
use super::disk::{Disk, DiskFile};
use super::format::{self, Header, Link};
use super::found::Found;
use super::reader::{Item, Reader};
use super::record::padding;

/// Bytes that are written at a time.
const CHUNK: usize = 1 << 20;

/// What a segment is after its repair.
#[derive(Debug)]
pub(super) struct Repaired {
    /// What its successor says of it.
    pub(super) link: Link,
    /// Where it was put aside as it was found.
    pub(super) quarantined: Option<PathBuf>,
}

/// Repairs a segment: what was refused or torn is cut; if it is damaged
/// otherwise, it is put in quarantine and replaced by its intact records. What
/// is left is durable, also that of which no sync is known to have succeeded.
///
/// Without space for a repair the log is still good to read, and to append to:
/// the next start tries again.
///
/// # Errors
/// The end of the log cannot be made durable.
pub(super) fn repair<D: Disk>(
    directory: &Directory<D>,
    chained: &Chained,
    found: &Found,
    previous: Option<Link>,
) -> Result<Repaired, LogError> {
    let number = chained.number;
    let unrepaired = Repaired {
        link: Link {
            number,
            sync: found.sync.unwrap_or_default(),
            end: chained.acknowledged().unwrap_or(found.end),
        },
        quarantined: None,
    };
    if !found.is_clean() {
        match rewrite(directory, chained, found, previous) {
            Ok(rewritten) => return rewritten.take_place(directory, number),
            Err(error) => {
                warn!(segment = number, error = %error, "damaged log segment not repaired; the next start will try");
            }
        }
    }
    let is_last = chained.end == End::Open;
    let excess = found.is_clean() && found.size > unrepaired.link.end;
    if !is_last && !excess {
        return Ok(unrepaired);
    }
    let (file, _) = directory.open(number)?;
    let path = directory.segment_path(number);
    if excess {
        let cut = file.truncate(unrepaired.link.end);
        if let Err(error) = cut.map_err(failed("truncate", &path)) {
            warn!(segment = number, error = %error, "log segment not cut; replay does not mind");
        }
    }
    if is_last {
        settle(&file, &path, chained, found)?;
    }
    Ok(unrepaired)
}

/// Makes the end of the log durable.
///
/// The process that wrote the last batch may have been killed before it was
/// synced, or after that failed, and what is read may be in the page cache
/// alone, where a sync no longer looks for it. So it is written again.
fn settle<F: DiskFile>(
    file: &F,
    path: &Path,
    chained: &Chained,
    found: &Found,
) -> Result<(), LogError> {
    let write = || {
        let Some(sync) = found.sync else {
            return Ok(());
        };
        if let (Ok(header), true) = (&chained.header, found.end <= format::HEADER_LEN as u64) {
            // Nor is the header known to be synced before there is a record.
            write_all_at(file, &header.encode(), 0)?;
        }
        let mut reader = Reader::new(file, sync, found.end).from(found.proven);
        while let Some(item) = reader.next()? {
            let Item::Record { at, frame, payload } = item else {
                continue;
            };
            write_all_at(file, &frame.encode(sync), at)?;
            write_all_at(file, payload, at + format::FRAME_LEN as u64)?;
        }
        fill(file, sync, found)?;
        file.sync_data()
    };
    write().map_err(failed("sync", path))
}

/// Fills the holes of the last write, where no space for a new file left them in
/// their place: the successor will claim all up to the end, and a hole in that
/// would pass for damage.
fn fill<F: DiskFile>(file: &F, sync: u64, found: &Found) -> io::Result<()> {
    let holes = found.torn.iter().filter(|torn| torn.at < found.end);
    for hole in holes {
        let room = hole.len.checked_sub(format::FRAME_LEN as u64);
        let Some(room) = room.filter(|room| *room <= format::MAX_PAYLOAD as u64) else {
            continue;
        };
        let back = u32::try_from(hole.at - found.proven).unwrap_or_default();
        let mut frame = Vec::new();
        format::write_frame(&mut frame, sync, back, &padding(room as usize));
        write_all_at(file, &frame, hole.at)?;
    }
    Ok(())
}

/// A file with the intact records of a damaged segment, which is in quarantine
/// and still in its place as well.
struct Rewritten {
    path: PathBuf,
    repaired: Repaired,
}

impl Rewritten {
    /// Replaces the damaged segment. A crash leaves either in its place.
    ///
    /// # Errors
    /// It is not known which of them is in place, so nothing more may be done to
    /// the log: the next start sees which.
    fn take_place<D: Disk>(
        self,
        directory: &Directory<D>,
        number: u64,
    ) -> Result<Repaired, LogError> {
        directory.replace(&self.path, number)?;
        Ok(self.repaired)
    }
}

/// Puts a segment into quarantine, and its intact records into a new file.
fn rewrite<D: Disk>(
    directory: &Directory<D>,
    chained: &Chained,
    found: &Found,
    previous: Option<Link>,
) -> Result<Rewritten, LogError> {
    let number = chained.number;
    let claimed = match chained.end {
        End::Claimed(link) => link.end,
        End::Open | End::Unknown => 0,
    };
    let header = Header {
        number,
        sync: found.sync.unwrap_or_else(rand::random),
        previous: chained.header.as_ref().map_or(previous, |h| h.previous),
        repaired_from: claimed.max(chained.repaired_from()),
    };
    let path = directory.segment_path(number).with_extension("tmp");
    let kept = copy(directory, header, found, &path).and_then(|end| {
        let kept = directory.quarantine(number)?;
        directory.annotate(&kept, &note(found))?;
        Ok((end, kept))
    });
    match kept {
        Ok((end, kept)) => {
            let link = Link {
                number,
                sync: header.sync,
                end,
            };
            let repaired = Repaired {
                link,
                quarantined: Some(kept),
            };
            Ok(Rewritten { path, repaired })
        }
        Err(error) => {
            // It takes space, and may be why there is none.
            let _ = directory.remove_file(&path);
            Err(error)
        }
    }
}

/// Copies the intact records of a segment to a new file, durably, and returns
/// its length.
fn copy<D: Disk>(
    directory: &Directory<D>,
    header: Header,
    found: &Found,
    to: &Path,
) -> Result<u64, LogError> {
    let from = directory.segment_path(header.number);
    let (damaged, _) = directory.open(header.number)?;
    let limit = found.sync.map_or(0, |_| found.limit);
    let mut reader = Reader::new(&damaged, header.sync, limit);
    let file = directory.disk.create(to).map_err(failed("create", to))?;
    let (mut bytes, mut end) = (header.encode().to_vec(), 0);
    let mut flush = |bytes: &mut Vec<u8>| {
        let written = write_all_at(&file, bytes, end).map_err(failed("write", to));
        end += bytes.len() as u64;
        bytes.clear();
        written.map(|()| end)
    };
    while let Some(item) = reader.next().map_err(failed("read", &from))? {
        if let Item::Record { payload, .. } = item {
            format::write_frame(&mut bytes, header.sync, 0, payload);
        }
        if bytes.len() >= CHUNK {
            flush(&mut bytes)?;
        }
    }
    let end = flush(&mut bytes)?;
    file.sync_data().map_err(failed("sync", to))?;
    Ok(end)
}

fn note(found: &Found) -> String {
    let corrupt = found.corrupt.iter().map(|hurt| {
        let (at, len, reason) = (hurt.at, hurt.len, &hurt.reason);
        format!("{len} bytes at offset {at} are damaged: {reason}\n")
    });
    let torn = found.torn.iter().map(|torn| {
        let (at, len, reason) = (torn.at, torn.len, torn.reason);
        format!("{len} bytes at offset {at} are of a write that a crash interrupted, or damaged: {reason}\n")
    });
    corrupt.chain(torn).collect()
}

/// Takes a file out of the log in which nothing was acknowledged. If it has
/// records, it is kept in quarantine.
pub(super) fn remove_stray<D: Disk>(directory: &Directory<D>, number: u64) {
    let removed = has_records(directory, number).and_then(|has_records| {
        if has_records {
            directory.quarantine(number)?;
        }
        directory.remove(number)
    });
    match removed {
        Ok(()) => info!(
            segment = number,
            "left-over of failed writes removed from the log"
        ),
        Err(error) => {
            warn!(segment = number, error = %error, "left-over of failed writes not removed")
        }
    }
}

fn has_records<D: Disk>(directory: &Directory<D>, number: u64) -> Result<bool, LogError> {
    let (file, size) = directory.open(number)?;
    let path = directory.segment_path(number);
    let sync = Reader::salvage(&file, size, None);
    Ok(sync.map_err(failed("read", &path))?.is_some())
}
