//! Reading symbols.

use std::sync::Arc;

use parquet::data_type::{BoolType, Int32Type, Int64Type};

use super::{EMPTY, FLAGS, FUNCTIONS, LOCATIONS, MAPPINGS, STACKS, STRINGS, stack_from_file};
use crate::block::error::Fault;
use crate::block::table::Table;
use crate::head::{EMPTY_STACK, Function, Location, Mapping, NO_MAPPING, Node, SymbolView};

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
