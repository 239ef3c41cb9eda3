//! What a segment turns out to hold.

use std::io;

use super::chain::{Chained, End};
use super::disk::DiskFile;
use super::format::{FrameError, HEADER_LEN, Header};
use super::reader::{Damage, Item, Reader};
use super::record::is_padding;

/// What reading a segment found, apart from its records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Up to where it was read; what is behind that was refused when it was
    /// written.
    pub(crate) limit: u64,
    /// Length of the file.
    pub(crate) size: u64,
    /// Where the last intact record ends.
    pub(crate) end: u64,
    /// Up to where it was certainly synced.
    pub(crate) proven: u64,
    /// Sync word; none when nothing tells it, and no record can be found.
    pub(crate) sync: Option<u64>,
    /// Damage that no crash explains.
    pub(crate) corrupt: Vec<Hurt>,
    /// What a crash left of the last write, which was not acknowledged: the
    /// system may write parts of it in any order.
    pub(crate) torn: Vec<Damage>,
}

/// A damaged part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hurt {
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) reason: String,
}

impl Found {
    /// Reads a segment, and gives each record to `each`: offset and payload.
    pub(crate) fn read<F: DiskFile>(
        file: &F,
        size: u64,
        chained: &Chained,
        mut each: impl FnMut(u64, &[u8]),
    ) -> io::Result<Self> {
        let limit = chained.acknowledged().map_or(size, |end| end.min(size));
        let (sync, header) = match &chained.header {
            Ok(header) => (Some(header.sync), None),
            Err(error) => {
                let named = match chained.end {
                    End::Claimed(link) => Some(link.sync),
                    End::Open | End::Unknown => None,
                };
                (Reader::salvage(file, limit, named)?, Some(error))
            }
        };
        let mut found = Self {
            limit,
            size,
            end: limit.min(HEADER_LEN as u64),
            proven: HEADER_LEN as u64,
            sync,
            corrupt: Vec::new(),
            torn: Vec::new(),
        };
        if let Some(error) = header {
            let len = sync.map_or(limit, |_| found.end);
            found.corrupt.push(Hurt {
                at: 0,
                len,
                reason: error.to_string(),
            });
        }
        if let Some(sync) = sync {
            let damages = found.records(&mut Reader::new(file, sync, limit), &mut each)?;
            for damage in damages {
                found.judge(damage, chained.end);
            }
        }
        found.judge_end(chained);
        Ok(found)
    }

    fn records<F: DiskFile>(
        &mut self,
        reader: &mut Reader<'_, F>,
        each: &mut impl FnMut(u64, &[u8]),
    ) -> io::Result<Vec<Damage>> {
        let mut damages = Vec::new();
        while let Some(item) = reader.next()? {
            let (at, frame) = match item {
                Item::Record { at, frame, payload } => {
                    if !is_padding(payload) {
                        each(at, payload);
                    }
                    self.end = at + frame.total_len();
                    (at, Some(frame))
                }
                Item::Damage(damage) => {
                    let found = (damage.at, damage.frame);
                    damages.push(damage);
                    found
                }
            };
            if let Some(frame) = frame {
                let batch = at.saturating_sub(frame.back.into());
                self.proven = self.proven.max(batch);
            }
        }
        Ok(damages)
    }

    fn judge(&mut self, damage: Damage, end: End) {
        let is_space = damage.at >= self.end && damage.is_zero();
        match end {
            End::Open | End::Unknown if is_space => {}
            End::Open if damage.at >= self.proven => self.torn.push(damage),
            End::Open | End::Unknown | End::Claimed(_) => self.corrupt.push(Hurt {
                at: damage.at,
                len: damage.len,
                reason: damage.reason.to_string(),
            }),
        }
    }

    /// Sees whether the file is shorter than what was acknowledged.
    fn judge_end(&mut self, chained: &Chained) {
        let Some(missing) = chained
            .acknowledged()
            .and_then(|end| end.checked_sub(self.limit))
            .filter(|missing| *missing > 0)
        else {
            return;
        };
        match self.corrupt.last_mut() {
            Some(last) if last.at + last.len == self.limit => last.len += missing,
            _ => self.corrupt.push(Hurt {
                at: self.limit,
                len: missing,
                reason: FrameError::Missing.to_string(),
            }),
        }
    }

    /// Bytes of an interrupted write that are there.
    pub(crate) fn torn_bytes(&self) -> u64 {
        let filled = |damage: &Damage| match damage.reason {
            FrameError::Incomplete => damage.len,
            _ if damage.at >= self.end => damage.len - damage.zeros,
            _ => damage.len,
        };
        self.torn.iter().map(filled).sum()
    }

    /// Tells whether the damage is no more than the end of a write that was
    /// interrupted at some byte.
    pub(crate) fn is_clean(&self) -> bool {
        let is_end = |torn: &Damage| torn.at >= self.end && torn.is_prefix();
        self.corrupt.is_empty() && self.torn.iter().all(is_end)
    }
}

impl Chained {
    /// Up to where the segment, as it is now, was acknowledged, if that is
    /// known.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        match self.end {
            End::Claimed(link) if self.repaired_from() < link.end => Some(link.end),
            End::Claimed(_) | End::Open | End::Unknown => None,
        }
    }

    pub(crate) fn repaired_from(&self) -> u64 {
        let repaired_from = |header: &Header| header.repaired_from;
        self.header.as_ref().map_or(0, repaired_from)
    }
}
