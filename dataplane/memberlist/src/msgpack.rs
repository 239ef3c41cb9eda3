//! The msgpack flavour of go-msgpack: old-spec raw strings out, anything sensible in.
//!
//! Structs are maps whose keys are the Go field names, sorted bytewise. The reader takes keys in any order,
//! every integer and string encoding, nil for every field, and structs sent as arrays are refused.

use crate::error::WireError;

/// Writes one message: a type byte and a map.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Starts a message of type `kind` with `fields` fields, at most 15.
    pub(crate) fn message(kind: u8, fields: u8) -> Self {
        /// Enough for most messages.
        const USUAL: usize = 96;
        let mut out = Vec::with_capacity(USUAL);
        out.extend_from_slice(&[kind, 0x80 | fields]);
        Self { out }
    }

    /// Starts a map of `fields` fields, at most 15, behind what is there.
    pub(crate) fn append(mut out: Vec<u8>, fields: u8) -> Self {
        out.push(0x80 | fields);
        Self { out }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(crate) fn raw(&mut self, key: &str, value: &[u8]) {
        self.put_raw(key.as_bytes());
        self.put_raw(value);
    }

    pub(crate) fn raw_or_nil(&mut self, key: &str, value: Option<&[u8]>) {
        self.put_raw(key.as_bytes());
        match value {
            Some(value) => self.put_raw(value),
            None => self.out.push(0xC0),
        }
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.put_raw(key.as_bytes());
        self.out.push(if value { 0xC3 } else { 0xC2 });
    }

    /// Writes a field that is unsigned in Go.
    pub(crate) fn uint(&mut self, key: &str, value: u32) {
        self.put_raw(key.as_bytes());
        match value {
            0..=0x7F => self.out.push(value as u8),
            0x80..=0xFF => self.out.extend_from_slice(&[0xCC, value as u8]),
            0x100..=0xFFFF => {
                self.out.push(0xCD);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            _ => {
                self.out.push(0xCE);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    /// Writes a field that is a signed `int` in Go, though it is never negative.
    pub(crate) fn int(&mut self, key: &str, value: i64) {
        self.put_raw(key.as_bytes());
        if (0..=0x7F).contains(&value) {
            self.out.push(value as u8);
        } else if let Ok(value) = i16::try_from(value) {
            self.out.push(0xD1);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(0xD2);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else {
            self.out.push(0xD3);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn put_raw(&mut self, value: &[u8]) {
        match value.len() {
            len @ 0..32 => self.out.push(0xA0 | len as u8),
            len @ 32..0x1_0000 => {
                self.out.push(0xDA);
                self.out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                self.out.push(0xDB);
                self.out.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
        self.out.extend_from_slice(value);
    }
}

/// Deepest nesting of a value that is skipped.
const MAX_SKIP_DEPTH: usize = 16;
/// Most values that are skipped in one message, so that reading it again and again stays cheap.
const MAX_SKIPPED: usize = 1024;
/// Most entries of a map.
const MAX_ENTRIES: u64 = 256;

/// Reads values from a slice and remembers how far it came.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    position: usize,
    needed: u64,
    skipped: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            position: 0,
            needed: 0,
            skipped: 0,
            what: "message",
        }
    }

    /// Returns how many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// After [`WireError::Truncated`], returns how long the input must be at least to get any further.
    pub(crate) fn needed(&self) -> u64 {
        self.needed
    }

    /// Reads a map and hands each value to `field`, which returns false for keys it does not know.
    pub(crate) fn map(
        &mut self,
        what: &'static str,
        mut field: impl FnMut(&[u8], &mut Self) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        self.what = what;
        let entries = match self.byte()? {
            0xC0 => 0,
            tag @ 0x80..=0x8F => u64::from(tag & 0x0F),
            0xDE => self.big_endian(2)?,
            0xDF => self.big_endian(4)?,
            _ => return Err(self.malformed("not a map")),
        };
        if entries > MAX_ENTRIES {
            return Err(self.malformed("too many fields"));
        }
        for _ in 0..entries {
            let key = self.slice()?.unwrap_or_default();
            if !field(key, self)? {
                self.skip(MAX_SKIP_DEPTH)?;
            }
        }
        Ok(())
    }

    /// Reads bytes in any of their encodings; `None` for nil.
    pub(crate) fn slice(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        let len = match self.byte()? {
            0xC0 => return Ok(None),
            tag @ 0xA0..=0xBF => u64::from(tag & 0x1F),
            0xC4 | 0xD9 => self.big_endian(1)?,
            0xC5 | 0xDA => self.big_endian(2)?,
            0xC6 | 0xDB => self.big_endian(4)?,
            _ => return Err(self.malformed("not a string")),
        };
        self.take(len).map(Some)
    }

    pub(crate) fn raw(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        Ok(self.slice()?.map(<[u8]>::to_vec))
    }

    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        let bytes = self.slice()?.unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.malformed("name is not utf-8")),
        }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0xC0 | 0xC2 => Ok(false),
            0xC3 => Ok(true),
            _ => Err(self.malformed("not a boolean")),
        }
    }

    /// Reads an integer in any encoding; nil is 0.
    pub(crate) fn uint<T: TryFrom<i128>>(&mut self) -> Result<T, WireError> {
        let value = match self.byte()? {
            0xC0 => 0,
            tag @ 0x00..=0x7F => i128::from(tag),
            tag @ 0xE0..=0xFF => i128::from(tag as i8),
            0xCC => i128::from(self.big_endian(1)?),
            0xCD => i128::from(self.big_endian(2)?),
            0xCE => i128::from(self.big_endian(4)?),
            0xCF => i128::from(self.big_endian(8)?),
            0xD0 => i128::from(self.big_endian(1)? as i8),
            0xD1 => i128::from(self.big_endian(2)? as i16),
            0xD2 => i128::from(self.big_endian(4)? as i32),
            0xD3 => i128::from(self.big_endian(8)? as i64),
            _ => return Err(self.malformed("not an integer")),
        };
        T::try_from(value).map_err(|_| self.malformed("number out of range"))
    }

    fn skip(&mut self, depth: usize) -> Result<(), WireError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.malformed("nested too deep"));
        };
        self.skipped += 1;
        if self.skipped > MAX_SKIPPED {
            return Err(self.malformed("too many unknown values"));
        }
        let tag = self.byte()?;
        let (bytes, values) = match tag {
            0x00..=0x7F | 0xC0 | 0xC2 | 0xC3 | 0xE0..=0xFF => (0, 0),
            0x80..=0x8F => (0, 2 * u64::from(tag & 0x0F)),
            0x90..=0x9F => (0, u64::from(tag & 0x0F)),
            0xA0..=0xBF => (u64::from(tag & 0x1F), 0),
            0xC4 | 0xD9 => (self.big_endian(1)?, 0),
            0xC5 | 0xDA => (self.big_endian(2)?, 0),
            0xC6 | 0xDB => (self.big_endian(4)?, 0),
            0xC7 => (1 + self.big_endian(1)?, 0),
            0xC8 => (1 + self.big_endian(2)?, 0),
            0xC9 => (1 + self.big_endian(4)?, 0),
            0xCC | 0xD0 => (1, 0),
            0xCD | 0xD1 => (2, 0),
            0xCA | 0xCE | 0xD2 => (4, 0),
            0xCB | 0xCF | 0xD3 => (8, 0),
            0xD4..=0xD8 => (1 + (1 << (tag - 0xD4)), 0),
            0xDC => (0, self.big_endian(2)?),
            0xDD => (0, self.big_endian(4)?),
            0xDE => (0, 2 * self.big_endian(2)?),
            0xDF => (0, 2 * self.big_endian(4)?),
            0xC1 => return Err(self.malformed("reserved tag")),
        };
        self.take(bytes)?;
        for _ in 0..values {
            self.skip(depth)?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    /// Reads `width` bytes, at most 8, as a number.
    fn big_endian(&mut self, width: u64) -> Result<u64, WireError> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], WireError> {
        let end = self.position as u64 + len;
        let taken = usize::try_from(end)
            .ok()
            .and_then(|end| self.input.get(self.position..end));
        match taken {
            Some(taken) => {
                self.position += taken.len();
                Ok(taken)
            }
            None => {
                self.needed = end;
                Err(WireError::Truncated { what: self.what })
            }
        }
    }

    fn malformed(&self, reason: &'static str) -> WireError {
        WireError::Malformed {
            what: self.what,
            reason,
        }
    }
}

/// An encoding produced by go-msgpack.
#[cfg(test)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) fields: String,
    pub(crate) bytes: Vec<u8>,
}

#[cfg(test)]
impl Vector {
    pub(crate) fn suffix(&self) -> &str {
        self.name.rsplit(['/', '-']).next().unwrap_or_default()
    }

    pub(crate) fn plaintext(&self) -> Vec<u8> {
        unhex(self.fields.trim_start_matches("plaintext hex").trim())
    }
}

/// Returns the vectors whose names start with `prefix`.
#[cfg(test)]
pub(crate) fn vectors(prefix: &str) -> Vec<Vector> {
    let json = include_str!("../tests/vectors/msgpack-vectors.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(json).expect("vectors are json");
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().expect(key).to_owned();
    all.iter()
        .map(|vector| Vector {
            name: text(vector, "Name"),
            fields: text(vector, "Fields"),
            bytes: unhex(&text(vector, "Hex")),
        })
        .filter(|vector| vector.name.starts_with(prefix))
        .collect()
}

#[cfg(test)]
fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|digits| {
            u8::from_str_radix(std::str::from_utf8(digits).expect("ascii"), 16).expect("hex")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use bytes::Bytes;

    #[test]
    fn messages_are_read_and_written_as_in_go() {
        let mut checked = 0;
        for vector in ["alive/", "ack/", "ping/"].into_iter().flat_map(vectors) {
            let message = Message::decode(&Bytes::from(vector.bytes.clone()))
                .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
            assert_eq!(message.encode(), vector.bytes, "{}", vector.name);
            checked += 1;
        }
        assert_eq!(checked, 28);
    }

    #[test]
    fn every_integer_and_string_encoding_is_read() {
        for bytes in [
            &[0x07][..],
            &[0xCC, 7],
            &[0xCD, 0, 7],
            &[0xCE, 0, 0, 0, 7],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 7],
            &[0xD0, 7],
            &[0xD1, 0, 7],
            &[0xD2, 0, 0, 0, 7],
            &[0xD3, 0, 0, 0, 0, 0, 0, 0, 7],
        ] {
            assert_eq!(Reader::new(bytes).uint::<u32>(), Ok(7), "{bytes:x?}");
        }
        assert!(
            Reader::new(&[0xFF]).uint::<u32>().is_err(),
            "-1 is not unsigned"
        );
        assert!(
            Reader::new(&[0xCE, 0, 1, 0, 0]).uint::<u16>().is_err(),
            "65536 is no port"
        );
        for bytes in [
            &b"\xA2hi"[..],
            b"\xD9\x02hi",
            b"\xDA\x00\x02hi",
            b"\xDB\x00\x00\x00\x02hi",
            b"\xC4\x02hi",
            b"\xC5\x00\x02hi",
            b"\xC6\x00\x00\x00\x02hi",
        ] {
            assert_eq!(Reader::new(bytes).text().as_deref(), Ok("hi"), "{bytes:x?}");
        }
    }

    #[test]
    fn unknown_fields_of_every_type_are_skipped() {
        let values: &[&[u8]] = &[
            b"\xC0",
            b"\xC2",
            b"\xE0",
            b"\xCA\x00\x00\x00\x00",
            b"\xCB\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\x92\x01\x81\xA1k\x02",
            b"\xDC\x00\x01\x01",
            b"\xDD\x00\x00\x00\x01\x01",
            b"\xDE\x00\x01\x01\x02",
            b"\xDF\x00\x00\x00\x01\x01\x02",
            b"\xD4\x01\x00",
            b"\xD8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\xC7\x01\x05\x00",
        ];
        for value in values {
            let message = [&b"\x0B\x82\xA1?"[..], value, b"\xA5SeqNo\x07"].concat();
            assert_eq!(
                Message::decode(&Bytes::from(message)),
                Ok(Message::Nack(7)),
                "{value:x?}"
            );
        }
    }

    #[test]
    fn hostile_nesting_and_announced_sizes_cost_nothing() {
        let nested = [&b"\x0B\x81\xA1?"[..], &[0x91; 100_000]].concat();
        let many = [&b"\x0B\x81\xA1?\xDD\xFF\xFF\xFF\xFF"[..], &[0xC0; 100_000]].concat();
        let long = b"\x0B\x81\xA1?\xDB\xFF\xFF\xFF\xFFshort".to_vec();
        for message in [nested, many, long, b"\x0B\xDF\xFF\xFF\xFF\xFF".to_vec()] {
            assert!(Message::decode(&Bytes::from(message)).is_err());
        }
    }
}
