//! Inflates bodies within the room that their requests may take.

use std::io::{self, BufRead as _, BufReader, Read as _};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tonic::Status;

use crate::admission::Share;

/// Deflate makes nothing smaller than this.
const MAX_RATIO: usize = 1032;

/// How much is inflated at first of what does not say how large it is, and at
/// least before more memory is taken, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// Why a body is not inflated.
#[derive(Debug)]
pub(crate) enum InflateError {
    /// It is larger than allowed.
    TooLarge,
    /// It is no gzip, or breaks off.
    Broken(io::Error),
    /// There is no room for it.
    Refused(Status),
}

/// Inflates gzip to at most `limit` bytes. Room is taken from `share` before
/// memory is: once for what is as large as it says, and whenever memory has to
/// grow for all of it, as the allocator may keep what was too small for a while.
///
/// # Errors
///
/// What is no gzip, is larger, or for which there is no room.
pub(crate) fn inflate(
    body: &[u8],
    limit: usize,
    share: Option<&Share>,
) -> Result<Bytes, InflateError> {
    // The buffer is for looking whether there is more.
    let mut inflated = BufReader::with_capacity(64, MultiGzDecoder::new(body));
    let mut plain = Vec::new();
    let mut room = expected_bytes(body, limit);
    loop {
        if let Some(share) = share {
            let grown = plain.len() + room;
            share.take(grown).map_err(InflateError::Refused)?;
        }
        plain.reserve_exact(room);
        let part = inflated.by_ref().take(room as u64).read_to_end(&mut plain);
        part.map_err(InflateError::Broken)?;
        if inflated
            .fill_buf()
            .map_err(InflateError::Broken)?
            .is_empty()
        {
            return Ok(plain.into());
        }
        if plain.len() == limit {
            return Err(InflateError::TooLarge);
        }
        room = STEP_BYTES.max(plain.len() / 2).min(limit - plain.len());
    }
}

/// Returns how large a gzip stream says it is, if that can be.
fn expected_bytes(body: &[u8], limit: usize) -> usize {
    let said = body.last_chunk().map_or(0, |len| u32::from_le_bytes(*len)) as usize;
    let possible = said <= limit && said <= body.len().saturating_mul(MAX_RATIO);
    match possible {
        true => said,
        false => STEP_BYTES.min(limit),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::admission::{Admission, Bounds};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_fits_is_inflated_and_a_bomb_is_not() {
        let limit = 3 << 20;
        for size in [0, 1, 63, 64, 65, STEP_BYTES, limit - 1, limit] {
            let plain: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
            assert_eq!(
                inflate(&gzip(&plain), limit, None).unwrap(),
                plain,
                "{size}"
            );
        }
        let bomb = gzip(&vec![0; 1 << 24]);
        let error = inflate(&bomb, limit, None).unwrap_err();
        assert!(matches!(error, InflateError::TooLarge), "{error:?}");
        for broken in [&b"text"[..], &bomb[..1000], &[&bomb, &b"rest"[..]].concat()] {
            let error = inflate(broken, 1 << 25, None).unwrap_err();
            assert!(matches!(error, InflateError::Broken(_)), "{error:?}");
        }
    }

    #[test]
    fn members_that_follow_each_other_are_one_body_whatever_the_last_one_says() {
        let large = vec![7; 2 << 20];
        let body = [gzip(&large), gzip(b"end")].concat();
        let plain = inflate(&body, 4 << 20, None).unwrap();
        assert_eq!(plain.len(), large.len() + 3);
        assert!(inflate(&body, large.len(), None).is_err());
    }

    #[test]
    fn room_is_taken_before_memory() {
        let bytes = 1 << 20;
        let admission = Admission::new(Bounds { requests: 0, bytes }, Duration::ZERO);
        // Beside another request, so that the bound holds.
        let _other = admission.share().unwrap();
        let share = admission.share().unwrap();
        let half = gzip(&vec![0; 1 << 19]);
        inflate(&half, 1 << 24, Some(&share)).unwrap();
        let error = inflate(&half, 1 << 24, Some(&share)).unwrap_err();
        assert!(matches!(error, InflateError::Refused(_)), "{error:?}");
    }
}
