//! Writing symbols.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;

use super::{
    FLAGS, FUNCTIONS, FUNCTIONS_SCHEMA, LOCATIONS, LOCATIONS_SCHEMA, MAPPINGS, MAPPINGS_SCHEMA,
    NamedFault, STACKS, STACKS_SCHEMA, STRINGS, STRINGS_SCHEMA, stack_to_file,
};
use crate::block::encode::{Encoder, Group, REQUIRED, properties, with_plain};
use crate::block::error::Fault;
use crate::block::meta::FileMeta;
use crate::block::table::create;
use crate::head::{Function, Location, Mapping, NO_MAPPING, SymbolView};

/// Most rows of a row group.
const GROUP: usize = 1 << 16;

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
    let properties = with_plain(properties(), &["text"]);
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
    let properties = with_plain(properties(), &FLAGS).build();
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
    let properties = with_plain(properties(), &["is_folded"]).build();
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
