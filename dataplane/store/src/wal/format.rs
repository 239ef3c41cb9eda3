//! Bytes of a segment: its header and the frames around records.
//!
//! Documented in `docs/wire/wal.md`. All integers are little endian.

use std::ops::Range;

/// Length of the segment header in bytes.
pub(crate) const HEADER_LEN: usize = 32;
/// Length of the frame in front of each payload in bytes.
pub(crate) const FRAME_LEN: usize = 16;
/// Longest payload in bytes; a longer length field is damage.
pub(crate) const MAX_PAYLOAD: usize = 128 << 20;

const MAGIC: [u8; 8] = *b"PYROWAL\0";
const VERSION: u32 = 1;
const SYNC_AT: Range<usize> = 20..28;

/// What a segment starts with: magic, version, number, sync word, CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of the segment, as in its file name.
    pub(crate) number: u64,
    /// Random word in front of each record. It cannot be guessed, so no pushed
    /// bytes can pass for a record when a reader searches one behind damage.
    pub(crate) sync: u64,
}

/// Why a segment header was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the segment header is incomplete")]
    Short,
    #[error("the segment header is damaged")]
    Damaged,
    #[error("the segment calls itself number {0}")]
    Misnamed(u64),
    #[error("the segment has format version {0}, this program reads version {VERSION}")]
    Version(u32),
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[SYNC_AT].copy_from_slice(&self.sync.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the segment that the file name numbers `number`.
    pub(crate) fn decode(bytes: &[u8], number: u64) -> Result<Self, HeaderError> {
        let header = bytes.get(..HEADER_LEN).ok_or(HeaderError::Short)?;
        if header[..8] != MAGIC || u32_at(header, 28) != crc32fast::hash(&header[..28]) {
            return Err(HeaderError::Damaged);
        }
        match u32_at(header, 8) {
            VERSION => {}
            version => return Err(HeaderError::Version(version)),
        }
        match u64_at(header, 12) {
            named if named != number => Err(HeaderError::Misnamed(named)),
            number => Ok(Self {
                number,
                sync: u64_at(header, SYNC_AT.start),
            }),
        }
    }

    /// Sync words to try when the header is damaged: the header's own, and what
    /// stands where the first record has it.
    pub(crate) fn salvage_sync(bytes: &[u8]) -> Vec<u64> {
        [SYNC_AT.start, HEADER_LEN]
            .into_iter()
            .filter(|at| bytes.len() >= at + 8)
            .map(|at| u64_at(bytes, at))
            .collect()
    }
}

/// Why the bytes at an offset are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The bytes end before the record does.
    #[error("the record is incomplete")]
    Incomplete,
    #[error("no record starts here")]
    Sync,
    #[error("the record is longer than any record")]
    Length,
    #[error("the checksum does not match")]
    Checksum,
}

/// Appends a payload in its frame: sync word, length, CRC-32 of all else.
pub(crate) fn write_frame(into: &mut Vec<u8>, sync: u64, payload: &[u8]) {
    let len = u32::try_from(payload.len()).expect("payloads are at most MAX_PAYLOAD");
    into.extend_from_slice(&sync.to_le_bytes());
    into.extend_from_slice(&len.to_le_bytes());
    into.extend_from_slice(&frame_crc(sync, len, payload).to_le_bytes());
    into.extend_from_slice(payload);
}

/// Returns the range of the payload whose frame starts at `at`.
pub(crate) fn read_frame(bytes: &[u8], at: usize, sync: u64) -> Result<Range<usize>, FrameError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let compared = rest.len().min(8);
    if rest[..compared] != sync.to_le_bytes()[..compared] {
        return Err(FrameError::Sync);
    }
    if rest.len() < FRAME_LEN {
        return Err(FrameError::Incomplete);
    }
    let len = u32_at(rest, 8);
    let end = FRAME_LEN + len as usize;
    if len as usize > MAX_PAYLOAD {
        return Err(FrameError::Length);
    }
    let payload = rest.get(FRAME_LEN..end).ok_or(FrameError::Incomplete)?;
    if u32_at(rest, 12) != frame_crc(sync, len, payload) {
        return Err(FrameError::Checksum);
    }
    Ok(at + FRAME_LEN..at + end)
}

fn frame_crc(sync: u64, len: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&sync.to_le_bytes());
    crc.update(&len.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips_and_notices_each_flipped_bit() {
        let header = Header {
            number: 7,
            sync: 0x0123_4567_89ab_cdef,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, 7), Ok(header));
        assert_eq!(Header::decode(&bytes, 8), Err(HeaderError::Misnamed(7)));
        assert_eq!(Header::decode(&bytes[..31], 7), Err(HeaderError::Short));
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Header::decode(&flipped, 7),
                Err(HeaderError::Damaged),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut bytes = Header { number: 1, sync: 2 }.encode();
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes, 1), Err(HeaderError::Version(2)));
    }

    // The bytes that docs/wire/wal.md shows.
    #[test]
    fn documented_bytes() {
        let header = Header {
            number: 1,
            sync: 0x1122_3344_5566_7788,
        }
        .encode();
        let mut frame = Vec::new();
        write_frame(&mut frame, 0x1122_3344_5566_7788, b"abc");
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(&header),
            "5059524f57414c0001000000010000000000000088776655443322116cfc9eee"
        );
        assert_eq!(hex(&frame), "8877665544332211030000004a447fd1616263");
    }

    #[test]
    fn frames_tell_what_is_wrong() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, 9, b"payload");
        assert_eq!(read_frame(&bytes, 0, 9), Ok(16..23));
        assert_eq!(read_frame(&bytes, 0, 8), Err(FrameError::Sync));
        assert_eq!(read_frame(&bytes[..22], 0, 9), Err(FrameError::Incomplete));
        assert_eq!(read_frame(&bytes[..3], 0, 9), Err(FrameError::Incomplete));
        bytes[22] ^= 1;
        assert_eq!(read_frame(&bytes, 0, 9), Err(FrameError::Checksum));
        bytes[11] = 0xff;
        assert_eq!(read_frame(&bytes, 0, 9), Err(FrameError::Length));
        assert_eq!(read_frame(&bytes, 99, 9), Err(FrameError::Incomplete));
    }
}
