//! How many entries a message announces, before they take memory; pure.
//!
//! On the wire an empty series takes two bytes and in memory seventy: without a
//! bound a request of the allowed size becomes one of gigabytes.

use tonic::Status;

use crate::admission::Share;

/// Most series, labels and samples of a message; far above what clients send.
const MAX_ENTRIES: usize = 1 << 18;

/// Counts the entries of an encoded message.
pub(crate) type Count = fn(&[u8]) -> usize;

/// What an entry may take in memory, in bytes: that of a series, in a list that
/// has just doubled.
const ENTRY_BYTES: usize = 144;

/// Takes room for a number of entries from the request's `share`.
///
/// # Errors
///
/// `invalid_argument` when there are too many, `unavailable` when there is no
/// room.
pub(super) fn admit(entries: usize, share: Option<&Share>) -> Result<(), Status> {
    check(entries)?;
    share.map_or(Ok(()), |share| share.take(entries * ENTRY_BYTES))
}

fn check(entries: usize) -> Result<(), Status> {
    if entries > MAX_ENTRIES {
        return Err(Status::invalid_argument(format!(
            "message has more than {MAX_ENTRIES} entries"
        )));
    }
    Ok(())
}

/// Counts nothing: for messages whose size alone bounds them.
pub(super) fn none(_: &[u8]) -> usize {
    0
}

/// Counts the objects of a JSON text, and braces in its strings with them.
pub(super) fn of_json(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'{').count()
}

/// Counts series, labels, samples and annotations of an encoded
/// `push.v1.PushRequest`, up to where it is malformed or has too many.
pub(crate) fn of_push(message: &[u8]) -> usize {
    let mut entries = 0;
    // Field 1 of the request is a series.
    for (_, series) in Fields(message).filter(|(number, _)| *number == 1) {
        entries += 1 + Fields(series).take(MAX_ENTRIES).count();
        if entries > MAX_ENTRIES {
            break;
        }
    }
    entries
}

/// Number and content of the length-delimited fields of an encoded message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let length = usize::try_from(self.varint()?).ok()?;
                    return Some((tag >> 3, self.take(length)?));
                }
                5 => drop(self.take(4)?),
                // What is in an unknown group is skipped when decoding, and
                // counted here.
                3 | 4 => {}
                _ => return None,
            }
        }
    }
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut rest = self.0;
        let value = prost::encoding::decode_varint(&mut rest).ok()?;
        self.0 = rest;
        Some(value)
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::{
        push::v1::{PushRequest, RawProfileSeries, RawSample},
        types::v1::LabelPair,
    };

    use super::*;

    #[test]
    fn all_entries_of_a_push_are_counted() {
        let series = RawProfileSeries {
            labels: vec![LabelPair::default(); 3],
            samples: vec![RawSample::default(); 2],
            annotations: Vec::new(),
        };
        let push = PushRequest {
            series: vec![series; 10],
        };
        let message = push.encode_to_vec();
        assert_eq!(of_push(&message), 60);
        assert!(of_push(&message[..message.len() - 1]) < 60);
        assert_eq!(of_push(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), 0);
        let json = serde_json::to_vec(&push).unwrap();
        assert!(of_json(&json) >= 60);
        assert!(check(MAX_ENTRIES).is_ok());
        assert!(check(MAX_ENTRIES + 1).is_err());
    }

    #[test]
    fn nothing_hides_behind_a_group() {
        let hidden = b"\x4b\x4c\x0a\x00";
        assert_eq!(PushRequest::decode(&hidden[..]).unwrap().series.len(), 1);
        assert_eq!(of_push(hidden), 1);
    }
}
