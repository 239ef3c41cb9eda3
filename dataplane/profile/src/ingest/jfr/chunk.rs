//! A chunk of a recording: its header, classes and constants.

use super::classes::Classes;
use super::events::{EventError, Events};
use super::pools::Pools;
use super::profiles::Profiles;
use super::reader::{Malformed, Reader};

const MAGIC: &[u8] = b"FLR\0";
const HEADER_BYTES: usize = 68;

/// Feature bit of numbers with variable length; nobody writes others.
const COMPRESSED: u32 = 1;

/// Types of the events that describe the others.
const METADATA: u64 = 0;
const CHECKPOINT: u64 = 1;

#[derive(Debug)]
pub(super) struct Chunk<'b> {
    bytes: &'b [u8],
    ticks_per_second: u64,
    pub(super) classes: Classes<'b>,
    pub(super) pools: Pools<'b>,
}

impl<'b> Chunk<'b> {
    /// Parses the chunk that the bytes begin with.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(Reader::new(bytes).malformed("no chunk begins"));
        }
        let (major, _minor) = (reader.u16()?, reader.u16()?);
        if !matches!(major, 1 | 2) {
            return Err(reader.malformed("the version is not known"));
        }
        let length = usize::try_from(reader.u64()?).ok();
        let bytes = length
            .filter(|length| *length >= HEADER_BYTES)
            .and_then(|length| bytes.get(..length))
            .ok_or_else(|| reader.malformed("the chunk is cut short"))?;
        // Offsets of constants and metadata, start and duration, start in ticks.
        reader.take(5 * 8)?;
        let ticks_per_second = reader.u64()?;
        if reader.u32()? & COMPRESSED == 0 {
            return Err(reader.malformed("numbers are not compressed"));
        }
        let mut chunk = Self {
            bytes,
            ticks_per_second,
            classes: Classes::default(),
            pools: Pools::default(),
        };
        chunk.describe()?;
        Ok(chunk)
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns a duration in nanoseconds.
    pub(super) fn nanoseconds(&self, ticks: u64) -> i64 {
        let per_second = u128::from(self.ticks_per_second.max(1));
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / per_second;
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    }

    /// Adds the samples of the events to `profiles`.
    pub(super) fn events(&self, profiles: &mut Profiles) -> Result<(), EventError> {
        let mut events = Events::new(self);
        self.each(|kind, reader| events.event(kind, reader, profiles))
    }

    /// Reads classes, then what is written in their terms.
    fn describe(&mut self) -> Result<(), Malformed> {
        let mut classes = Classes::default();
        self.each::<Malformed>(|kind, reader| {
            if kind == METADATA {
                classes = Classes::parse(reader)?;
            }
            Ok(())
        })?;
        let mut pools = Pools::default();
        self.each::<Malformed>(|kind, reader| {
            if kind == CHECKPOINT {
                pools.checkpoint(&classes, reader)?;
            }
            Ok(())
        })?;
        self.classes = classes;
        self.pools = pools;
        Ok(())
    }

    /// Goes through all events: type, and where to read on.
    fn each<E: From<Malformed>>(
        &self,
        mut visit: impl FnMut(u64, &mut Reader<'b>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = HEADER_BYTES;
        while start < self.bytes.len() {
            let mut reader = Reader::new(self.bytes);
            reader.seek(start);
            let length = usize::try_from(reader.varint()?).ok();
            let end = length
                .and_then(|length| start.checked_add(length))
                .filter(|end| *end > reader.at() && *end <= self.bytes.len())
                .ok_or_else(|| reader.malformed("an event has an impossible length"))?;
            let kind = reader.varint()?;
            // An event ends where it says: what is read of it cannot go on.
            let mut event = Reader::new(&self.bytes[..end]);
            event.seek(reader.at());
            visit(kind, &mut event)?;
            start = end;
        }
        Ok(())
    }

    /// Returns a reader of this chunk at an offset.
    pub(super) fn reader(&self, at: usize) -> Reader<'b> {
        let mut reader = Reader::new(self.bytes);
        reader.seek(at);
        reader
    }
}
