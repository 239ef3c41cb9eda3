//! The files of strings, functions, mappings, locations and stacks.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;

use super::encode::{Encoder, Group, REQUIRED, properties, with_encoding};
use super::error::Fault;
use super::meta::FileMeta;
use super::table::{Table, create};
use crate::head::{EMPTY_STACK, Function, Location, Mapping, NO_MAPPING, Node, SymbolView};

pub(crate) const STRINGS: &str = "strings.parquet";
pub(crate) const FUNCTIONS: &str = "functions.parquet";
pub(crate) const MAPPINGS: &str = "mappings.parquet";
pub(crate) const LOCATIONS: &str = "locations.parquet";
pub(crate) const STACKS: &str = "stacks.parquet";

/// Most rows of a row group.
const GROUP: usize = 1 << 16;

const STRINGS_SCHEMA: &str = "message strings {
    required int32 id;
    required binary text (STRING);
}";

const FUNCTIONS_SCHEMA: &str = "message functions {
    required int32 id;
    required int32 name;
    required int32 system_name;
    required int32 filename;
    required int64 start_line;
}";

const MAPPINGS_SCHEMA: &str = "message mappings {
    required int32 id;
    required int64 memory_start (INTEGER(64, false));
    required int64 memory_limit (INTEGER(64, false));
    required int64 file_offset (INTEGER(64, false));
    required int32 filename;
    required int32 build_id;
    required boolean has_functions;
    required boolean has_filenames;
    required boolean has_line_numbers;
    required boolean has_inline_frames;
}";

const LOCATIONS_SCHEMA: &str = "message locations {
    required int32 id;
    optional int32 mapping;
    required int64 address (INTEGER(64, false));
    required boolean is_folded;
    required group lines (LIST) {
        repeated group list {
            required group element {
                required int32 function;
                required int64 line;
            }
        }
    }
}";

const STACKS_SCHEMA: &str = "message stacks {
    required int32 id;
    optional int32 parent;
    optional int32 location;
}";

const FLAGS: [&str; 4] = [
    "has_functions",
    "has_filenames",
    "has_line_numbers",
    "has_inline_frames",
];

/// The stack of no frames, which is the parent of roots. In memory ids are less by
/// one, so that this one is [`EMPTY_STACK`].
const EMPTY: i32 = 0;

/// Returns the id in files of a stack.
pub(crate) fn stack_to_file(id: u32) -> i32 {
    id.wrapping_add(1) as i32
}

/// Returns the stack of an id in files.
pub(crate) fn stack_from_file(id: i32) -> u32 {
    (id as u32).wrapping_sub(1)
}

/// Writes the symbols of a block into its directory.
pub(crate) fn write(
    directory: &Path,
    symbols: &SymbolView,
) -> std::result::Result<Vec<FileMeta>, NamedFault> {
    let parts: [(&str, Write); 5] = [
        (STRINGS, write_strings),
        (FUNCTIONS, write_functions),
        (MAPPINGS, write_mappings),
        (LOCATIONS, write_locations),
        (STACKS, write_stacks),
    ];
    let written =
        parts.map(|(name, write)| write(directory, symbols).map_err(|fault| (name, fault)));
    written.into_iter().collect()
}

/// A file and what is wrong with it.
pub(crate) type NamedFault = (&'static str, Fault);

/// Writes a file.
type Write = fn(&Path, &SymbolView) -> Written;

type Written = std::result::Result<FileMeta, Fault>;

fn file(
    directory: &Path,
    name: &str,
    schema: &str,
    properties: WriterProperties,
    rows: usize,
    mut write: impl FnMut(&mut Group<'_, File>, Range<usize>) -> Result<()>,
) -> Written {
    if i32::try_from(rows).is_err() {
        return Err(Fault::Refused(format!("{name} would have {rows} rows")));
    }
    let mut encoder = Encoder::new(create(directory, name)?, schema, properties)?;
    for start in (0..rows).step_by(GROUP) {
        let rows = start..rows.min(start + GROUP);
        encoder.group(|group| {
            group.column::<Int32Type>(&ids(rows.clone()), REQUIRED)?;
            write(group, rows)
        })?;
    }
    encoder.finish(name, |file| file.sync_all())
}

fn ids(rows: Range<usize>) -> Vec<i32> {
    rows.map(|row| row as i32).collect()
}

/// Values and definition levels of a column that may have none.
fn optional(values: impl Iterator<Item = Option<i32>>) -> (Vec<i32>, Vec<i16>) {
    let mut levels = Vec::new();
    let values = values.inspect(|value| levels.push(i16::from(value.is_some())));
    let values = values.flatten().collect();
    (values, levels)
}

fn write_strings(directory: &Path, symbols: &SymbolView) -> Written {
    let properties = with_encoding(properties(), &["text"], Encoding::DELTA_LENGTH_BYTE_ARRAY);
    let mut texts = symbols.strings.iter();
    let rows = symbols.strings.len();
    file(
        directory,
        STRINGS,
        STRINGS_SCHEMA,
        properties.build(),
        rows,
        |group, rows| {
            let texts = texts.by_ref().take(rows.len());
            let texts: Vec<ByteArray> = texts.map(|text| ByteArray::from(&**text)).collect();
            group.column::<ByteArrayType>(&texts, REQUIRED)
        },
    )
}

fn write_functions(directory: &Path, symbols: &SymbolView) -> Written {
    let mut functions = symbols.functions.iter();
    let rows = symbols.functions.len();
    file(
        directory,
        FUNCTIONS,
        FUNCTIONS_SCHEMA,
        properties().build(),
        rows,
        |group, rows| {
            let functions: Vec<&Function> = functions.by_ref().take(rows.len()).collect();
            let column = |of: fn(&Function) -> u32| -> Vec<i32> {
                functions
                    .iter()
                    .map(|function| of(function) as i32)
                    .collect()
            };
            group.column::<Int32Type>(&column(|function| function.name), REQUIRED)?;
            group.column::<Int32Type>(&column(|function| function.system_name), REQUIRED)?;
            group.column::<Int32Type>(&column(|function| function.filename), REQUIRED)?;
            let lines: Vec<i64> = functions
                .iter()
                .map(|function| function.start_line)
                .collect();
            group.column::<Int64Type>(&lines, REQUIRED)
        },
    )
}

fn write_mappings(directory: &Path, symbols: &SymbolView) -> Written {
    let properties = with_encoding(properties(), &FLAGS, Encoding::PLAIN).build();
    let mut mappings = symbols.mappings.iter();
    let rows = symbols.mappings.len();
    file(
        directory,
        MAPPINGS,
        MAPPINGS_SCHEMA,
        properties,
        rows,
        |group, rows| {
            let mappings: Vec<&Mapping> = mappings.by_ref().take(rows.len()).collect();
            let addresses: [fn(&Mapping) -> u64; 3] = [|m| m.start, |m| m.limit, |m| m.offset];
            for of in addresses {
                let column: Vec<i64> = mappings.iter().map(|m| of(m).cast_signed()).collect();
                group.column::<Int64Type>(&column, REQUIRED)?;
            }
            let texts: [fn(&Mapping) -> u32; 2] = [|m| m.filename, |m| m.build_id];
            for of in texts {
                let column: Vec<i32> = mappings.iter().map(|m| of(m) as i32).collect();
                group.column::<Int32Type>(&column, REQUIRED)?;
            }
            let flags: [fn(&Mapping) -> bool; 4] = [
                |m| m.has_functions,
                |m| m.has_filenames,
                |m| m.has_line_numbers,
                |m| m.has_inline_frames,
            ];
            for of in flags {
                let column: Vec<bool> = mappings.iter().map(|m| of(m)).collect();
                group.column::<BoolType>(&column, REQUIRED)?;
            }
            Ok(())
        },
    )
}

fn write_locations(directory: &Path, symbols: &SymbolView) -> Written {
    let properties = with_encoding(properties(), &["is_folded"], Encoding::PLAIN).build();
    let mut locations = symbols.locations.iter();
    let rows = symbols.locations.len();
    file(
        directory,
        LOCATIONS,
        LOCATIONS_SCHEMA,
        properties,
        rows,
        |group, rows| {
            let locations: Vec<&Arc<Location>> = locations.by_ref().take(rows.len()).collect();
            let mappings = locations.iter().map(|location| match location.mapping {
                NO_MAPPING => None,
                id => Some(id as i32),
            });
            let (mappings, levels) = optional(mappings);
            group.column::<Int32Type>(&mappings, (Some(&levels), None))?;
            let addresses = locations
                .iter()
                .map(|location| location.address.cast_signed());
            group.column::<Int64Type>(&addresses.collect::<Vec<_>>(), REQUIRED)?;
            let folded: Vec<bool> = locations
                .iter()
                .map(|location| location.is_folded)
                .collect();
            group.column::<BoolType>(&folded, REQUIRED)?;
            let (mut definition, mut repetition) = (Vec::new(), Vec::new());
            for location in &locations {
                let count = location.lines.len();
                definition.extend(std::iter::repeat_n(i16::from(count > 0), count.max(1)));
                repetition.extend((0..count.max(1)).map(|at| i16::from(at > 0)));
            }
            let levels = (Some(&definition[..]), Some(&repetition[..]));
            let lines = || locations.iter().flat_map(|location| &location.lines);
            let functions: Vec<i32> = lines().map(|(function, _)| *function as i32).collect();
            group.column::<Int32Type>(&functions, levels)?;
            let numbers: Vec<i64> = lines().map(|(_, line)| *line).collect();
            group.column::<Int64Type>(&numbers, levels)
        },
    )
}

fn write_stacks(directory: &Path, symbols: &SymbolView) -> Written {
    let empty = std::iter::once((None, None));
    let nodes = symbols.nodes.iter();
    let nodes = nodes.map(|node| (Some(stack_to_file(node.parent)), Some(node.location as i32)));
    let mut stacks = empty.chain(nodes);
    let rows = symbols.nodes.len() + 1;
    file(
        directory,
        STACKS,
        STACKS_SCHEMA,
        properties().build(),
        rows,
        |group, rows| {
            let stacks: Vec<_> = stacks.by_ref().take(rows.len()).collect();
            let (parents, levels) = optional(stacks.iter().map(|(parent, _)| *parent));
            group.column::<Int32Type>(&parents, (Some(&levels), None))?;
            let (locations, levels) = optional(stacks.iter().map(|(_, location)| *location));
            group.column::<Int32Type>(&locations, (Some(&levels), None))
        },
    )
}

/// Reads the symbols of a block, of which `open` reads files.
pub(crate) fn read<E>(
    mut open: impl FnMut(&'static str) -> std::result::Result<Table, E>,
    fault: impl Fn(&'static str, Fault) -> E,
) -> std::result::Result<SymbolView, E> {
    let at = |name| {
        let fault = &fault;
        move |error| fault(name, error)
    };
    let strings = read_strings(&open(STRINGS)?).map_err(at(STRINGS))?;
    let functions = read_functions(&open(FUNCTIONS)?, strings.len()).map_err(at(FUNCTIONS))?;
    let mappings = read_mappings(&open(MAPPINGS)?, strings.len()).map_err(at(MAPPINGS))?;
    let locations = open(LOCATIONS)?;
    let locations = read_locations(&locations, functions.len(), mappings.len());
    let locations = locations.map_err(at(LOCATIONS))?;
    let nodes = read_stacks(&open(STACKS)?, locations.len()).map_err(at(STACKS))?;
    Ok(SymbolView {
        strings: strings.into(),
        functions: functions.into(),
        mappings: mappings.into(),
        locations: locations.into(),
        nodes: nodes.into(),
    })
}

type Read<T> = std::result::Result<Vec<T>, Fault>;

/// Reads ids of another file, which has so many rows.
fn references(table: &Table, path: &str, rows: usize) -> Read<u32> {
    let ids = table.required::<Int32Type>(path)?;
    ids.into_iter()
        .map(|id| reference(id, path, rows))
        .collect()
}

fn reference(id: i32, path: &str, rows: usize) -> std::result::Result<u32, Fault> {
    let id = u32::try_from(id).ok().filter(|id| (*id as usize) < rows);
    id.ok_or_else(|| Fault::damaged(format!("column {path} refers to what is not there")))
}

fn check_ids(table: &Table) -> std::result::Result<(), Fault> {
    match table
        .required::<Int32Type>("id")?
        .iter()
        .zip(0..)
        .all(|(id, row)| *id == row)
    {
        true => Ok(()),
        false => Err(Fault::damaged("ids do not count the rows")),
    }
}

fn read_strings(table: &Table) -> Read<Arc<str>> {
    check_ids(table)?;
    let texts: Vec<Arc<str>> = table.texts("text")?;
    match texts.first().is_some_and(|text| text.is_empty()) {
        true => Ok(texts),
        false => Err(Fault::damaged("its first text is not the empty one")),
    }
}

fn read_functions(table: &Table, strings: usize) -> Read<Function> {
    check_ids(table)?;
    let names = references(table, "name", strings)?;
    let system_names = references(table, "system_name", strings)?;
    let filenames = references(table, "filename", strings)?;
    let lines = table.required::<Int64Type>("start_line")?;
    let functions = names
        .into_iter()
        .zip(system_names)
        .zip(filenames)
        .zip(lines);
    let functions = functions.map(|(((name, system_name), filename), start_line)| Function {
        name,
        system_name,
        filename,
        start_line,
    });
    Ok(functions.collect())
}

fn read_mappings(table: &Table, strings: usize) -> Read<Mapping> {
    check_ids(table)?;
    let address = |path| table.required::<Int64Type>(path);
    let (starts, limits) = (address("memory_start")?, address("memory_limit")?);
    let offsets = address("file_offset")?;
    let filenames = references(table, "filename", strings)?;
    let build_ids = references(table, "build_id", strings)?;
    let flags: Vec<Vec<bool>> = FLAGS
        .iter()
        .map(|path| table.required::<BoolType>(path))
        .collect::<std::result::Result<_, _>>()?;
    let mapping = |row: usize| Mapping {
        start: starts[row].cast_unsigned(),
        limit: limits[row].cast_unsigned(),
        offset: offsets[row].cast_unsigned(),
        filename: filenames[row],
        build_id: build_ids[row],
        has_functions: flags[0][row],
        has_filenames: flags[1][row],
        has_line_numbers: flags[2][row],
        has_inline_frames: flags[3][row],
    };
    Ok((0..table.rows()).map(mapping).collect())
}

fn read_locations(table: &Table, functions: usize, mappings: usize) -> Read<Arc<Location>> {
    check_ids(table)?;
    let of_mappings = table.optional::<Int32Type>("mapping")?;
    let addresses = table.required::<Int64Type>("address")?;
    let folded = table.required::<BoolType>("is_folded")?;
    let of_functions = table.lists::<Int32Type>("lines.list.element.function")?;
    let numbers = table.lists::<Int64Type>("lines.list.element.line")?;
    let location = |row: usize| {
        let (of_functions, numbers) = (&of_functions[row], &numbers[row]);
        if of_functions.len() != numbers.len() {
            return Err(Fault::damaged(
                "lines have no function, or functions no line",
            ));
        }
        let lines = of_functions
            .iter()
            .zip(numbers)
            .map(|(function, number)| Ok((reference(*function, "function", functions)?, *number)));
        let mapping = of_mappings[row].map(|id| reference(id, "mapping", mappings));
        Ok(Arc::new(Location {
            mapping: mapping.transpose()?.unwrap_or(NO_MAPPING),
            address: addresses[row].cast_unsigned(),
            lines: lines.collect::<std::result::Result<_, Fault>>()?,
            is_folded: folded[row],
        }))
    };
    (0..table.rows()).map(location).collect()
}

fn read_stacks(table: &Table, locations: usize) -> Read<Node> {
    check_ids(table)?;
    let parents = table.optional::<Int32Type>("parent")?;
    let of_locations = table.optional::<Int32Type>("location")?;
    let mut stacks = parents.into_iter().zip(of_locations).zip(EMPTY..);
    if stacks.next() != Some(((None, None), EMPTY)) {
        return Err(Fault::damaged("its first stack is not the empty one"));
    }
    let node = |((parent, location), id): ((Option<i32>, Option<i32>), i32)| {
        // So that walks up end.
        let parent = parent.filter(|parent| (EMPTY..id).contains(parent));
        let parent = parent.ok_or_else(|| Fault::damaged("a stack comes before its parent"))?;
        let location = location.ok_or_else(|| Fault::damaged("a stack has no location"))?;
        let parent = stack_from_file(parent);
        debug_assert!(parent == EMPTY_STACK || (parent as i32) < id);
        let location = reference(location, "location", locations)?;
        Ok(Node { parent, location })
    };
    stacks.map(node).collect()
}
