//! Finding the records of a segment, damaged or not.

use std::ops::Range;

use super::format::{self, FrameError, HEADER_LEN, Header, HeaderError};

/// What a segment's bytes hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Where the payloads of intact records are, in order.
    pub(crate) payloads: Vec<Range<usize>>,
    /// Damage with intact records, or the end of the header, behind it.
    pub(crate) damages: Vec<Damage>,
    /// Where the last intact record ends and no other begins.
    pub(crate) end: usize,
    /// What is behind `end`, if anything is.
    pub(crate) tail: Option<Tail>,
}

/// A damaged part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: usize,
    pub(crate) len: usize,
    pub(crate) reason: String,
}

/// Bytes at the end of a segment that are no intact record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) damage: Damage,
    /// The bytes are what a crash leaves of a write: the beginning of a record,
    /// or space that was never filled. A whole record that is wrong is not.
    pub(crate) torn: bool,
}

/// Scans a whole segment file.
///
/// # Errors
/// A format version that this program does not read; all else is damage.
pub(crate) fn scan(bytes: &[u8], number: u64) -> Result<Scan, HeaderError> {
    let mut scan = Scan {
        end: HEADER_LEN.min(bytes.len()),
        ..Scan::default()
    };
    let sync = match Header::decode(bytes, number) {
        Ok(header) => header.sync,
        Err(version @ HeaderError::Version(_)) => return Err(version),
        Err(error) => {
            let damage = Damage {
                at: 0,
                len: scan.end,
                reason: error.to_string(),
            };
            match salvage(bytes) {
                Some(sync) => {
                    scan.damages.push(damage);
                    sync
                }
                None => {
                    let torn = error == HeaderError::Short || is_zero(bytes);
                    let damage = Damage {
                        len: bytes.len(),
                        ..damage
                    };
                    return Ok(Scan {
                        end: 0,
                        tail: Some(Tail { damage, torn }),
                        ..scan
                    });
                }
            }
        }
    };
    scan.records(bytes, sync);
    Ok(scan)
}

impl Scan {
    fn records(&mut self, bytes: &[u8], sync: u64) {
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let error = match format::read_frame(bytes, at, sync) {
                Ok(payload) => {
                    at = payload.end;
                    self.end = at;
                    self.payloads.push(payload);
                    continue;
                }
                Err(error) => error,
            };
            let next = next_record(bytes, at + 1, sync);
            let len = next.unwrap_or(bytes.len()) - at;
            let damage = Damage {
                at,
                len,
                reason: error.to_string(),
            };
            let Some(next) = next else {
                let torn = error == FrameError::Incomplete || is_zero(&bytes[at..]);
                self.tail = Some(Tail { damage, torn });
                return;
            };
            self.damages.push(damage);
            at = next;
        }
    }
}

/// Finds the sync word of a segment whose header is damaged.
fn salvage(bytes: &[u8]) -> Option<u64> {
    Header::salvage_sync(bytes)
        .into_iter()
        .find(|&sync| next_record(bytes, HEADER_LEN, sync).is_some())
}

/// Finds the first intact record at or behind an offset.
fn next_record(bytes: &[u8], from: usize, sync: u64) -> Option<usize> {
    let word = sync.to_le_bytes();
    let candidates = bytes.get(from..)?.windows(word.len()).enumerate();
    candidates
        .filter(|(_, window)| *window == word)
        .map(|(i, _)| from + i)
        .find(|&at| format::read_frame(bytes, at, sync).is_ok())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::super::format::FRAME_LEN;
    use super::*;

    const SYNC: u64 = 0xfeed_f00d_dead_beef;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Header {
            number: 3,
            sync: SYNC,
        }
        .encode()
        .to_vec();
        for payload in payloads {
            format::write_frame(&mut bytes, SYNC, payload);
        }
        bytes
    }

    fn found<'a>(bytes: &'a [u8], scan: &Scan) -> Vec<&'a [u8]> {
        scan.payloads
            .iter()
            .map(|range| &bytes[range.clone()])
            .collect()
    }

    #[test]
    fn each_prefix_holds_the_records_that_are_whole() {
        let payloads: [&[u8]; 3] = [b"one", b"", b"three"];
        let whole = segment(&payloads);
        let ends: Vec<usize> = scan(&whole, 3)
            .unwrap()
            .payloads
            .iter()
            .map(|p| p.end)
            .collect();
        for len in 0..=whole.len() {
            let bytes = &whole[..len];
            let scan = scan(bytes, 3).unwrap();
            let expected = ends.iter().filter(|&&end| end <= len).count();
            assert_eq!(found(bytes, &scan), payloads[..expected], "prefix of {len}");
            assert_eq!(scan.damages, [], "prefix of {len}");
            let boundary = len == HEADER_LEN || ends.contains(&len);
            assert_eq!(scan.tail.is_none(), boundary, "prefix of {len}");
            assert!(scan.tail.is_none_or(|tail| tail.torn), "prefix of {len}");
        }
    }

    #[test]
    fn each_flipped_byte_costs_one_record_at_most() {
        let payloads: [&[u8]; 3] = [b"one", b"second", b"three"];
        let whole = segment(&payloads);
        let starts = [
            HEADER_LEN,
            HEADER_LEN + FRAME_LEN + 3,
            HEADER_LEN + 2 * FRAME_LEN + 9,
        ];
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let scan = scan(&bytes, 3).unwrap();
            let hit = starts.iter().filter(|&&start| start <= at).count();
            let kept: Vec<&[u8]> = (0..3)
                .filter(|i| i + 1 != hit)
                .map(|i| payloads[i])
                .collect();
            assert_eq!(found(&bytes, &scan), kept, "byte {at}");
            assert!(
                !scan.damages.is_empty() || scan.tail.is_some(),
                "byte {at} goes unnoticed"
            );
        }
    }

    #[test]
    fn a_wrong_whole_record_at_the_end_is_no_torn_write() {
        let mut bytes = segment(&[b"one", b"two"]);
        *bytes.last_mut().unwrap() ^= 1;
        let tail = scan(&bytes, 3).unwrap().tail.unwrap();
        assert!(!tail.torn);
        bytes.truncate(HEADER_LEN + FRAME_LEN + 3);
        bytes.extend([0; 100]);
        assert!(scan(&bytes, 3).unwrap().tail.unwrap().torn);
    }

    #[test]
    fn a_record_inside_a_payload_is_not_found_without_the_sync_word() {
        let mut forged = Vec::new();
        format::write_frame(&mut forged, SYNC + 1, b"forged");
        let mut bytes = segment(&[&forged, b"real"]);
        bytes[HEADER_LEN + 8] ^= 1;
        let scan = scan(&bytes, 3).unwrap();
        assert_eq!(found(&bytes, &scan), [b"real"]);
    }
}
