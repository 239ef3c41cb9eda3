//! Reading the records of a segment, damaged or not, in bounded memory.

use std::io;

use super::disk::DiskFile;
use super::format::{FRAME_LEN, Frame, FrameError, HEADER_LEN, Header};

/// Bytes that are read at a time; a longer record is read whole.
const WINDOW: usize = 1 << 20;
const ZEROS: [u8; 4096] = [0; 4096];

/// Goes through the records of a segment in order.
#[derive(Debug)]
pub(crate) struct Reader<'a, F> {
    file: &'a F,
    sync: u64,
    /// Where reading ends, at most the end of the file.
    limit: u64,
    at: u64,
    buffer: Vec<u8>,
    /// Offset of the first byte of `buffer`.
    start: u64,
}

/// What a segment has next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// An intact record.
    Record {
        at: u64,
        frame: Frame,
        payload: &'a [u8],
    },
    Damage(Damage),
}

/// Bytes that are no intact record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) reason: FrameError,
    /// The frame, where that is intact and its payload is not.
    pub(crate) frame: Option<Frame>,
    /// How many zeros are at its end.
    pub(crate) zeros: u64,
}

impl Damage {
    /// Tells whether the damage is what a crash leaves of a write when it
    /// reached the disk up to some byte: the beginning of a record, and maybe
    /// space that was never filled.
    pub(crate) fn is_prefix(&self) -> bool {
        self.reason == FrameError::Incomplete || self.zeros >= 8
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.zeros == self.len
    }
}

impl<'a, F: DiskFile> Reader<'a, F> {
    /// Reads behind the header and up to `limit`, which must not be behind the
    /// end of the file.
    pub(crate) fn new(file: &'a F, sync: u64, limit: u64) -> Self {
        Self {
            file,
            sync,
            limit,
            at: HEADER_LEN as u64,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Goes on at an offset, where a record begins.
    pub(crate) fn from(mut self, at: u64) -> Self {
        self.at = at;
        self
    }

    /// Finds a sync word that begins a record, for a segment whose header is
    /// damaged: in what is left of the header, where the first record has it, or
    /// the one that its successor names.
    pub(crate) fn salvage(file: &'a F, limit: u64, named: Option<u64>) -> io::Result<Option<u64>> {
        let mut head = Self::new(file, 0, limit);
        let candidates = Header::salvage_sync(head.view(0, HEADER_LEN + 8)?);
        for sync in candidates.into_iter().chain(named) {
            if Self::new(file, sync, limit)
                .find(HEADER_LEN as u64)?
                .is_some()
            {
                return Ok(Some(sync));
            }
        }
        Ok(None)
    }

    /// Returns what comes next, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        let (at, sync) = (self.at, self.sync);
        if at >= self.limit {
            return Ok(None);
        }
        let frame = match Frame::decode(self.view(at, FRAME_LEN)?, sync) {
            Ok(frame) => frame,
            Err(reason) => return self.skip(reason).map(Some),
        };
        let end = at + frame.total_len();
        if end > self.limit {
            self.at = self.limit;
            let damage = self.damage(at, FrameError::Incomplete, Some(frame))?;
            return Ok(Some(Item::Damage(damage)));
        }
        self.at = end;
        let len = FRAME_LEN + frame.len as usize;
        if !frame.matches(&self.view(at, len)?[FRAME_LEN..]) {
            let damage = self.damage(at, FrameError::Payload, Some(frame))?;
            return Ok(Some(Item::Damage(damage)));
        }
        let payload = &self.view(at, len)?[FRAME_LEN..];
        Ok(Some(Item::Record { at, frame, payload }))
    }

    /// Goes to the next record behind bytes that do not begin one.
    fn skip(&mut self, reason: FrameError) -> io::Result<Item<'static>> {
        let at = self.at;
        self.at = match self.is_zero_from(at)? {
            true => self.limit,
            false => self.find(at + 1)?.unwrap_or(self.limit),
        };
        self.damage(at, reason, None).map(Item::Damage)
    }

    /// Describes the bytes from an offset to where reading goes on.
    fn damage(&mut self, at: u64, reason: FrameError, frame: Option<Frame>) -> io::Result<Damage> {
        let mut filled = at;
        let mut from = at;
        while from < self.at {
            let len = ZEROS.len().min((self.at - from) as usize);
            let bytes = self.view(from, len)?;
            if let Some(last) = last_filled(bytes) {
                filled = from + last as u64 + 1;
            }
            from += len as u64;
        }
        Ok(Damage {
            at,
            len: self.at - at,
            reason,
            frame,
            zeros: self.at - filled,
        })
    }

    /// Finds the first intact frame at or behind an offset.
    fn find(&mut self, from: u64) -> io::Result<Option<u64>> {
        let sync = self.sync;
        let word = sync.to_le_bytes();
        let mut at = from;
        loop {
            let bytes = self.view(at, WINDOW)?;
            if bytes.len() < FRAME_LEN {
                return Ok(None);
            }
            let last = bytes.len() - FRAME_LEN;
            let mut begin = 0;
            while let Some(next) = bytes[begin..=last].iter().position(|b| *b == word[0]) {
                begin += next;
                let frame = &bytes[begin..begin + FRAME_LEN];
                if frame.starts_with(&word) && Frame::decode(frame, sync).is_ok() {
                    return Ok(Some(at + begin as u64));
                }
                begin += 1;
                if begin > last {
                    break;
                }
            }
            at += last as u64 + 1;
        }
    }

    fn is_zero_from(&mut self, at: u64) -> io::Result<bool> {
        let (mut at, limit) = (at, self.limit);
        while at < limit {
            let bytes = self.view(at, ZEROS.len())?;
            if bytes != &ZEROS[..bytes.len()] {
                return Ok(false);
            }
            at += bytes.len().max(1) as u64;
        }
        Ok(true)
    }

    /// Returns the bytes at an offset: `len`, or as many as there are.
    fn view(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let end = self.limit.min(at + len as u64);
        if at < self.start || end > self.start + self.buffer.len() as u64 {
            self.read(at, len)?;
        }
        let from = self.buffer.len().min((at - self.start) as usize);
        let to = self.buffer.len().min(from + len);
        Ok(&self.buffer[from..to])
    }

    fn read(&mut self, at: u64, len: usize) -> io::Result<()> {
        let has = self.start..self.start + self.buffer.len() as u64;
        match has.contains(&at) {
            true => drop(self.buffer.drain(..(at - has.start) as usize)),
            false => self.buffer.clear(),
        }
        self.start = at;
        let wanted = (self.limit.saturating_sub(at)).min(len.max(WINDOW) as u64) as usize;
        let mut filled = self.buffer.len().min(wanted);
        self.buffer.resize(wanted, 0);
        if wanted <= WINDOW {
            self.buffer.shrink_to(2 * WINDOW);
        }
        while filled < wanted {
            match self
                .file
                .read_at(&mut self.buffer[filled..], at + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled < wanted {
            self.buffer.truncate(filled);
            self.limit = at + filled as u64;
        }
        Ok(())
    }
}

fn last_filled(bytes: &[u8]) -> Option<usize> {
    match bytes == &ZEROS[..bytes.len()] {
        true => None,
        false => bytes.iter().rposition(|byte| *byte != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::write_frame;
    use super::*;
    use std::fs::File;
    use std::io::Write as _;

    const SYNC: u64 = 0xfeed_f00d_dead_beef;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0xaa; HEADER_LEN];
        for payload in payloads {
            write_frame(&mut bytes, SYNC, 0, payload);
        }
        bytes
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// Reads everything: payloads, and damages.
    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Damage>) {
        let file = file(bytes);
        let mut reader = Reader::new(&file, SYNC, bytes.len() as u64);
        let (mut records, mut damages) = (Vec::new(), Vec::new());
        while let Some(item) = reader.next().unwrap() {
            match item {
                Item::Record { payload, .. } => records.push(payload.to_vec()),
                Item::Damage(damage) => damages.push(damage),
            }
        }
        (records, damages)
    }

    fn starts(payloads: &[&[u8]]) -> Vec<usize> {
        let ends = payloads.iter().scan(HEADER_LEN, |at, payload| {
            let start = *at;
            *at += FRAME_LEN + payload.len();
            Some(start)
        });
        ends.collect()
    }

    #[test]
    fn each_prefix_holds_the_records_that_are_whole() {
        let payloads: [&[u8]; 3] = [b"one", b"", b"three"];
        let whole = segment(&payloads);
        let mut ends = starts(&payloads)[1..].to_vec();
        ends.push(whole.len());
        for len in HEADER_LEN..=whole.len() {
            for zeros in [0, 1, 100] {
                let mut bytes = whole[..len].to_vec();
                bytes.resize(len + zeros, 0);
                let (records, damages) = read(&bytes);
                let expected = ends.iter().filter(|&&end| end <= len).count();
                assert_eq!(records, payloads[..expected], "prefix of {len}");
                let boundary = len == HEADER_LEN || ends.contains(&len);
                assert_eq!(
                    damages.is_empty(),
                    boundary && zeros == 0,
                    "prefix of {len}"
                );
                // What is behind a torn record is space, if it is anything.
                if let (Some(first), Some(last)) = (damages.first(), damages.last()) {
                    assert!(first.is_prefix() || zeros > 0, "{len}+{zeros}: {first:?}");
                    assert_eq!(first.is_zero(), boundary, "{len}+{zeros}: {first:?}");
                    assert!(damages.len() == 1 || last.is_zero(), "{damages:?}");
                    assert_eq!(last.at + last.len, bytes.len() as u64);
                }
            }
        }
    }

    #[test]
    fn each_flipped_byte_costs_one_record() {
        let payloads: [&[u8]; 3] = [b"one", b"second", b"three"];
        let whole = segment(&payloads);
        let starts = starts(&payloads);
        for at in HEADER_LEN..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let (records, damages) = read(&bytes);
            let hit = starts.iter().filter(|&&start| start <= at).count();
            let kept = (0..3).filter(|i| i + 1 != hit).map(|i| payloads[i]);
            assert_eq!(records, kept.collect::<Vec<_>>(), "byte {at}");
            let [damage] = &damages[..] else {
                panic!("byte {at}: {damages:?}")
            };
            assert_eq!(damage.at, starts[hit - 1] as u64, "byte {at}");
            assert_eq!(damage.len as usize, FRAME_LEN + payloads[hit - 1].len());
            assert_eq!(damage.frame.is_some(), at >= starts[hit - 1] + FRAME_LEN);
        }
    }

    #[test]
    fn a_record_inside_a_payload_is_not_found_without_the_sync_word() {
        let mut forged = Vec::new();
        write_frame(&mut forged, SYNC + 1, 0, b"forged");
        let mut bytes = segment(&[&forged, b"real"]);
        bytes[HEADER_LEN + 8] ^= 1;
        assert_eq!(read(&bytes).0, [b"real"]);
    }

    #[test]
    fn records_longer_than_the_window_are_read_and_searched() {
        let long = vec![7; 3 * WINDOW + 5];
        let mut bytes = segment(&[b"one", &long, b"three", &long, b"five"]);
        let second = HEADER_LEN + FRAME_LEN + 3;
        bytes[second] ^= 1;
        let (records, damages) = read(&bytes);
        let expected: [&[u8]; 4] = [b"one", b"three", &long, b"five"];
        assert_eq!(records, expected);
        assert_eq!(damages[0].at, second as u64);
        assert_eq!(damages[0].len as usize, FRAME_LEN + long.len());
    }

    #[test]
    fn the_sync_word_is_found_without_a_header() {
        let bytes = segment(&[b"one", b"two"]);
        let intact = file(&bytes);
        let limit = bytes.len() as u64;
        assert_eq!(Reader::salvage(&intact, limit, None).unwrap(), Some(SYNC));
        let mut damaged = bytes;
        damaged[HEADER_LEN] ^= 1;
        let damaged = file(&damaged);
        assert_eq!(Reader::salvage(&damaged, limit, None).unwrap(), None);
        let named = Some(SYNC);
        assert_eq!(Reader::salvage(&damaged, limit, named).unwrap(), named);
    }
}
