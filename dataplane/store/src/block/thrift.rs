//! As much of Thrift's compact protocol as page headers are made of.

/// What is wrong with bytes.
pub(crate) type Malformed = &'static str;

/// Structs within structs are skipped up to this depth.
const MAX_DEPTH: usize = 8;

/// Bytes in the compact protocol.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    rest: &'a [u8],
    depth: usize,
}

/// A field of a struct; numbers are read, what else there is comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Bool,
    Byte,
    Number(i64),
    Double,
    Binary,
    List,
    Struct,
}

impl<'a> Compact<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            depth: 0,
        }
    }

    /// How many bytes have not been read.
    pub(crate) fn rest(&self) -> usize {
        self.rest.len()
    }

    /// Calls `each` with every field of a struct, which it must read or skip.
    pub(crate) fn fields(
        &mut self,
        mut each: impl FnMut(&mut Self, i64, Field) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                0 => self.number()?,
                delta => i64::wrapping_add(id, i64::from(delta)),
            };
            let field = self.field(byte & 0x0f)?;
            each(self, id, field)?;
        }
    }

    /// Skips a field that is not needed.
    pub(crate) fn skip(&mut self, field: Field) -> Result<(), Malformed> {
        match field {
            Field::Bool | Field::Number(_) => Ok(()),
            Field::Byte => self.take(1),
            Field::Double => self.take(8),
            Field::Binary => {
                let len = self.varint()?;
                self.take(usize::try_from(len).unwrap_or(usize::MAX))
            }
            Field::Struct => self.deeper(|this| this.fields(Self::skip_field)),
            Field::List => self.deeper(Self::skip_list),
        }
    }

    fn skip_field(&mut self, _: i64, field: Field) -> Result<(), Malformed> {
        self.skip(field)
    }

    fn skip_list(&mut self) -> Result<(), Malformed> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        for _ in 0..count {
            match head & 0x0f {
                // In lists, these take a byte.
                1 | 2 => self.take(1)?,
                kind => {
                    let field = self.field(kind)?;
                    self.skip(field)?;
                }
            }
        }
        Ok(())
    }

    fn deeper(
        &mut self,
        skip: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err("a page header is nested too deeply");
        }
        self.depth += 1;
        skip(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, kind: u8) -> Result<Field, Malformed> {
        Ok(match kind {
            1 | 2 => Field::Bool,
            3 => Field::Byte,
            4..=6 => Field::Number(self.number()?),
            7 => Field::Double,
            8 => Field::Binary,
            9 | 10 => Field::List,
            12 => Field::Struct,
            _ => return Err("a page header has a field of no known type"),
        })
    }

    fn number(&mut self) -> Result<i64, Malformed> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number in a page header is too long")
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self.rest.split_first().ok_or(CUT)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn take(&mut self, len: usize) -> Result<(), Malformed> {
        self.rest = self.rest.get(len..).ok_or(CUT)?;
        Ok(())
    }
}

const CUT: Malformed = "a page header is cut";
