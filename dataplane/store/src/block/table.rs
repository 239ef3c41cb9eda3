//! Files of a block that are read whole.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DataType};

use super::decode::{Chunk, Footer, Lists};
use super::error::Fault;
use super::limits::{Budget, Limits};
use super::meta::{FileMeta, sha256};

/// A Parquet file in memory.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    bytes: Bytes,
    footer: Footer,
    rows: usize,
    limits: Limits,
}

impl Table {
    /// Takes the bytes of a file, which must be those that were written.
    pub(crate) fn parse(meta: &FileMeta, bytes: Bytes, limits: Limits) -> Result<Self, Fault> {
        check(meta, &bytes)?;
        let start = u64::try_from(bytes.len()).ok();
        let start = start.and_then(|len| len.checked_sub(meta.footer_length));
        let start = start.ok_or_else(|| Fault::damaged("its footer is longer than the file"))?;
        let footer = Footer::parse(&bytes[start as usize..])?;
        let rows = (0..footer.groups()).map(|group| footer.rows(group));
        let rows = rows.fold(0, usize::saturating_add);
        if rows > limits.values || rows as u64 != meta.rows {
            return Err(Fault::damaged(format!(
                "it has {rows} rows, not {}",
                meta.rows
            )));
        }
        Ok(Self {
            bytes,
            footer,
            rows,
            limits,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Reads a column that has one value in each row.
    pub(crate) fn required<T: DataType>(&self, path: &str) -> Result<Vec<T::T>, Fault> {
        self.read(path, |chunk: &mut Chunk<T>, rows| chunk.required(rows))
    }

    /// Reads a column that has up to one value in each row.
    pub(crate) fn optional<T: DataType>(&self, path: &str) -> Result<Vec<Option<T::T>>, Fault> {
        self.read(path, |chunk: &mut Chunk<T>, rows| chunk.optional(rows))
    }

    /// Reads a column that has a list in each row.
    pub(crate) fn lists<T: DataType>(&self, path: &str) -> Result<Vec<Vec<T::T>>, Fault> {
        self.read(path, |chunk: &mut Chunk<T>, rows| {
            let lists: Lists<T::T> = chunk.lists(rows)?;
            Ok((0..rows).map(|row| lists.get(row).to_vec()).collect())
        })
    }

    /// Reads a column that has one text in each row.
    pub(crate) fn texts<V: for<'a> From<&'a str>>(&self, path: &str) -> Result<Vec<V>, Fault> {
        let mut budget = self.limits.bytes;
        let texts = self.required::<ByteArrayType>(path)?;
        let texts = texts
            .iter()
            .map(|bytes| text(bytes, &mut budget).map(V::from));
        texts.collect()
    }

    /// Reads a column that has a list of texts in each row.
    pub(crate) fn lists_of_texts(&self, path: &str) -> Result<Vec<Vec<Box<str>>>, Fault> {
        let mut budget = self.limits.bytes;
        let lists = self.lists::<ByteArrayType>(path)?;
        let lists = lists.iter().map(|list| {
            let texts = list.iter();
            texts
                .map(|bytes| text(bytes, &mut budget).map(Box::from))
                .collect()
        });
        lists.collect()
    }

    fn read<T: DataType, V>(
        &self,
        path: &str,
        mut read: impl FnMut(&mut Chunk<T>, usize) -> Result<Vec<V>, Fault>,
    ) -> Result<Vec<V>, Fault> {
        let column = self.footer.column(path)?;
        let mut values = Vec::with_capacity(self.rows);
        let budget = Budget::new(self.limits);
        for group in 0..self.footer.groups() {
            let range = self.footer.range(group, column)?;
            let range = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok())
                .filter(|(_, end)| *end <= self.bytes.len());
            let (start, end) = range.ok_or_else(|| Fault::damaged("a column is behind its end"))?;
            let bytes = self.bytes.slice(start..end);
            let mut chunk = self.footer.open::<T>(group, column, bytes, &budget)?;
            values.extend(read(&mut chunk, self.footer.rows(group))?);
        }
        Ok(values)
    }
}

/// Reads a text. Many may share their bytes in the file, but not once they are
/// read, hence the budget.
fn text<'a>(bytes: &'a ByteArray, budget: &mut usize) -> Result<&'a str, Fault> {
    let left = budget.checked_sub(bytes.len());
    *budget = left.ok_or_else(|| Fault::damaged("its texts are too long"))?;
    let text = str::from_utf8(bytes.data());
    text.map_err(|_| Fault::damaged("a text is not UTF-8"))
}

/// Compares a file with what `meta.json` says of it.
pub(crate) fn check(meta: &FileMeta, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() as u64 != meta.length {
        let len = bytes.len();
        return Err(Fault::damaged(format!(
            "it has {len} bytes, not {}",
            meta.length
        )));
    }
    match sha256(bytes) == meta.sha256 {
        true => Ok(()),
        false => Err(Fault::damaged("its SHA-256 is another one")),
    }
}

/// Makes a file that is written once.
pub(crate) fn create(directory: &Path, name: &str) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .open(directory.join(name))
}
