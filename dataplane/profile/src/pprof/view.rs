//! A pprof in flat tables, read in one pass over its bytes.

use std::borrow::Cow;
use std::ops::Range;

use proto::google::v1::{Label, ValueType};

use super::{PprofError, encode, inflate, normalise, walk};
use crate::Profile;

/// A pprof whose texts are slices of its decompressed bytes and whose lists are
/// ranges of flat tables. Reading another one into it reuses all buffers.
///
/// Memory is bounded by about twenty times the largest size that
/// [`View::decode`] was called with, whatever the input.
#[derive(Debug, Default)]
pub struct View {
    pub(super) plain: Vec<u8>,
    pub(super) header: Header,
    pub(super) sample_types: Vec<ValueType>,
    pub(super) comments: Vec<i64>,
    pub(super) strings: Vec<Span>,
    pub(super) samples: Vec<Row>,
    /// Locations of all samples, by id.
    pub(super) location_ids: Vec<u64>,
    pub(super) values: Vec<i64>,
    pub(super) labels: Vec<Label>,
    pub(super) locations: Vec<Location>,
    pub(super) lines: Vec<Line>,
    pub(super) functions: Vec<Function>,
    pub(super) mappings: Vec<Mapping>,
    /// Locations of all samples, by position, once normalised.
    pub(super) stacks: Vec<u32>,
    pub(super) form: Form,
}

/// Fields of a profile that occur once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    pub(super) period_type: Option<ValueType>,
    pub(super) drop_frames: i64,
    pub(super) keep_frames: i64,
    pub(super) time_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) period: i64,
    pub(super) default_sample_type: i64,
}

/// What has been done to a view since it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    AsRead,
    Normal {
        /// Whether something was too long for the limits.
        cut: bool,
        /// Texts are cut to this length when they are copied out.
        symbol_bytes: usize,
    },
}

/// A range of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn len(self) -> usize {
        self.range().len()
    }
}

/// A sample as ranges of the tables.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) stack: Span,
    pub(super) values: Span,
    pub(super) labels: Span,
}

/// A place in the code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Location {
    /// Position of its mapping, once normalised.
    pub mapping: Option<u32>,
    /// Address of the instruction.
    pub address: u64,
    /// Whether several addresses were folded into one.
    pub is_folded: bool,
    pub(super) id: u64,
    pub(super) mapping_id: u64,
    pub(super) lines: Span,
}

/// A line of source in a location.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// Position of its function, once normalised.
    pub function: u32,
    /// Line number.
    pub line: i64,
    pub(super) function_id: u64,
}

/// A function; texts are indexes into the string table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Function {
    /// Name for people.
    pub name: i64,
    /// Name for the linker.
    pub system_name: i64,
    /// Source file.
    pub filename: i64,
    /// First line.
    pub start_line: i64,
    pub(super) id: u64,
}

/// A mapped binary; texts are indexes into the string table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mapping {
    /// Where it starts in memory.
    pub memory_start: u64,
    /// Where it ends in memory.
    pub memory_limit: u64,
    /// Where the part that is mapped starts in the file.
    pub file_offset: u64,
    /// The file.
    pub filename: i64,
    /// What tells builds of the file apart.
    pub build_id: i64,
    /// Whether the functions are known.
    pub has_functions: bool,
    /// Whether the source files are known.
    pub has_filenames: bool,
    /// Whether the lines are known.
    pub has_line_numbers: bool,
    /// Whether inlined calls are known.
    pub has_inline_frames: bool,
    pub(super) id: u64,
}

/// A normalised sample.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'v> {
    /// Positions of its locations, leaf first.
    pub stack: &'v [u32],
    /// One value per sample type; none is negative, one is not 0.
    pub values: &'v [i64],
    pub(super) labels: &'v [Label],
}

impl View {
    /// Replaces the content by a pprof, gzip or plain, of at most `max_bytes`
    /// uncompressed.
    ///
    /// # Errors
    /// A profile that is too large, or bytes that are broken; strings that are
    /// not UTF-8 are. Then the view has no meaning until it is read again.
    pub fn decode(&mut self, raw: &[u8], max_bytes: usize) -> Result<(), PprofError> {
        // Positions have 32 bits.
        let max_bytes = max_bytes.min(u32::MAX as usize);
        let mut plain = std::mem::take(&mut self.plain);
        let read = inflate::inflate(raw, max_bytes, &mut plain);
        let read = read.and_then(|()| walk::walk(&plain, max_bytes, self));
        self.plain = plain;
        read
    }

    /// Reads a profile that was built here.
    ///
    /// # Errors
    /// It is longer than 4 GiB.
    pub fn of(profile: &Profile) -> Result<Self, PprofError> {
        let mut view = Self::default();
        view.decode(&encode(profile), usize::MAX)?;
        Ok(view)
    }

    /// Forgets the content and keeps the buffers.
    pub(super) fn clear(&mut self) {
        let Self {
            plain: _,
            header,
            sample_types,
            comments,
            strings,
            samples,
            location_ids,
            values,
            labels,
            locations,
            lines,
            functions,
            mappings,
            stacks,
            form,
        } = self;
        *header = Header::default();
        *form = Form::AsRead;
        sample_types.clear();
        comments.clear();
        strings.clear();
        samples.clear();
        location_ids.clear();
        values.clear();
        labels.clear();
        locations.clear();
        lines.clear();
        functions.clear();
        mappings.clear();
        stacks.clear();
    }

    /// Bytes of the buffers, whatever is in them.
    pub(super) fn capacity_bytes(&self) -> usize {
        fn of<T>(table: &Vec<T>) -> usize {
            table.capacity() * size_of::<T>()
        }
        let Self {
            plain,
            header: _,
            sample_types,
            comments,
            strings,
            samples,
            location_ids,
            values,
            labels,
            locations,
            lines,
            functions,
            mappings,
            stacks,
            form: _,
        } = self;
        of(plain)
            + of(sample_types)
            + of(comments)
            + of(strings)
            + of(samples)
            + of(location_ids)
            + of(values)
            + of(labels)
            + of(locations)
            + of(lines)
            + of(functions)
            + of(mappings)
            + of(stacks)
    }

    /// Size of the profile before compression, in bytes.
    pub fn uncompressed_bytes(&self) -> usize {
        self.plain.len()
    }

    /// Time of the profile in Unix nanoseconds; 0 is none.
    pub fn time_nanos(&self) -> i64 {
        self.header.time_nanos
    }

    /// Sets the time of the profile in Unix nanoseconds.
    pub fn set_time_nanos(&mut self, time: i64) {
        self.header.time_nanos = time;
    }

    /// Iterates over type and unit of each column of values.
    pub fn sample_types(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let types = self.sample_types.iter();
        types.map(|of| (self.string(of.r#type), self.string(of.unit)))
    }

    /// Type and unit of the period; empty if there is none.
    pub fn period_type(&self) -> (&str, &str) {
        let of = self.header.period_type.unwrap_or_default();
        (self.string(of.r#type), self.string(of.unit))
    }

    /// Number of samples; of those that count, once normalised.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// Tells whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Text at an index of the string table; empty when it is out of range.
    pub fn string(&self, index: i64) -> &str {
        std::str::from_utf8(self.text(index)).expect("strings were checked when they were read")
    }

    /// Bytes of the text at an index of the string table; none when it is out
    /// of range.
    pub fn text(&self, index: i64) -> &[u8] {
        let span = usize::try_from(index)
            .ok()
            .and_then(|at| self.strings.get(at));
        span.map_or(&[], |span| &self.plain[span.range()])
    }

    /// Number of strings.
    pub fn string_count(&self) -> usize {
        self.strings.len()
    }

    /// The functions.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The mappings.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The locations.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// Lines of a location of this view; inlined calls first.
    pub fn lines(&self, location: &Location) -> &[Line] {
        self.lines.get(location.lines.range()).unwrap_or_default()
    }

    /// Name of a function as it is stored: type parameters of Go become `[...]`,
    /// as `f[go.shape.int]` and `f[go.shape.string]` are one function to a
    /// reader.
    pub fn function_name(&self, function: &Function) -> Cow<'_, str> {
        normalise::without_type_parameters(self.string(function.name))
    }

    /// Iterates over the samples; [`View::normalise`] comes first, before it
    /// there are none.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample<'_>> + Clone {
        let rows = match self.form {
            Form::AsRead => &[],
            Form::Normal { .. } => &self.samples[..],
        };
        rows.iter().map(|row| Sample {
            stack: &self.stacks[row.stack.range()],
            values: &self.values[row.values.range()],
            labels: &self.labels[row.labels.range()],
        })
    }
}
