//! Writing the Parquet files of a block.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use sha2::{Digest as _, Sha256};

use super::error::Fault;
use super::meta::{FileMeta, hexadecimal};

/// Where a file says what the checksums of its column chunks are: CRC-32, eight
/// hexadecimal digits each, by row group and column.
pub(crate) const CHECKSUMS: &str = "chunk_crc32";

/// Makes smaller what is written once and read often.
const LEVEL: i32 = 6;

/// Length of the end of a file: four bytes of the footer's length and the magic.
const FOOTER_END: usize = 8;

/// A Parquet file that is being written.
pub(crate) struct Encoder<W: Write + Send> {
    writer: SerializedFileWriter<Output<W>>,
    rows: u64,
    checksums: String,
}

/// A row group that is being written, column by column.
pub(crate) struct Group<'a, W: Write + Send> {
    writer: SerializedRowGroupWriter<'a, Output<W>>,
}

/// Definition and repetition levels.
pub(crate) type Levels<'a> = (Option<&'a [i16]>, Option<&'a [i16]>);

/// Those of a column that every row has one value of.
pub(crate) const REQUIRED: Levels<'static> = (None, None);

/// Passes bytes on and sums them up.
struct Output<W> {
    inner: W,
    sha256: Sha256,
    /// Bytes since the end of the row group before.
    recent: Vec<u8>,
    /// Where those begin.
    at: u64,
}

/// Returns how columns are written unless it is said otherwise: differences between
/// numbers, compressed by zstd, with statistics of row groups and pages.
pub(crate) fn properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(LEVEL).expect("the level is one of zstd");
    WriterProperties::builder()
        .set_created_by("pyroscope".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED)
}

/// Has some columns written as they are, and without statistics: those of texts and
/// flags.
pub(crate) fn with_plain(
    properties: WriterPropertiesBuilder,
    columns: &[&str],
) -> WriterPropertiesBuilder {
    columns.iter().fold(properties, |properties, column| {
        let column = column_path(column);
        let properties =
            properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::None);
        properties.set_column_encoding(column, Encoding::PLAIN)
    })
}

/// Returns the path of a column whose names are joined by dots.
pub(crate) fn column_path(names: &str) -> ColumnPath {
    ColumnPath::new(names.split('.').map(str::to_owned).collect())
}

impl<W: Write + Send> Encoder<W> {
    pub(crate) fn new(
        file: W,
        schema: &str,
        properties: WriterProperties,
    ) -> std::result::Result<Self, Fault> {
        let schema = parse_message_type(schema)?;
        let output = Output {
            inner: file,
            sha256: Sha256::new(),
            recent: Vec::new(),
            at: 0,
        };
        let writer = SerializedFileWriter::new(output, Arc::new(schema), Arc::new(properties))?;
        Ok(Self {
            writer,
            rows: 0,
            checksums: String::new(),
        })
    }

    /// Writes a row group, of which `write` writes every column.
    pub(crate) fn group(
        &mut self,
        write: impl FnOnce(&mut Group<'_, W>) -> Result<()>,
    ) -> std::result::Result<(), Fault> {
        let written = {
            let writer = self.writer.next_row_group()?;
            let mut group = Group { writer };
            write(&mut group)?;
            group.writer.close()?
        };
        self.rows += written.num_rows().unsigned_abs();
        self.writer.flush()?;
        let output = self.writer.inner_mut();
        for column in written.columns() {
            let (start, len) = column.byte_range();
            // It is within the row group, whose bytes are at hand.
            let start = (start - output.at) as usize;
            let bytes = &output.recent[start..start + len as usize];
            self.checksums
                .push_str(&format!("{:08x}", crc32fast::hash(bytes)));
        }
        output.forget_recent();
        Ok(())
    }

    /// Ends the file, which `sync` makes durable, and says what was written.
    pub(crate) fn finish(
        mut self,
        name: &str,
        sync: impl FnOnce(&mut W) -> io::Result<()>,
    ) -> std::result::Result<FileMeta, Fault> {
        let checksums = KeyValue::new(CHECKSUMS.to_owned(), std::mem::take(&mut self.checksums));
        self.writer.append_key_value_metadata(checksums);
        self.writer.finish()?;
        let output = self.writer.inner_mut();
        sync(&mut output.inner)?;
        let footer = footer(&output.recent)?;
        Ok(FileMeta {
            name: name.to_owned(),
            length: output.at + output.recent.len() as u64,
            sha256: hexadecimal(&output.sha256.clone().finalize()),
            rows: self.rows,
            footer_length: footer.len() as u64,
            footer_crc32: crc32fast::hash(footer),
        })
    }
}

/// Returns the footer at the end of a file, with the eight bytes that say how long
/// it is.
fn footer(file: &[u8]) -> std::result::Result<&[u8], Fault> {
    let end = file.len().checked_sub(FOOTER_END);
    let len = end.and_then(|end| file[end..].first_chunk());
    let len = len.map(|len| u32::from_le_bytes(*len) as usize + FOOTER_END);
    let start = len.and_then(|len| file.len().checked_sub(len));
    let start = start.ok_or_else(|| Fault::damaged("it was written without a footer"))?;
    Ok(&file[start..])
}

impl<W: Write + Send> Group<'_, W> {
    /// Writes the next column of the schema.
    pub(crate) fn column<T: DataType>(
        &mut self,
        values: &[T::T],
        levels: Levels<'_>,
    ) -> Result<()> {
        let column = self.writer.next_column()?;
        let mut column =
            column.ok_or_else(|| ParquetError::General("there is no such column".to_owned()))?;
        column
            .typed::<T>()
            .write_batch(values, levels.0, levels.1)?;
        column.close()
    }
}

impl<W> Output<W> {
    fn forget_recent(&mut self) {
        self.at += self.recent.len() as u64;
        self.recent.clear();
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..len]);
        self.recent.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
