use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::PprofError;
use crate::Profile;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An empty sample takes 2 bytes on the wire and 72 in memory. Real entries have
/// 10 bytes and more, so that a profile full of smaller ones is an attack.
const MIN_ENTRY_BYTES: usize = 8;

/// Decodes a pprof, plain or gzip, of at most `max_bytes` uncompressed.
///
/// Memory is bounded by about twenty times `max_bytes`, whatever the input; that
/// of an honest profile is three to five times its size.
///
/// # Errors
/// A profile that is too large, or bytes that are broken. Strings that are not
/// UTF-8 are an error too.
pub fn decode(raw: &[u8], max_bytes: usize) -> Result<Profile, PprofError> {
    let plain = decompress(raw, max_bytes)?;
    limit_entries(&plain, max_bytes / MIN_ENTRY_BYTES)?;
    Profile::decode(&*plain).map_err(PprofError::Malformed)
}

/// Encodes a profile without compression.
pub fn encode(profile: &Profile) -> Vec<u8> {
    profile.encode_to_vec()
}

/// Encodes a profile and compresses it with gzip, as the pprof format asks.
pub fn encode_gzip(profile: &Profile) -> Vec<u8> {
    let plain = encode(profile);
    let mut gzip = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::fast());
    gzip.write_all(&plain)
        .and_then(|()| gzip.finish())
        .expect("writing into a Vec cannot fail")
}

fn decompress(raw: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, PprofError> {
    let too_large = PprofError::TooLarge { limit: max_bytes };
    if !raw.starts_with(&GZIP_MAGIC) {
        return if raw.len() > max_bytes {
            Err(too_large)
        } else {
            Ok(Cow::Borrowed(raw))
        };
    }
    // One byte more than allowed tells "just fits" from "too large".
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let mut plain = Vec::with_capacity(raw.len().saturating_mul(3).min(max_bytes));
    MultiGzDecoder::new(raw)
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(PprofError::Gzip)?;
    if plain.len() > max_bytes {
        return Err(too_large);
    }
    Ok(Cow::Owned(plain))
}

/// Refuses a message with too many entries before memory is spent on them.
/// Broken bytes pass: decoding says what is wrong with them.
fn limit_entries(mut plain: &[u8], limit: usize) -> Result<(), PprofError> {
    let mut entries = 0;
    while let Ok((tag, wire_type)) = decode_key(&mut plain) {
        if skip_field(wire_type, tag, &mut plain, DecodeContext::default()).is_err() {
            break;
        }
        entries += 1;
        if entries > limit {
            return Err(PprofError::TooManyEntries { limit });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            string_table: vec![String::new(), "a".repeat(100_000)],
            ..Profile::default()
        }
    }

    #[test]
    fn plain_and_gzip_decode_alike() {
        let limit = 1 << 20;
        assert_eq!(decode(&encode(&profile()), limit).unwrap(), profile());
        assert_eq!(decode(&encode_gzip(&profile()), limit).unwrap(), profile());
    }

    #[test]
    fn the_limit_counts_uncompressed_bytes() {
        let (plain, gzip) = (encode(&profile()), encode_gzip(&profile()));
        assert!(gzip.len() < 2000, "{}", gzip.len());
        for raw in [&plain, &gzip] {
            assert!(decode(raw, plain.len()).is_ok());
            let error = decode(raw, plain.len() - 1).unwrap_err();
            assert!(matches!(error, PprofError::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn broken_bytes_are_typed_errors() {
        let gzip = encode_gzip(&profile());
        let cut = decode(&gzip[..gzip.len() / 2], 1 << 20).unwrap_err();
        assert!(matches!(cut, PprofError::Gzip(_)), "{cut}");
        let text = decode(b"not a profile", 1 << 20).unwrap_err();
        assert!(matches!(text, PprofError::Malformed(_)), "{text}");
        let utf8 = decode(&[0x32, 0x01, 0xff], 1 << 20).unwrap_err();
        assert!(matches!(utf8, PprofError::Malformed(_)), "{utf8}");
    }

    #[test]
    fn empty_entries_are_refused_early() {
        let max_bytes = 1 << 20;
        let samples = [0x12, 0x00].repeat(max_bytes / 2);
        let error = decode(&samples, max_bytes).unwrap_err();
        assert!(
            matches!(error, PprofError::TooManyEntries { .. }),
            "{error}"
        );
        let fewer = decode(&samples[..max_bytes / 4], max_bytes).unwrap();
        assert_eq!(fewer.sample.len(), max_bytes / 8);
    }

    #[test]
    fn the_size_in_the_message_is_decimal() {
        let error = PprofError::TooLarge { limit: 4 << 20 };
        assert_eq!(
            error.to_string(),
            "uncompressed profile payload size exceeds limit of 4.2 MB"
        );
    }
}
