//! Reading profiles of a block: of the row groups that are needed the columns that
//! are needed.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::{FixedLenByteArrayType, Int32Type, Int64Type};

use super::decode::{Chunk, Footer, Lists};
use super::error::{BlockError, Fault};
use super::limits::Budget;
use super::profiles::{self, PROFILES};
use super::reader::Block;

/// The row groups of `profiles.parquet`.
#[derive(Debug)]
pub(crate) struct RowGroups<'a> {
    block: &'a Block,
    footer: Arc<Footer>,
    /// Where each row group begins, and where the last ends.
    starts: Vec<u64>,
}

/// Some of the rows of one row group, side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    group: usize,
    /// Number of the first row in the block.
    pub(crate) first: u64,
    /// How many rows of the row group come before.
    skip: usize,
    pub(crate) rows: usize,
}

/// Time and identity of the rows of a span.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) first: u64,
    pub(crate) names: Vec<(i64, [u8; 16])>,
}

/// Stacks of the rows of a span, as files number them.
#[derive(Clone, Debug)]
pub(crate) struct Stacks(pub(crate) Lists<i32>);

/// One column of values of the rows of a span.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    units: Vec<Option<i64>>,
    multiples: Lists<i64>,
}

impl Values {
    /// Iterates over the values of a row.
    pub(crate) fn of(&self, row: usize) -> impl Iterator<Item = i64> {
        let unit = self.units[row].unwrap_or(0);
        let multiples = self.multiples.get(row).iter();
        multiples.map(move |multiple| multiple.saturating_mul(unit))
    }

    pub(crate) fn count(&self, row: usize) -> usize {
        self.multiples.get(row).len()
    }
}

impl<'a> RowGroups<'a> {
    pub(crate) fn of(block: &'a Block) -> Result<Self, BlockError> {
        let footer = block.footer()?;
        let mut starts = vec![0];
        for group in 0..footer.groups() {
            // The sum of all is the number of rows, which fits.
            starts.push(starts[group] + footer.rows(group) as u64);
        }
        Ok(Self {
            block,
            footer,
            starts,
        })
    }

    /// Returns one span of each row group that has any of some rows, in order:
    /// from the first to the last that it has.
    pub(crate) fn spans(&self, rows: impl IntoIterator<Item = Range<u64>>) -> Vec<Span> {
        let mut needed: Vec<Option<Range<u64>>> = vec![None; self.footer.groups()];
        for rows in rows.into_iter().filter(|rows| !rows.is_empty()) {
            let first = self.starts.partition_point(|start| *start <= rows.start) - 1;
            let groups = self.starts.windows(2).enumerate().skip(first);
            for (group, bounds) in groups.take_while(|(_, bounds)| bounds[0] < rows.end) {
                let part = rows.start.max(bounds[0])..rows.end.min(bounds[1]);
                let span = needed[group].get_or_insert_with(|| part.clone());
                *span = span.start.min(part.start)..span.end.max(part.end);
            }
        }
        let needed = needed.into_iter().enumerate();
        let span = |(group, rows): (usize, Option<Range<u64>>)| {
            let rows = rows.filter(|rows| !rows.is_empty())?;
            Some(Span {
                group,
                first: rows.start,
                skip: (rows.start - self.starts[group]) as usize,
                rows: (rows.end - rows.start) as usize,
            })
        };
        needed.filter_map(span).collect()
    }

    pub(crate) fn fault(&self, fault: Fault) -> BlockError {
        self.block.fault(PROFILES, fault)
    }

    /// Reads time and identity of rows.
    pub(crate) fn names(&self, span: &Span) -> Result<Names, BlockError> {
        let [timestamps, ids] = self.read(span, ["timestamp", "id"])?;
        let read = || {
            let mut chunk: Chunk<Int64Type> = self.open(span, timestamps)?;
            let timestamps = chunk.required(span.rows)?;
            let mut chunk: Chunk<FixedLenByteArrayType> = self.open(span, ids)?;
            let ids = chunk.required(span.rows)?;
            let names = timestamps.into_iter().zip(&ids).map(|(timestamp, id)| {
                let id = id.data().try_into();
                let id = id.map_err(|_| Fault::damaged("an identity has not 16 bytes"))?;
                Ok((timestamp, id))
            });
            let names: Result<_, Fault> = names.collect();
            Ok(Names {
                first: span.first,
                names: names?,
            })
        };
        read().map_err(|fault| self.fault(fault))
    }

    /// Reads the sources of rows.
    pub(crate) fn sources(&self, span: &Span) -> Result<Vec<i32>, BlockError> {
        let [sources] = self.read(span, ["source"])?;
        let read = || self.open::<Int32Type>(span, sources)?.required(span.rows);
        read().map_err(|fault| self.fault(fault))
    }

    /// Reads the sums of a column of values.
    pub(crate) fn totals(&self, span: &Span, column: usize) -> Result<Vec<i64>, BlockError> {
        let [totals] = self.read(span, [&format!("total_{column}")])?;
        let read = || {
            let totals = self.open::<Int64Type>(span, totals)?.optional(span.rows)?;
            Ok(totals.into_iter().map(Option::unwrap_or_default).collect())
        };
        read().map_err(|fault| self.fault(fault))
    }

    /// Reads the stacks of rows, and some of their columns of values.
    pub(crate) fn samples(
        &self,
        span: &Span,
        columns: &[usize],
    ) -> Result<(Stacks, Vec<Values>), BlockError> {
        let mut paths = vec![profiles::STACKS.to_owned()];
        for column in columns {
            paths.push(format!("unit_{column}"));
            paths.push(profiles::values(*column));
        }
        let mut chunks = self.fetch(span, &paths)?.into_iter();
        let mut next = || {
            chunks
                .next()
                .ok_or_else(|| Fault::damaged("a column is missing"))
        };
        let mut read = || {
            let stacks = self.open::<Int32Type>(span, next()?)?.lists(span.rows)?;
            let values = columns.iter().map(|_| {
                let units = self.open::<Int64Type>(span, next()?)?.optional(span.rows)?;
                let multiples = self.open::<Int64Type>(span, next()?)?.lists(span.rows)?;
                Ok(Values { units, multiples })
            });
            let values: Result<_, Fault> = values.collect();
            Ok((Stacks(stacks), values?))
        };
        read().map_err(|fault| self.fault(fault))
    }

    fn read<const N: usize>(
        &self,
        span: &Span,
        paths: [&str; N],
    ) -> Result<[(usize, Bytes); N], BlockError> {
        let fetched = self.fetch(span, &paths)?;
        let fewer = |_| self.fault(Fault::damaged("a column is missing"));
        fetched.try_into().map_err(fewer)
    }

    /// Reads column chunks, each with the number of its column.
    fn fetch(
        &self,
        span: &Span,
        paths: &[impl AsRef<str>],
    ) -> Result<Vec<(usize, Bytes)>, BlockError> {
        let fault = |fault| self.fault(fault);
        let columns = paths.iter().map(|path| self.footer.column(path.as_ref()));
        let columns: Vec<usize> = columns.collect::<Result<_, _>>().map_err(fault)?;
        let ranges = columns
            .iter()
            .map(|column| self.footer.range(span.group, *column));
        let ranges: Vec<Range<u64>> = ranges.collect::<Result<_, _>>().map_err(fault)?;
        let bytes = self.block.read(PROFILES, &ranges)?;
        Ok(columns.into_iter().zip(bytes).collect())
    }

    fn open<T: parquet::data_type::DataType>(
        &self,
        span: &Span,
        (column, bytes): (usize, Bytes),
    ) -> Result<Chunk<T>, Fault> {
        let budget = Budget::new(self.block.limits());
        let mut chunk = self.footer.open(span.group, column, bytes, &budget)?;
        chunk.skip(span.skip)?;
        Ok(chunk)
    }
}
