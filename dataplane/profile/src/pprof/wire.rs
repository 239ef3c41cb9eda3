//! Reading the protobuf wire format without copying.

use prost::encoding::{DecodeContext, WireType, skip_field};

/// Why bytes are no pprof message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field is longer than the message that it is in.
    #[error("a field ends behind its message")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Varint,
    /// A field has a number or a wire type that does not exist.
    #[error("{0} is no key of a field")]
    Key(u64),
    /// A field of the format has another wire type than the format says.
    #[error("field {0} has the wrong wire type")]
    WireType(u32),
    /// A group does not end, ends twice, or is too deep.
    #[error("field {0} is a broken group")]
    Group(u32),
    /// An entry of the string table is not UTF-8.
    #[error("string {0} is not UTF-8")]
    Utf8(usize),
}

/// Takes fields off the front of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// Number and wire type of a field, as they are on the wire. What uses the field
/// checks the wire type: most fields are read without a second look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(u32);

const VARINT: u32 = WireType::Varint as u32;
const LENGTH_DELIMITED: u32 = WireType::LengthDelimited as u32;

impl Key {
    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0 >> 3
    }

    #[inline]
    fn is(self, wire_type: u32) -> Result<(), Malformed> {
        match self.0 & 7 == wire_type {
            true => Ok(()),
            false => Err(Malformed::WireType(self.number())),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the key of the next field; `None` at the end of the message.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Option<Key>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(short) if short >> 3 > 0 => Ok(Some(Key(short))),
            _ => Err(Malformed::Key(key)),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        match *self.rest {
            [one, ref rest @ ..] if one < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one))
            }
            [one, two, ref rest @ ..] if two < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one & 0x7f) | u64::from(two) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            // The tenth byte has room for the last of 64 bits.
            if at == 9 && *byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::Truncated)
    }

    #[inline]
    fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
        let (field, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(field)
    }

    /// Takes a field that is a number.
    #[inline]
    pub(super) fn number(&mut self, key: Key) -> Result<u64, Malformed> {
        key.is(VARINT)?;
        self.varint()
    }

    /// Takes a field that is a signed number.
    #[inline]
    pub(super) fn signed(&mut self, key: Key) -> Result<i64, Malformed> {
        // Two's complement, as the format says of `int64`.
        self.number(key).map(|number| number as i64)
    }

    /// Takes a field that is text or a message.
    #[inline]
    pub(super) fn bytes(&mut self, key: Key) -> Result<&'a [u8], Malformed> {
        key.is(LENGTH_DELIMITED)?;
        self.delimited()
    }

    /// Takes a repeated number, packed or not, and appends what it holds.
    #[inline]
    pub(super) fn numbers<T>(
        &mut self,
        key: Key,
        into: &mut Vec<T>,
        convert: impl Fn(u64) -> T,
    ) -> Result<(), Malformed> {
        if key.is(LENGTH_DELIMITED).is_err() {
            into.push(convert(self.number(key)?));
            return Ok(());
        }
        let mut packed = Reader::new(self.delimited()?);
        while !packed.rest.is_empty() {
            into.push(convert(packed.varint()?));
        }
        Ok(())
    }

    /// Passes over a field that the format does not know.
    pub(super) fn skip(&mut self, key: Key) -> Result<(), Malformed> {
        let wire_type = WireType::try_from(u64::from(key.0 & 7))
            .map_err(|_| Malformed::Key(u64::from(key.0)))?;
        let number = key.number();
        let skipped = skip_field(wire_type, number, &mut self.rest, DecodeContext::default());
        skipped.map_err(|_| match wire_type {
            WireType::StartGroup | WireType::EndGroup => Malformed::Group(number),
            _ => Malformed::Truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::encoding::{decode_varint, encode_varint};

    #[test]
    fn varints_are_read_as_prost_reads_them() {
        let mut inputs: Vec<Vec<u8>> = (0..64)
            .flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX << bit])
            .map(|number| {
                let mut bytes = Vec::new();
                encode_varint(number, &mut bytes);
                bytes
            })
            .collect();
        inputs.extend((0..12).map(|len| vec![0xff; len]));
        inputs.extend((0..12).map(|len| [vec![0x80; len], vec![2]].concat()));
        for bytes in inputs {
            let mut reader = Reader::new(&bytes);
            let mut rest = &bytes[..];
            let want = decode_varint(&mut rest);
            assert_eq!(reader.varint().ok(), want.ok(), "{bytes:x?}");
        }
    }
}
