//! Reading profiles of a block: of the row groups that are needed the columns that
//! are needed.

use std::cell::RefCell;
use std::collections::HashMap;
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
    /// Column chunks that were read before they are needed, by row group and column.
    ahead: RefCell<HashMap<(usize, usize), Bytes>>,
}

/// How many bytes of row groups are read with one call, or one row group if that has
/// more.
const AHEAD: u64 = 8 << 20;

/// Columns of time and identity.
const NAMES: [&str; 2] = ["timestamp", "id"];

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
            ahead: RefCell::default(),
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

    /// Reads time and identity of the rows of spans.
    pub(crate) fn all_names(&self, spans: &[Span]) -> Result<Vec<Names>, BlockError> {
        let mut rest = spans;
        let mut names = Vec::with_capacity(spans.len());
        while !rest.is_empty() {
            let paths = |_: &Span| NAMES.map(str::to_owned).into();
            let (now, later) = rest.split_at(self.read_ahead(rest.iter(), paths)?);
            rest = later;
            for span in now {
                names.push(self.names(span)?);
            }
        }
        Ok(names)
    }

    /// Reads time and identity of rows.
    pub(crate) fn names(&self, span: &Span) -> Result<Names, BlockError> {
        let [timestamps, ids] = self.read(span, NAMES)?;
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
        let [totals] = self.read(span, [&total_path(column)])?;
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
        let mut chunks = self.fetch(span, &sample_paths(columns))?.into_iter();
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

    /// Reads columns of the first of some spans with one call, so that they are at
    /// hand when they are asked for. Returns of how many.
    pub(crate) fn read_ahead<'s>(
        &self,
        spans: impl Iterator<Item = &'s Span>,
        paths: impl Fn(&Span) -> Vec<String>,
    ) -> Result<usize, BlockError> {
        let (mut chunks, mut ranges) = (Vec::new(), Vec::new());
        let (mut count, mut bytes) = (0, 0_u64);
        for span in spans {
            let found = self.find(span, &paths(span));
            let found = found.map_err(|fault| self.fault(fault))?;
            let lengths = found.iter().map(|(_, range)| range.end - range.start);
            bytes = lengths.fold(bytes, u64::saturating_add);
            if count > 0 && bytes > AHEAD {
                break;
            }
            count += 1;
            for (column, range) in found {
                chunks.push((span.group, column));
                ranges.push(range);
            }
        }
        let read = self.block.read(PROFILES, &ranges)?;
        *self.ahead.borrow_mut() = chunks.into_iter().zip(read).collect();
        Ok(count)
    }

    /// Finds column chunks: number of the column, and where in the file it is.
    fn find(
        &self,
        span: &Span,
        paths: &[impl AsRef<str>],
    ) -> Result<Vec<(usize, Range<u64>)>, Fault> {
        let found = paths.iter().map(|path| {
            let column = self.footer.column(path.as_ref())?;
            Ok((column, self.footer.range(span.group, column)?))
        });
        found.collect()
    }

    /// Reads column chunks that were not read ahead, each with the number of its
    /// column.
    fn fetch(
        &self,
        span: &Span,
        paths: &[impl AsRef<str>],
    ) -> Result<Vec<(usize, Bytes)>, BlockError> {
        let found = self.find(span, paths).map_err(|fault| self.fault(fault))?;
        let mut ahead = self.ahead.borrow_mut();
        let at_hand = found
            .iter()
            .map(|(column, _)| ahead.remove(&(span.group, *column)));
        let at_hand: Option<Vec<Bytes>> = at_hand.collect();
        let (columns, ranges): (Vec<usize>, Vec<Range<u64>>) = found.into_iter().unzip();
        let bytes = match at_hand {
            Some(bytes) => bytes,
            None => self.block.read(PROFILES, &ranges)?,
        };
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

/// Names the columns of stacks, and of some columns of values.
pub(crate) fn sample_paths(columns: &[usize]) -> Vec<String> {
    let values = columns
        .iter()
        .flat_map(|column| [format!("unit_{column}"), profiles::values(*column)]);
    std::iter::once(profiles::STACKS.to_owned())
        .chain(values)
        .collect()
}

/// Names the column of the sums of a column of values.
pub(crate) fn total_path(column: usize) -> String {
    format!("total_{column}")
}
