//! One walk over the bytes of a push and of a pprof: every field is found and every
//! number decoded, nothing is kept.

use anyhow::{Context, Result, bail};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LEN: u64 = 2;
const FIXED32: u64 = 5;

/// Hands over every `raw_profile` of a `push.v1.PushRequest`.
pub(crate) fn raw_profiles(
    request: &[u8],
    mut found: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    fields(request, |field, value| match (field, value) {
        (1, Value::Bytes(series)) => fields(series, |field, value| match (field, value) {
            (1, Value::Bytes(label)) => numbers(label).map(drop),
            (2, Value::Bytes(sample)) => fields(sample, |field, value| match (field, value) {
                (1, Value::Bytes(raw)) => found(raw),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })
}

/// Walks a `google.v1.Profile` and returns a number that depends on all of it, so
/// that no part can be left out.
pub(crate) fn profile(bytes: &[u8]) -> Result<u64> {
    let mut sum = 0_u64;
    fields(bytes, |field, value| {
        sum = sum.wrapping_add(match (field, value) {
            (2, Value::Bytes(sample)) => self::sample(sample)?,
            (4, Value::Bytes(location)) => self::location(location)?,
            (1 | 3 | 5 | 11, Value::Bytes(message)) => numbers(message)?,
            (13, Value::Bytes(comments)) => packed(comments)?,
            (_, Value::Bytes(string)) => string.len() as u64,
            (_, Value::Number(number)) => number,
        });
        Ok(())
    })?;
    Ok(sum)
}

fn sample(bytes: &[u8]) -> Result<u64> {
    let mut sum = 0_u64;
    fields(bytes, |field, value| {
        sum = sum.wrapping_add(match (field, value) {
            (1 | 2, Value::Bytes(list)) => packed(list)?,
            (_, Value::Bytes(label)) => numbers(label)?,
            (_, Value::Number(number)) => number,
        });
        Ok(())
    })?;
    Ok(sum)
}

fn location(bytes: &[u8]) -> Result<u64> {
    let mut sum = 0_u64;
    fields(bytes, |_, value| {
        sum = sum.wrapping_add(match value {
            Value::Bytes(line) => numbers(line)?,
            Value::Number(number) => number,
        });
        Ok(())
    })?;
    Ok(sum)
}

/// Walks a message without messages in it.
fn numbers(bytes: &[u8]) -> Result<u64> {
    let mut sum = 0_u64;
    fields(bytes, |_, value| {
        sum = sum.wrapping_add(match value {
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::Number(number) => number,
        });
        Ok(())
    })?;
    Ok(sum)
}

fn packed(mut list: &[u8]) -> Result<u64> {
    let mut sum = 0_u64;
    while !list.is_empty() {
        sum = sum.wrapping_add(varint(&mut list)?);
    }
    Ok(sum)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

#[inline]
fn fields<'a>(
    mut bytes: &'a [u8],
    mut found: impl FnMut(u64, Value<'a>) -> Result<()>,
) -> Result<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut bytes)?),
            LEN => {
                let len = usize::try_from(varint(&mut bytes)?)?;
                Value::Bytes(take(&mut bytes, len)?)
            }
            FIXED64 => Value::Bytes(take(&mut bytes, 8)?),
            FIXED32 => Value::Bytes(take(&mut bytes, 4)?),
            other => bail!("unknown wire type {other}"),
        };
        found(key >> 3, value)?;
    }
    Ok(())
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len).context("a field breaks off")?;
    *bytes = rest;
    Ok(taken)
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64> {
    if let [first, rest @ ..] = bytes
        && *first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    long_varint(bytes)
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    bail!("a number breaks off")
}

#[cfg(test)]
mod tests {
    use bench::push::{Corpus, SERIES};

    use super::*;

    #[test]
    fn every_request_of_the_corpus_is_walked() {
        let corpus = Corpus::new().unwrap();
        for number in 0..12 {
            let request = corpus.request(number, SERIES, 1_800_000_000_000_000_000);
            let mut sum = 0;
            raw_profiles(&request, |gzip| {
                let mut plain = vec![0; 1 << 20];
                let mut inflater = libdeflater::Decompressor::new();
                let len = inflater.gzip_decompress(gzip, &mut plain)?;
                sum = profile(&plain[..len])?;
                assert!(profile(&plain[..len - 1]).is_err(), "cut short");
                Ok(())
            })
            .unwrap();
            assert_ne!(sum, 0, "request {number}");
        }
    }
}
