//! Bytes of a segment: its header and the frames around records.
//!
//! Documented in `docs/wire/wal.md`. All integers are little endian.

use std::ops::Range;

/// Length of the segment header in bytes.
pub(crate) const HEADER_LEN: usize = 68;
/// Length of the frame in front of each payload in bytes.
pub(crate) const FRAME_LEN: usize = 24;
/// Longest payload in bytes; a longer length field is damage.
pub(crate) const MAX_PAYLOAD: usize = 128 << 20;

const MAGIC: [u8; 8] = *b"PYROWAL\0";
const VERSION: u32 = 2;
const SYNC_AT: Range<usize> = 20..28;
/// The part of the header that every version of the format has, with its own
/// checksum at the end, so that a version is told apart from damage.
const COMMON_LEN: usize = 32;

/// What a segment starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of the segment, as in its file name.
    pub(crate) number: u64,
    /// Random word in front of each record. It cannot be guessed, so no pushed
    /// bytes can pass for a record when a reader searches one behind damage.
    pub(crate) sync: u64,
    /// The segment before it; none for the first of all.
    pub(crate) previous: Option<Link>,
    /// Up to where the segment was acknowledged when a repair wrote it anew; 0
    /// if none did. Its successor still claims that end.
    pub(crate) repaired_from: u64,
}

/// What a segment says of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) sync: u64,
    /// Everything before this offset was synced and may have been acknowledged;
    /// nothing behind it was.
    pub(crate) end: u64,
}

/// Why a segment header was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        let link = self.previous.unwrap_or(Link {
            number: 0,
            sync: 0,
            end: 0,
        });
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[SYNC_AT].copy_from_slice(&self.sync.to_le_bytes());
        seal(&mut bytes[..COMMON_LEN]);
        bytes[32..40].copy_from_slice(&link.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&link.sync.to_le_bytes());
        bytes[48..56].copy_from_slice(&link.end.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.repaired_from.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Reads the header of the segment that the file name numbers `number`.
    pub(crate) fn decode(bytes: &[u8], number: u64) -> Result<Self, HeaderError> {
        let common = bytes.get(..COMMON_LEN).ok_or(HeaderError::Short)?;
        if common[..8] != MAGIC || !is_sealed(common) {
            return Err(HeaderError::Damaged);
        }
        match u32_at(common, 8) {
            VERSION => {}
            version => return Err(HeaderError::Version(version)),
        }
        let header = bytes.get(..HEADER_LEN).ok_or(HeaderError::Short)?;
        if !is_sealed(header) {
            return Err(HeaderError::Damaged);
        }
        match u64_at(header, 12) {
            named if named != number => return Err(HeaderError::Misnamed(named)),
            _ => {}
        }
        let link = Link {
            number: u64_at(header, 32),
            sync: u64_at(header, 40),
            end: u64_at(header, 48),
        };
        Ok(Self {
            number,
            sync: u64_at(header, SYNC_AT.start),
            previous: (link.number != 0).then_some(link),
            repaired_from: u64_at(header, 56),
        })
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

/// What stands in front of each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Length of the payload.
    pub(crate) len: u32,
    /// Distance in bytes from the first record that was written and synced
    /// together with this one. All before that was synced before.
    pub(crate) back: u32,
    payload_crc: u32,
}

/// Why the bytes at an offset are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the record is incomplete")]
    Incomplete,
    #[error("no record starts here")]
    Sync,
    #[error("the checksum of the frame does not match")]
    Frame,
    #[error("the checksum of the payload does not match")]
    Payload,
    #[error("the segment ends before what was acknowledged")]
    Missing,
}

impl Frame {
    /// Frames a payload of at most [`MAX_PAYLOAD`] bytes.
    pub(crate) fn of(payload: &[u8], back: u32) -> Self {
        Self {
            len: u32::try_from(payload.len()).expect("payloads are at most MAX_PAYLOAD"),
            back,
            payload_crc: crc32fast::hash(payload),
        }
    }

    pub(crate) fn encode(self, sync: u64) -> [u8; FRAME_LEN] {
        let mut bytes = [0; FRAME_LEN];
        bytes[..8].copy_from_slice(&sync.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.back.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Reads the frame that the bytes begin with, in a segment of this sync word.
    pub(crate) fn decode(bytes: &[u8], sync: u64) -> Result<Self, FrameError> {
        let compared = bytes.len().min(8);
        if bytes[..compared] != sync.to_le_bytes()[..compared] {
            return Err(FrameError::Sync);
        }
        let frame = bytes.get(..FRAME_LEN).ok_or(FrameError::Incomplete)?;
        if !is_sealed(frame) || u32_at(frame, 8) as usize > MAX_PAYLOAD {
            return Err(FrameError::Frame);
        }
        Ok(Self {
            len: u32_at(frame, 8),
            back: u32_at(frame, 12),
            payload_crc: u32_at(frame, 16),
        })
    }

    /// Tells whether these are the bytes that were framed.
    pub(crate) fn matches(&self, payload: &[u8]) -> bool {
        self.len as usize == payload.len() && self.payload_crc == crc32fast::hash(payload)
    }

    /// Length of the frame and its payload.
    pub(crate) fn total_len(&self) -> u64 {
        FRAME_LEN as u64 + u64::from(self.len)
    }
}

/// Appends a payload in its frame.
pub(crate) fn write_frame(into: &mut Vec<u8>, sync: u64, back: u32, payload: &[u8]) {
    into.extend_from_slice(&Frame::of(payload, back).encode(sync));
    into.extend_from_slice(payload);
}

/// Writes the CRC-32 of all else into the last four bytes.
fn seal(bytes: &mut [u8]) {
    if let Some((rest, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(rest).to_le_bytes();
    }
}

fn is_sealed(bytes: &[u8]) -> bool {
    let sealed = bytes.split_last_chunk::<4>();
    sealed.is_some_and(|(rest, crc)| *crc == crc32fast::hash(rest).to_le_bytes())
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

    const HEADER: Header = Header {
        number: 7,
        sync: 0x0123_4567_89ab_cdef,
        previous: Some(Link {
            number: 5,
            sync: 9,
            end: 1000,
        }),
        repaired_from: 77,
    };

    #[test]
    fn header_round_trips_and_notices_each_flipped_bit() {
        let bytes = HEADER.encode();
        assert_eq!(Header::decode(&bytes, 7), Ok(HEADER));
        assert_eq!(Header::decode(&bytes, 8), Err(HeaderError::Misnamed(7)));
        for len in 0..HEADER_LEN {
            assert_eq!(Header::decode(&bytes[..len], 7), Err(HeaderError::Short));
        }
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
    fn another_version_is_told_apart_from_damage() {
        for version in [1_u8, 3] {
            let mut bytes = HEADER.encode();
            bytes[8] = version;
            seal(&mut bytes[..COMMON_LEN]);
            let expected = Err(HeaderError::Version(version.into()));
            assert_eq!(Header::decode(&bytes, 7), expected);
            assert_eq!(Header::decode(&bytes[..COMMON_LEN], 7), expected);
        }
    }

    // The bytes that docs/wire/wal.md shows.
    #[test]
    fn documented_bytes() {
        let header = Header {
            number: 2,
            sync: 0x1122_3344_5566_7788,
            previous: Some(Link {
                number: 1,
                sync: 0x99aa_bbcc_ddee_ff00,
                end: 4096,
            }),
            repaired_from: 0,
        };
        let mut frame = Vec::new();
        write_frame(&mut frame, header.sync, 0, b"abc");
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(&header.encode()),
            "5059524f57414c0002000000020000000000000088776655443322115405ff68\
             010000000000000000ffeeddccbbaa99001000000000000000000000000000005f0cf2e2"
        );
        assert_eq!(
            hex(&frame),
            "88776655443322110300000000000000c24124354ec7d683616263"
        );
    }

    #[test]
    fn frames_tell_what_is_wrong() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, 9, 5, b"payload");
        let frame = Frame::decode(&bytes, 9).unwrap();
        assert_eq!((frame.len, frame.back, frame.total_len()), (7, 5, 31));
        assert!(frame.matches(b"payload"));
        assert!(!frame.matches(b"payloae"));
        assert!(!frame.matches(b"payloa"));
        assert_eq!(Frame::decode(&bytes, 8), Err(FrameError::Sync));
        assert_eq!(Frame::decode(&bytes[..23], 9), Err(FrameError::Incomplete));
        assert_eq!(Frame::decode(&bytes[..3], 9), Err(FrameError::Incomplete));
        assert_eq!(Frame::decode(&[], 9), Err(FrameError::Incomplete));
        bytes[11] = 0xff;
        assert_eq!(Frame::decode(&bytes, 9), Err(FrameError::Frame));
        seal(&mut bytes[..FRAME_LEN]);
        assert_eq!(Frame::decode(&bytes, 9), Err(FrameError::Frame));
    }
}
