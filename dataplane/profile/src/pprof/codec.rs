use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use super::{PprofError, View};
use crate::Profile;

/// Decodes a pprof, plain or gzip, of at most `max_bytes` uncompressed.
///
/// # Errors
/// As [`View::decode`].
pub fn decode(raw: &[u8], max_bytes: usize) -> Result<Profile, PprofError> {
    let mut view = View::default();
    view.decode(raw, max_bytes)?;
    Ok(view.to_profile())
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
