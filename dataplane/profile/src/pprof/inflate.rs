use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

use super::PprofError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate makes nothing smaller than this.
const MAX_RATIO: usize = 1032;

/// Replaces `into` by a pprof without its compression, if it has one.
///
/// # Errors
/// It is larger than `max_bytes`, or its gzip stream is broken.
pub(super) fn inflate(raw: &[u8], max_bytes: usize, into: &mut Vec<u8>) -> Result<(), PprofError> {
    into.clear();
    let too_large = || PprofError::TooLarge { limit: max_bytes };
    if !raw.starts_with(&GZIP_MAGIC) {
        if raw.len() > max_bytes {
            return Err(too_large());
        }
        into.extend_from_slice(raw);
        return Ok(());
    }
    into.reserve(expected_len(raw).min(max_bytes));
    // One byte more than allowed tells "just fits" from "too large".
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    MultiGzDecoder::new(raw)
        .take(limit.saturating_add(1))
        .read_to_end(into)
        .map_err(PprofError::Gzip)?;
    if into.len() > max_bytes {
        return Err(too_large());
    }
    Ok(())
}

/// Length that a gzip stream says it has, if it can have it; one byte more, so
/// that the end is seen without growing.
fn expected_len(raw: &[u8]) -> usize {
    let said = raw.last_chunk().map_or(0, |len| u32::from_le_bytes(*len));
    (said as usize).min(raw.len().saturating_mul(MAX_RATIO)) + 1
}
