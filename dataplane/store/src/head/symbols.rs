//! Strings, functions, mappings, locations and stacks, each stored once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use profile::Profile;

use super::append_log::AppendLog;
use super::cost;
use super::view::SymbolView;

/// The stack of no frames, and the parent of a root.
pub(crate) const EMPTY_STACK: u32 = u32::MAX;
/// The mapping of a location that has none.
pub(crate) const NO_MAPPING: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub(crate) name: u32,
    pub(crate) system_name: u32,
    pub(crate) filename: u32,
    pub(crate) start_line: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    pub(crate) filename: u32,
    pub(crate) build_id: u32,
    pub(crate) has_functions: bool,
    pub(crate) has_filenames: bool,
    pub(crate) has_line_numbers: bool,
    pub(crate) has_inline_frames: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) mapping: u32,
    pub(crate) address: u64,
    /// Function and line number; inlined callees first, as in pprof.
    pub(crate) lines: Box<[(u32, i64)]>,
    pub(crate) is_folded: bool,
}

/// A stack is the path from a node up to its root: stacks share their callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) parent: u32,
    pub(crate) location: u32,
}

/// The symbol tables of a tenant.
#[derive(Debug)]
pub(crate) struct Symbols {
    strings: Table<Arc<str>>,
    functions: Table<Function>,
    mappings: Table<Mapping>,
    locations: Table<Arc<Location>>,
    nodes: Table<Node>,
    bytes: u64,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut strings = Table::default();
        // So that a string index out of range can stand for the empty string.
        strings.intern(Arc::from(""));
        Self {
            strings,
            functions: Table::default(),
            mappings: Table::default(),
            locations: Table::default(),
            nodes: Table::default(),
            bytes: 0,
        }
    }
}

impl Symbols {
    /// Estimated size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the symbols as they are now.
    pub(crate) fn view(&self) -> SymbolView {
        SymbolView {
            strings: self.strings.log.snapshot(),
            functions: self.functions.log.snapshot(),
            mappings: self.mappings.log.snapshot(),
            locations: self.locations.log.snapshot(),
            nodes: self.nodes.log.snapshot(),
        }
    }

    /// Stores the symbols of a normalised profile and returns the stack of each
    /// sample. An id that does not exist counts as none.
    pub(crate) fn intern(&mut self, profile: &Profile) -> Box<[u32]> {
        let mut strings = Strings {
            table: &profile.string_table,
            ids: Vec::new(),
        };
        strings.ids.resize(profile.string_table.len(), None);
        let functions: Vec<u32> = profile
            .function
            .iter()
            .map(|from| self.function(from, &mut strings))
            .collect();
        let mappings: Vec<u32> = profile
            .mapping
            .iter()
            .map(|from| self.mapping(from, &mut strings))
            .collect();
        let locations: Vec<u32> = profile
            .location
            .iter()
            .map(|from| self.location(from, &mappings, &functions))
            .collect();
        let stacks = profile.sample.iter();
        stacks
            .map(|sample| self.stack(&sample.location_id, &locations))
            .collect()
    }

    fn function(&mut self, from: &proto::google::v1::Function, strings: &mut Strings<'_>) -> u32 {
        let function = Function {
            name: self.string(from.name, strings),
            system_name: self.string(from.system_name, strings),
            filename: self.string(from.filename, strings),
            start_line: from.start_line,
        };
        let (id, new) = self.functions.intern(function);
        self.charge(new, cost::FUNCTION);
        id
    }

    fn mapping(&mut self, from: &proto::google::v1::Mapping, strings: &mut Strings<'_>) -> u32 {
        let mapping = Mapping {
            start: from.memory_start,
            limit: from.memory_limit,
            offset: from.file_offset,
            filename: self.string(from.filename, strings),
            build_id: self.string(from.build_id, strings),
            has_functions: from.has_functions,
            has_filenames: from.has_filenames,
            has_line_numbers: from.has_line_numbers,
            has_inline_frames: from.has_inline_frames,
        };
        let (id, new) = self.mappings.intern(mapping);
        self.charge(new, cost::MAPPING);
        id
    }

    fn location(
        &mut self,
        from: &proto::google::v1::Location,
        mappings: &[u32],
        functions: &[u32],
    ) -> u32 {
        let lines = from.line.iter();
        let lines: Box<[_]> = lines
            .filter_map(|line| Some((by_id(functions, line.function_id)?, line.line)))
            .collect();
        let lines_cost = cost::location(lines.len());
        let location = Location {
            mapping: by_id(mappings, from.mapping_id).unwrap_or(NO_MAPPING),
            address: from.address,
            lines,
            is_folded: from.is_folded,
        };
        let (id, new) = self.locations.intern(Arc::new(location));
        self.charge(new, lines_cost);
        id
    }

    /// Stores a stack whose leaf comes first.
    fn stack(&mut self, ids: &[u64], locations: &[u32]) -> u32 {
        let mut node = EMPTY_STACK;
        for location in ids.iter().rev().filter_map(|id| by_id(locations, *id)) {
            let (id, new) = self.nodes.intern(Node {
                parent: node,
                location,
            });
            self.charge(new, cost::NODE);
            node = id;
        }
        node
    }

    fn string(&mut self, index: i64, strings: &mut Strings<'_>) -> u32 {
        let Some(at) = usize::try_from(index)
            .ok()
            .filter(|at| *at < strings.table.len())
        else {
            return 0;
        };
        if let Some(id) = strings.ids[at] {
            return id;
        }
        let text = strings.table[at].as_str();
        let (id, new) = match self.strings.ids.get(text) {
            Some(id) => (*id, false),
            None => self.strings.intern(Arc::from(text)),
        };
        self.charge(new, cost::string(text));
        strings.ids[at] = Some(id);
        id
    }

    fn charge(&mut self, new: bool, bytes: u64) {
        if new {
            self.bytes += bytes;
        }
    }
}

/// The string table of a profile, and what is known of it already.
struct Strings<'a> {
    table: &'a [String],
    ids: Vec<Option<u32>>,
}

/// Entries by id and ids by entry. Entries come from outside, hence a map that
/// resists chosen keys.
#[derive(Debug)]
struct Table<T> {
    log: AppendLog<T>,
    ids: HashMap<T, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            log: AppendLog::default(),
            ids: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    /// Returns the id of an entry, and whether the entry is new.
    fn intern(&mut self, entry: T) -> (u32, bool) {
        if let Some(id) = self.ids.get(&entry) {
            return (*id, false);
        }
        let id = u32::try_from(self.log.len()).expect("the budget of the head ends before ids do");
        self.log.push(entry.clone());
        self.ids.insert(entry, id);
        (id, true)
    }
}

/// Returns what a normalised profile has under an id: its ids are 1, 2, 3…
fn by_id(entries: &[u32], id: u64) -> Option<u32> {
    let at = usize::try_from(id.checked_sub(1)?).ok()?;
    entries.get(at).copied()
}
