//! A block that is open to be read.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use profile::{Labels, ProfileType};

use super::decode::Footer;
use super::error::{BlockError, Fault};
use super::files::Files;
use super::limits::Limits;
use super::meta::{FileMeta, MAX_META_BYTES, META, Meta};
use super::profiles::PROFILES;
use super::series::{self, Placed, SERIES};
use super::symbols;
use super::table::Table;
use crate::head::SymbolView;
use crate::query::TimeRange;

/// A block. Opening it reads `meta.json` and the series; symbols, and what there is
/// to know of profiles, are read when they are needed first.
#[derive(Debug)]
pub struct Block {
    meta: Meta,
    files: Box<dyn Files>,
    limits: Limits,
    pub(crate) sources: Vec<Placed>,
    footer: OnceLock<Arc<Footer>>,
    symbols: OnceLock<Arc<SymbolView>>,
    bytes_read: AtomicU64,
}

impl Block {
    /// Opens the block of a name.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is none that this program knows.
    pub fn open(
        name: &str,
        files: impl Files + 'static,
        limits: Limits,
    ) -> Result<Self, BlockError> {
        let fault = |fault: Fault| fault.of(name, META);
        let length = files.length(META).map_err(|error| fault(error.into()))?;
        if length > MAX_META_BYTES {
            return Err(fault(Fault::damaged(format!("it has {length} bytes"))));
        }
        let bytes = files.read(META, std::slice::from_ref(&(0..length)));
        let bytes = bytes.map_err(|error| fault(read_fault(error)))?;
        let meta = Meta::decode(name, &bytes.concat())?;
        let block = Self::open_known(meta, files, limits)?;
        block.bytes_read.fetch_add(length, Ordering::Relaxed);
        Ok(block)
    }

    /// Opens a block whose `meta.json` is known.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn open_known(
        meta: Meta,
        files: impl Files + 'static,
        limits: Limits,
    ) -> Result<Self, BlockError> {
        let mut block = Self {
            meta,
            files: Box::new(files),
            limits,
            sources: Vec::new(),
            footer: OnceLock::new(),
            symbols: OnceLock::new(),
            bytes_read: AtomicU64::new(0),
        };
        let profiles = block.file(PROFILES)?.rows;
        let sources = series::read(&block.table(SERIES)?, profiles);
        block.sources = sources.map_err(|fault| block.fault(SERIES, fault))?;
        Ok(block)
    }

    /// What `meta.json` says.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Iterates over the series that may have profiles within a range: labels and
    /// types, those of several sources more than once. It is known of each when its
    /// first and last profile are from, and not whether one of a counter says more
    /// than that others can be compared with it.
    pub fn series(&self, range: TimeRange) -> impl Iterator<Item = (&Labels, &ProfileType)> {
        let sources = self.sources.iter();
        let within = sources.filter(move |placed| {
            let (first, last) = placed.times;
            first <= range.end && range.start <= last
        });
        let columns = within.flat_map(|placed| &placed.source.columns);
        columns.map(|column| (&column.labels, &column.profile_type))
    }

    /// How many bytes of its files were read since it was opened, `meta.json`
    /// included.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn fault(&self, file: &str, fault: Fault) -> BlockError {
        fault.of(self.meta.id(), file)
    }

    fn file(&self, name: &str) -> Result<&FileMeta, BlockError> {
        let missing = || self.fault(META, Fault::damaged(format!("it does not list {name}")));
        self.meta.file(name).ok_or_else(missing)
    }

    pub(crate) fn length(&self, name: &str) -> Result<u64, Fault> {
        Ok(self.files.length(name)?)
    }

    /// Reads ranges of a file.
    pub(crate) fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, BlockError> {
        let lengths = ranges
            .iter()
            .map(|range| range.end.saturating_sub(range.start));
        let length = lengths.fold(0, u64::saturating_add);
        if length > self.limits.bytes as u64 {
            let reason = format!("{length} bytes of it would be read at once");
            return Err(self.fault(name, Fault::damaged(reason)));
        }
        let read = self.files.read(name, ranges);
        let read = read.map_err(|error| self.fault(name, read_fault(error)))?;
        self.bytes_read.fetch_add(length, Ordering::Relaxed);
        Ok(read)
    }

    /// Reads a whole file and compares it with what was written.
    fn table(&self, name: &str) -> Result<Table, BlockError> {
        let meta = self.file(name)?;
        let bytes = self.read(name, std::slice::from_ref(&(0..meta.length)))?;
        let bytes = bytes.into_iter().next().unwrap_or_default();
        Table::parse(meta, bytes, self.limits).map_err(|fault| self.fault(name, fault))
    }

    /// The symbols of all stacks.
    pub(crate) fn symbols(&self) -> Result<Arc<SymbolView>, BlockError> {
        if let Some(symbols) = self.symbols.get() {
            return Ok(Arc::clone(symbols));
        }
        let open = |name| self.table(name);
        let symbols = symbols::read(open, |name, fault| self.fault(name, fault))?;
        Ok(Arc::clone(self.symbols.get_or_init(|| Arc::new(symbols))))
    }

    /// What `profiles.parquet` says of its row groups.
    pub(crate) fn footer(&self) -> Result<Arc<Footer>, BlockError> {
        if let Some(footer) = self.footer.get() {
            return Ok(Arc::clone(footer));
        }
        let footer = self.read_footer()?;
        Ok(Arc::clone(self.footer.get_or_init(|| Arc::new(footer))))
    }
}

impl Block {
    fn read_footer(&self) -> Result<Footer, BlockError> {
        let fault = |fault| self.fault(PROFILES, fault);
        let meta = self.file(PROFILES)?;
        if meta.rows > self.limits.values as u64 {
            let reason = format!("it has {} rows", meta.rows);
            return Err(fault(Fault::damaged(reason)));
        }
        let start = meta.length.checked_sub(meta.footer_length);
        let start = start.ok_or_else(|| fault(Fault::damaged("its footer is longer than it")))?;
        let bytes = self.read(PROFILES, std::slice::from_ref(&(start..meta.length)))?;
        let bytes = bytes.into_iter().next().unwrap_or_default();
        if crc32fast::hash(&bytes) != meta.footer_crc32 {
            return Err(fault(Fault::damaged("its footer has another checksum")));
        }
        let footer = Footer::parse(&bytes).map_err(fault)?;
        let rows = (0..footer.groups()).map(|group| footer.rows(group) as u64);
        match rows.fold(0, u64::saturating_add) == meta.rows {
            true => Ok(footer),
            false => Err(fault(Fault::damaged("its row groups have other rows"))),
        }
    }
}

/// That a file ends early is no fault of the store.
fn read_fault(error: std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Fault::damaged("it is shorter than it was written"),
        _ => error.into(),
    }
}
