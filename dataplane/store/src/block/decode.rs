//! Reading the Parquet files of a block.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::DataType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::ColumnDescriptor;

use super::encode::CHECKSUMS;
use super::error::Fault;
use super::limits::Budget;
use super::pages::Pages;

/// Length of the end of a file: four bytes of the footer's length and the magic.
const FOOTER_END: usize = 8;

/// What a file says of its row groups.
#[derive(Clone, Debug)]
pub(crate) struct Footer {
    metadata: Arc<ParquetMetaData>,
    /// CRC-32 of the column chunks, by row group and column.
    checksums: Vec<u32>,
}

/// A list of values for each of some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists<T> {
    /// Where each list ends.
    ends: Vec<usize>,
    values: Vec<T>,
}

impl<T> Lists<T> {
    pub(crate) fn get(&self, row: usize) -> &[T] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start..self.ends[row]]
    }
}

/// Values of a column, and their levels.
struct Leveled<V> {
    values: Vec<V>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Footer {
    /// Reads the footer of a file with the eight bytes that end it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let len = bytes.len().checked_sub(FOOTER_END);
        let len = len.ok_or_else(|| Fault::damaged("its footer is cut"))?;
        if &bytes[len + 4..] != b"PAR1" {
            return Err(Fault::damaged("it does not end as Parquet does"));
        }
        let metadata = guarded(|| ParquetMetaDataReader::decode_metadata(&bytes[..len]))?;
        let pairs = metadata.file_metadata().key_value_metadata();
        let checksums = pairs.into_iter().flatten();
        let checksums = checksums.filter(|pair| pair.key == CHECKSUMS);
        let checksums = checksums.filter_map(|pair| pair.value.as_deref()).next();
        let checksums = parse_checksums(checksums.unwrap_or_default())
            .ok_or_else(|| Fault::damaged("its checksums are no hexadecimal numbers"))?;
        let chunks: usize = metadata.row_groups().iter().map(|g| g.num_columns()).sum();
        if checksums.len() != chunks {
            return Err(Fault::damaged(
                "it does not have a checksum for each column",
            ));
        }
        if metadata
            .row_groups()
            .iter()
            .any(|group| group.num_rows() < 0)
        {
            return Err(Fault::damaged("a row group has less than no rows"));
        }
        Ok(Self {
            metadata: Arc::new(metadata),
            checksums,
        })
    }

    pub(crate) fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Number of rows of a row group.
    pub(crate) fn rows(&self, group: usize) -> usize {
        self.metadata.row_group(group).num_rows() as usize
    }

    /// Finds a column by the names on the way to it, joined by dots.
    pub(crate) fn column(&self, path: &str) -> Result<usize, Fault> {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        let found = columns
            .iter()
            .position(|column| column.path().string() == path);
        found.ok_or_else(|| Fault::damaged(format!("it has no column {path}")))
    }

    /// Where the bytes of a column chunk are in the file.
    pub(crate) fn range(&self, group: usize, column: usize) -> Result<Range<u64>, Fault> {
        let chunk = self.chunk(group, column);
        let start = chunk
            .dictionary_page_offset()
            .unwrap_or_else(|| chunk.data_page_offset());
        let start = u64::try_from(start).ok();
        let len = u64::try_from(chunk.compressed_size()).ok();
        let end = start
            .zip(len)
            .and_then(|(start, len)| start.checked_add(len));
        let range = start.zip(end).map(|(start, end)| start..end);
        range.ok_or_else(|| Fault::damaged("a column chunk is nowhere"))
    }

    fn chunk(&self, group: usize, column: usize) -> &ColumnChunkMetaData {
        self.metadata.row_group(group).column(column)
    }

    /// Opens a column chunk whose bytes were read.
    pub(crate) fn open<T: DataType>(
        &self,
        group: usize,
        column: usize,
        bytes: Bytes,
        budget: &Budget,
    ) -> Result<Chunk<T>, Fault> {
        let chunk = self.chunk(group, column);
        let before: usize = self.metadata.row_groups()[..group]
            .iter()
            .map(|group| group.num_columns())
            .sum();
        if self.checksums[before + column] != crc32fast::hash(&bytes) {
            let path = chunk.column_path().string();
            return Err(Fault::damaged(format!(
                "row group {group} of column {path} has another checksum"
            )));
        }
        let descriptor = chunk.column_descr_ptr();
        if descriptor.physical_type() != T::get_physical_type() {
            return Err(type_fault(&descriptor));
        }
        let pages = Box::new(Pages::new(bytes, budget.clone())?);
        Ok(Chunk {
            definition: descriptor.max_def_level(),
            repetition: descriptor.max_rep_level(),
            reader: get_typed_column_reader(get_column_reader(descriptor, pages)),
            max_rows: budget.limits().values,
        })
    }
}

/// Runs a decoder of the library. What it does with lengths and offsets that make no
/// sense is not always an error; where it panics, its state is given up with the file.
fn guarded<T>(decode: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(decoded) => Ok(decoded?),
        Err(_) => Err(Fault::damaged("it cannot be decoded")),
    }
}

fn type_fault(column: &ColumnDescriptor) -> Fault {
    let path = column.path().string();
    Fault::damaged(format!("column {path} has another type than in a block"))
}

fn parse_checksums(text: &str) -> Option<Vec<u32>> {
    let (digits, []) = text.as_bytes().as_chunks::<8>() else {
        return None;
    };
    let digits = digits.iter().map(|digits| str::from_utf8(digits).ok());
    digits
        .map(|digits| u32::from_str_radix(digits?, 16).ok())
        .collect()
}

/// A column chunk that is being read.
pub(crate) struct Chunk<T: DataType> {
    reader: ColumnReaderImpl<T>,
    definition: i16,
    repetition: i16,
    max_rows: usize,
}

impl<T: DataType> Chunk<T> {
    /// Skips rows.
    pub(crate) fn skip(&mut self, rows: usize) -> Result<(), Fault> {
        match guarded(|| self.reader.skip_records(rows))? == rows {
            true => Ok(()),
            false => Err(Fault::damaged("a column has fewer rows than its row group")),
        }
    }

    /// Reads rows of a column that has one value in each.
    pub(crate) fn required(&mut self, rows: usize) -> Result<Vec<T::T>, Fault> {
        self.expect(0, 0)?;
        Ok(self.read(rows)?.values)
    }

    /// Reads rows of a column that has up to one value in each.
    pub(crate) fn optional(&mut self, rows: usize) -> Result<Vec<Option<T::T>>, Fault> {
        self.expect(1, 0)?;
        let read = self.read(rows)?;
        let mut values = read.values.into_iter();
        let value = |level| match level {
            0 => None,
            _ => values.next(),
        };
        Ok(read.definition.into_iter().map(value).collect())
    }

    /// Reads rows of a column that has a list in each, which is empty where there is
    /// none. A list is optional if the column says so.
    pub(crate) fn lists(&mut self, rows: usize) -> Result<Lists<T::T>, Fault> {
        self.expect(self.definition.clamp(1, 2), 1)?;
        let read = self.read(rows)?;
        let mut ends = Vec::with_capacity(rows);
        let mut end = 0;
        let levels = read.definition.iter().zip(&read.repetition);
        for (at, (definition, repetition)) in levels.enumerate() {
            if *repetition == 0 && at > 0 {
                ends.push(end);
            }
            end += usize::from(*definition == self.definition);
        }
        if !read.definition.is_empty() {
            ends.push(end);
        }
        if ends.len() != rows || end != read.values.len() {
            return Err(Fault::damaged("lists do not fit their levels"));
        }
        Ok(Lists {
            ends,
            values: read.values,
        })
    }

    fn expect(&self, definition: i16, repetition: i16) -> Result<(), Fault> {
        match (self.definition, self.repetition) == (definition, repetition) {
            true => Ok(()),
            false => Err(Fault::damaged("a column is nested in another way")),
        }
    }

    fn read(&mut self, rows: usize) -> Result<Leveled<T::T>, Fault> {
        if rows > self.max_rows {
            return Err(Fault::damaged("a row group has too many rows"));
        }
        let mut read = Leveled {
            values: Vec::new(),
            definition: Vec::new(),
            repetition: Vec::new(),
        };
        let (records, ..) = guarded(|| {
            self.reader.read_records(
                rows,
                Some(&mut read.definition),
                Some(&mut read.repetition),
                &mut read.values,
            )
        })?;
        match records == rows {
            true => Ok(read),
            false => Err(Fault::damaged("a column has fewer rows than its row group")),
        }
    }
}
