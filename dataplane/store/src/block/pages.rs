//! Pages of a column chunk, with every size checked before anything is allocated.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use zstd::bulk::Decompressor;

use super::limits::Budget;
use super::thrift::{Compact, Field, Malformed};

/// Reads the pages of one column chunk: data pages of version 1 and dictionary
/// pages, compressed by zstd, which is all that [`encode`](super::encode) writes.
pub(crate) struct Pages {
    rest: Bytes,
    next: Option<Header>,
    decompressor: Decompressor<'static>,
    budget: Budget,
}

/// Fields of a page header that matter, as Parquet's `PageHeader` has them.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    is_dictionary: bool,
    uncompressed: usize,
    compressed: usize,
    values: u32,
    encoding: i64,
}

const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const RLE: i64 = 3;

impl Pages {
    pub(crate) fn new(chunk: Bytes, budget: Budget) -> Result<Self> {
        Ok(Self {
            rest: chunk,
            next: None,
            decompressor: Decompressor::new()?,
            budget,
        })
    }

    /// Reads the header of the next page, if there is one.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.next.is_none() && !self.rest.is_empty() {
            let (header, len) = Header::read(&self.rest).map_err(damaged)?;
            let _ = self.rest.split_to(len);
            if header.compressed > self.rest.len() {
                return Err(damaged("a page is longer than its column chunk"));
            }
            let spent = self
                .budget
                .spend(header.uncompressed, header.values as usize);
            spent.ok_or_else(|| damaged("a column is too large"))?;
            self.next = Some(header);
        }
        Ok(self.next)
    }

    fn page(&mut self, header: Header) -> Result<Page> {
        let compressed = self.rest.split_to(header.compressed);
        // Nothing is what nothing is compressed to.
        let plain = match header.uncompressed {
            0 => Vec::new(),
            len => {
                let plain = self.decompressor.decompress(&compressed, len);
                plain.map_err(|_| damaged("a page cannot be decompressed"))?
            }
        };
        if plain.len() != header.uncompressed {
            return Err(damaged("a page has another length than it says"));
        }
        let (buf, num_values) = (Bytes::from(plain), header.values);
        let encoding = encoding(header.encoding)?;
        Ok(match header.is_dictionary {
            true => Page::DictionaryPage {
                buf,
                num_values,
                encoding,
                is_sorted: false,
            },
            false => Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
        })
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(header) = self.header()? else {
            return Ok(None);
        };
        self.next = None;
        self.page(header).map(Some)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let header = self.header()?;
        Ok(header.map(|header| PageMetadata {
            num_rows: None,
            num_levels: (!header.is_dictionary).then_some(header.values as usize),
            is_dict: header.is_dictionary,
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if let Some(header) = self.header()? {
            self.next = None;
            let _ = self.rest.split_to(header.compressed);
        }
        Ok(())
    }
}

impl Header {
    /// Reads a header, and how long it is.
    fn read(bytes: &[u8]) -> std::result::Result<(Self, usize), Malformed> {
        let mut thrift = Compact::new(bytes);
        let mut header = Self::default();
        let mut kind = None;
        let mut has_values = false;
        thrift.fields(|thrift, id, field| {
            match (id, field) {
                (1, Field::Number(number)) => kind = Some(number),
                (2, Field::Number(number)) => header.uncompressed = size(number)?,
                (3, Field::Number(number)) => header.compressed = size(number)?,
                (5 | 7, Field::Struct) => {
                    has_values = true;
                    header.values(thrift)?;
                }
                (_, field) => thrift.skip(field)?,
            }
            Ok(())
        })?;
        header.is_dictionary = match kind {
            Some(DATA_PAGE) => false,
            Some(DICTIONARY_PAGE) => true,
            _ => return Err("a page is of a kind that blocks do not have"),
        };
        match has_values {
            true => Ok((header, bytes.len() - thrift.rest())),
            false => Err("a page does not say how much it has"),
        }
    }

    /// Reads the header of data and dictionary pages, which begin alike.
    fn values(&mut self, thrift: &mut Compact<'_>) -> std::result::Result<(), Malformed> {
        thrift.fields(|thrift, id, field| {
            match (id, field) {
                (1, Field::Number(number)) => self.values = size(number)? as u32,
                (2, Field::Number(number)) => self.encoding = number,
                (3 | 4, Field::Number(number)) if number != RLE => {
                    return Err("levels have an encoding that blocks do not have");
                }
                (_, field) => thrift.skip(field)?,
            }
            Ok(())
        })
    }
}

/// Reads a number that 31 bits are enough for.
fn size(number: i64) -> std::result::Result<usize, Malformed> {
    match i32::try_from(number).map(usize::try_from) {
        Ok(Ok(size)) => Ok(size),
        _ => Err("a page has a size that makes no sense"),
    }
}

fn encoding(number: i64) -> Result<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 | 8 => Encoding::RLE_DICTIONARY,
        5 => Encoding::DELTA_BINARY_PACKED,
        _ => return Err(damaged("a page has an encoding that blocks do not have")),
    })
}

fn damaged(reason: Malformed) -> ParquetError {
    ParquetError::General(reason.to_owned())
}
