//! The compress wrapper: `09 | msgpack{Algo, Buf}`.

use weezl::{BitOrder, LzwStatus};

use crate::config::Compression;
use crate::error::WireError;
use crate::lzw;
use crate::message::kind;
use crate::msgpack::{Reader, Writer};

const LZW: u8 = 0;
const SNAPPY: u8 = 1;
/// Bits of an LZW literal.
const LITERAL: u8 = 8;
/// Decompressed at a time, so that a short input cannot claim a large buffer.
const CHUNK: usize = 64 * 1024;

/// Compresses `message` with its wrapper, or returns `None` if that does not make it strictly smaller.
///
/// It is not even tried on what does not look as if it would: most gossip is short or made of random tokens.
pub(crate) fn shrink(algorithm: Compression, message: &[u8]) -> Option<Vec<u8>> {
    if !looks_repetitive(message) {
        return None;
    }
    let wrapped = wrap(algorithm, message)?;
    (wrapped.len() < message.len()).then_some(wrapped)
}

/// Tells whether enough pairs of bytes come more than once, in samples of what is long.
fn looks_repetitive(message: &[u8]) -> bool {
    /// What is shorter does not make up for the wrapper.
    const SHORTEST: usize = 64;
    const SAMPLE: usize = 512;
    const SAMPLES: usize = 8;
    /// Random bytes have 3 % repetitions in samples of this size, node records 80 %; LZW gains from some 40 % on.
    const REPEATED_PERCENT: usize = 33;
    if message.len() < SHORTEST {
        return false;
    }
    let mut pairs = Pairs::default();
    if message.len() <= SAMPLE * SAMPLES {
        pairs.count(message);
    } else {
        for sample in 0..SAMPLES {
            let start = (message.len() - SAMPLE) * sample / (SAMPLES - 1);
            pairs.count(&message[start..start + SAMPLE]);
        }
    }
    pairs.repeated * 100 >= pairs.total * REPEATED_PERCENT
}

/// The pairs of bytes seen, one bit each.
struct Pairs {
    seen: [u64; 1024],
    total: usize,
    repeated: usize,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            seen: [0; 1024],
            total: 0,
            repeated: 0,
        }
    }
}

impl Pairs {
    fn count(&mut self, sample: &[u8]) {
        for pair in sample.windows(2) {
            let pair = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            let (word, bit) = (&mut self.seen[pair / 64], 1 << (pair % 64));
            self.repeated += usize::from(*word & bit != 0);
            *word |= bit;
        }
        self.total += sample.len() - 1;
    }
}

/// Compresses `message` with its wrapper, whatever it costs.
pub(crate) fn wrap(algorithm: Compression, message: &[u8]) -> Option<Vec<u8>> {
    let (number, compressed) = match algorithm {
        Compression::Lzw => (LZW, lzw::encode(message)),
        Compression::Snappy => (
            SNAPPY,
            snap::raw::Encoder::new().compress_vec(message).ok()?,
        ),
    };
    let mut out = Writer::message(kind::COMPRESS, 2);
    out.uint("Algo", u32::from(number));
    out.raw("Buf", &compressed);
    Some(out.finish())
}

/// Decodes the body of a compress message and decompresses it to at most `limit` bytes.
///
/// After [`WireError::Truncated`], `body` knows how much is needed.
pub(crate) fn unwrap(body: &mut Reader<'_>, limit: usize) -> Result<Vec<u8>, WireError> {
    let mut algorithm = 0u8;
    let mut compressed: &[u8] = &[];
    body.map("compress", |key, value| {
        match key {
            b"Algo" => algorithm = value.uint()?,
            b"Buf" => compressed = value.slice()?.unwrap_or_default(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match algorithm {
        LZW => lzw_decode(compressed, limit),
        SNAPPY => snappy_decode(compressed, limit),
        algorithm => Err(WireError::UnknownCompression { algorithm }),
    }
}

fn lzw_decode(mut compressed: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let malformed = WireError::Malformed {
        what: "compress",
        reason: "not lzw data",
    };
    let mut decoder = weezl::decode::Decoder::new(BitOrder::Lsb, LITERAL);
    let mut plain = Vec::new();
    let mut chunk = vec![0; CHUNK.min(limit + 1)];
    loop {
        let step = decoder.decode_bytes(compressed, &mut chunk);
        let status = step.status.map_err(|_| malformed.clone())?;
        compressed = &compressed[step.consumed_in..];
        plain.extend_from_slice(&chunk[..step.consumed_out]);
        if plain.len() > limit {
            return Err(too_large(plain.len(), limit));
        }
        match status {
            LzwStatus::Done => return Ok(plain),
            LzwStatus::Ok if step.consumed_in + step.consumed_out > 0 => {}
            LzwStatus::Ok | LzwStatus::NoProgress => return Err(malformed),
        }
    }
}

fn snappy_decode(compressed: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let malformed = |_| WireError::Malformed {
        what: "compress",
        reason: "not snappy data",
    };
    let announced = snap::raw::decompress_len(compressed).map_err(malformed)?;
    // A snappy element of 3 bytes yields at most 64: more than that is a lie, not worth an allocation.
    let possible = compressed.len().saturating_mul(64 / 2);
    if announced > limit || announced > possible {
        return Err(too_large(announced, limit.min(possible)));
    }
    snap::raw::Decoder::new()
        .decompress_vec(compressed)
        .map_err(malformed)
}

fn too_large(size: usize, limit: usize) -> WireError {
    WireError::TooLarge {
        what: "decompressed message",
        size: size as u64,
        limit: limit as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::vectors;

    #[test]
    fn what_go_compressed_is_read_and_lzw_is_written_the_same() {
        let vectors = vectors("compress/");
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let plain = vector.plaintext();
            let read = unwrap(&mut Reader::new(&vector.bytes[1..]), plain.len());
            assert!(read.as_ref() == Ok(&plain), "{}", vector.name);
            if vector.name.starts_with("compress/lzw") {
                let written = wrap(Compression::Lzw, &plain);
                assert!(written == Some(vector.bytes), "{}", vector.name);
            }
        }
    }

    #[test]
    fn output_is_capped_before_it_is_allocated() {
        for algorithm in [Compression::Lzw, Compression::Snappy] {
            let bomb = wrap(algorithm, &vec![0; 1 << 20]).expect("zeros compress");
            let read = unwrap(&mut Reader::new(&bomb[1..]), 1000);
            assert!(
                matches!(read, Err(WireError::TooLarge { limit: 1000, .. })),
                "{read:?}"
            );
        }
    }

    #[test]
    fn snappy_that_announces_more_than_it_can_hold_is_refused() {
        let announces_16_mib = [0x80, 0x80, 0x80, 0x08, 0x00];
        let read = snappy_decode(&announces_16_mib, 1 << 30);
        assert!(matches!(read, Err(WireError::TooLarge { .. })), "{read:?}");
    }

    #[test]
    fn what_does_not_become_smaller_stays_plain() {
        assert_eq!(shrink(Compression::Lzw, b"short"), None);
        assert!(shrink(Compression::Lzw, &[7; 500]).is_some());
    }

    #[test]
    fn only_what_repeats_itself_is_worth_trying() {
        let mut rng = crate::rng::Rng::new(1);
        let mut random = |len: usize| (0..len).map(|_| rng.below(256) as u8).collect::<Vec<u8>>();
        for len in [64, 1000, 100_000] {
            assert!(!looks_repetitive(&random(len)), "{len} random bytes");
        }
        let record =
            b"\x04\x86\xA4Addr\xA4\x0A\x00\x00\x01\xABIncarnation\x01\xA4Meta\xC0\xA4Node\xA1a";
        for count in [3, 30, 3000] {
            assert!(looks_repetitive(&record.repeat(count)), "{count} records");
        }
        assert!(!looks_repetitive(&record[..]));
    }
}
