//! Numbers and texts of recordings.

use std::borrow::Cow;

use super::super::IngestError;

/// Reads one value after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// A text as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'b> {
    /// Nothing, or the empty text.
    Empty,
    /// A constant of the class `java.lang.String`.
    Pooled(u64),
    Utf8(&'b [u8]),
    Latin1(&'b [u8]),
    /// UTF-16, each unit as a varint.
    Chars(&'b [u8]),
}

impl Text<'_> {
    /// Decodes the text; what is no text becomes U+FFFD.
    pub(super) fn decode(&self) -> Cow<'_, str> {
        match self {
            Self::Empty | Self::Pooled(_) => "".into(),
            Self::Utf8(bytes) => String::from_utf8_lossy(bytes),
            Self::Latin1(bytes) => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Self::Chars(bytes) => {
                let mut reader = Reader::new(bytes);
                let units = std::iter::from_fn(|| reader.varint().ok()).map(|unit| unit as u16);
                char::decode_utf16(units)
                    .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect()
            }
        }
    }
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to an offset, which may be beyond the end.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let found = self.bytes[self.at..].get(..length);
        let found = found.ok_or_else(|| self.malformed("it is cut short"))?;
        self.at += length;
        Ok(found)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u16::from(*byte)))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Reads a number of seven bits a byte, lowest first; a ninth byte has eight.
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Ok(value | u64::from(self.byte()?) << 56)
    }

    /// Reads the number of things that follow, each of which takes a byte at
    /// least.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.left() => Ok(count),
            _ => Err(self.malformed("a number of things is larger than there is room for")),
        }
    }

    pub(super) fn text(&mut self) -> Result<Text<'b>, Malformed> {
        match self.byte()? {
            0 | 1 => Ok(Text::Empty),
            2 => Ok(Text::Pooled(self.varint()?)),
            3 => {
                let length = self.count()?;
                Ok(Text::Utf8(self.take(length)?))
            }
            4 => {
                let units = self.count()?;
                let start = self.at;
                for _ in 0..units {
                    self.varint()?;
                }
                Ok(Text::Chars(&self.bytes[start..self.at]))
            }
            5 => {
                let length = self.count()?;
                Ok(Text::Latin1(self.take(length)?))
            }
            _ => Err(self.malformed("a text has an unknown encoding")),
        }
    }

    /// Returns the error that something is wrong here.
    pub(super) fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed {
            reason,
            at: self.at,
        }
    }
}

/// What is wrong with a recording, and where in its chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Malformed {
    reason: &'static str,
    at: usize,
}

impl Malformed {
    /// Returns the error for a chunk that begins at an offset of the recording.
    pub(super) fn at_chunk(self, offset: usize) -> IngestError {
        IngestError::Malformed(format!(
            "jfr parser ParseEvent error: {} at byte {}",
            self.reason,
            offset.saturating_add(self.at)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_up_to_nine_bytes() {
        let read = |bytes: &[u8]| Reader::new(bytes).varint().ok();
        assert_eq!(read(&[5]), Some(5));
        assert_eq!(read(&[0x81, 0x80, 0x80, 0]), Some(1));
        assert_eq!(read(&[0xff; 9]), Some(u64::MAX));
        assert_eq!(read(&[0xff; 8]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn texts_come_in_five_encodings() {
        let read = |bytes: &[u8]| {
            Reader::new(bytes)
                .text()
                .map(|text| text.decode().into_owned())
        };
        assert_eq!(read(&[0]).unwrap(), "");
        assert_eq!(read(&[1]).unwrap(), "");
        assert_eq!(read(&[3, 2, 0xc3, 0xa9]).unwrap(), "é");
        assert_eq!(read(&[3, 1, 0xff]).unwrap(), "\u{fffd}");
        assert_eq!(read(&[4, 2, 0xe9, 1, b'x']).unwrap(), "éx");
        assert_eq!(read(&[5, 2, 0xe9, b'x']).unwrap(), "éx");
        assert!(matches!(Reader::new(&[2, 7]).text(), Ok(Text::Pooled(7))));
        for bad in [&[][..], &[6], &[3, 200, 1, b'x'], &[5, 3, 0]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
