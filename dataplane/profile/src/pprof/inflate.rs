use std::cell::RefCell;
use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

use super::PprofError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Start of a gzip member that is deflated, as all are.
const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];

/// Deflate makes nothing smaller than this.
const MAX_RATIO: usize = 1032;

/// Replaces `into` by a pprof without its compression, if it has one.
///
/// # Errors
/// It is larger than `max_bytes`, or its gzip stream is broken.
pub(super) fn inflate(raw: &[u8], max_bytes: usize, into: &mut Vec<u8>) -> Result<(), PprofError> {
    if raw.starts_with(&GZIP_MAGIC) {
        return match inflate_member(raw, max_bytes, into) {
            true => Ok(()),
            false => inflate_members(raw, max_bytes, into),
        };
    }
    if raw.len() > max_bytes {
        return Err(PprofError::TooLarge { limit: max_bytes });
    }
    into.clear();
    into.extend_from_slice(raw);
    Ok(())
}

/// Inflates what is one member of the size that its end says, fast. False says
/// that it is not, or is too large or broken.
fn inflate_member(raw: &[u8], max_bytes: usize, into: &mut Vec<u8>) -> bool {
    thread_local! {
        static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
    }
    let len = expected_len(raw);
    let possible = len <= max_bytes && len <= raw.len().saturating_mul(MAX_RATIO);
    if !possible || memmem::find(&raw[1..], &MEMBER).is_some() {
        return false;
    }
    // What is there is overwritten, so only what is missing is set to zero.
    into.resize(len, 0);
    let inflated = DECOMPRESSOR.with_borrow_mut(|it| it.gzip_decompress(raw, into));
    inflated == Ok(len)
}

/// Inflates any number of members.
fn inflate_members(raw: &[u8], max_bytes: usize, into: &mut Vec<u8>) -> Result<(), PprofError> {
    into.clear();
    // One byte more than allowed tells "just fits" from "too large".
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    MultiGzDecoder::new(raw)
        .take(limit.saturating_add(1))
        .read_to_end(into)
        .map_err(PprofError::Gzip)?;
    if into.len() > max_bytes {
        return Err(PprofError::TooLarge { limit: max_bytes });
    }
    Ok(())
}

/// Length, modulo 4 GiB, that a gzip stream says its last member has.
fn expected_len(raw: &[u8]) -> usize {
    raw.last_chunk().map_or(0, |len| u32::from_le_bytes(*len)) as usize
}

/// Returns the size that a pprof, gzip or plain, says it has uncompressed. It may
/// lie: this tells where to do the work, not how much of it to do.
pub fn claimed_bytes(raw: &[u8]) -> usize {
    match raw.starts_with(&GZIP_MAGIC) {
        true => expected_len(raw),
        false => raw.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode_gzip;
    use super::*;
    use crate::Profile;

    fn gzip(text: &str) -> (Vec<u8>, Vec<u8>) {
        let profile = Profile {
            string_table: vec![text.to_owned()],
            ..Profile::default()
        };
        (encode_gzip(&profile), super::super::encode(&profile))
    }

    fn both(raw: &[u8], max_bytes: usize) -> Result<Vec<u8>, String> {
        let (mut fast, mut slow) = (vec![1], vec![2]);
        let fast = inflate(raw, max_bytes, &mut fast).map(|()| fast);
        let slow = inflate_members(raw, max_bytes, &mut slow).map(|()| slow);
        let [fast, slow] = [fast, slow].map(|it| it.map_err(|error| error.to_string()));
        assert_eq!(fast, slow);
        fast
    }

    #[test]
    fn members_follow_each_other() {
        let (one, plain) = gzip(&"one".repeat(1000));
        let (empty, nothing) = gzip("");
        assert_eq!(both(&one, plain.len()), Ok(plain.clone()));
        // Members of the same size, even the same ones, are not taken for one.
        let twice = both(&[&one[..], &one].concat(), 1 << 20);
        assert_eq!(twice, Ok(plain.repeat(2)));
        let mixed = both(&[&one[..], &empty, &one].concat(), 1 << 20);
        assert_eq!(mixed, Ok([&plain[..], &nothing, &plain].concat()));
        both(&[&one[..], &one].concat(), plain.len()).unwrap_err();
    }

    #[test]
    fn broken_streams_are_refused() {
        let (gzip, plain) = gzip(&"text".repeat(1000));
        for len in 2..gzip.len() {
            both(&gzip[..len], 1 << 20).unwrap_err();
        }
        for at in gzip.len() - 8..gzip.len() {
            let mut broken = gzip.clone();
            broken[at] ^= 1;
            both(&broken, 1 << 20).unwrap_err();
        }
        both(&gzip, plain.len() - 1).unwrap_err();
        both(&[&gzip[..], b"rest"].concat(), 1 << 20).unwrap_err();
    }
}
