//! Strings, functions, mappings, locations and stacks, each stored once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::RwLock;
use profile::pprof::{self, Sample, View};
use rustc_hash::FxHashMap;

use super::append_log::AppendLog;
use super::cost;
use super::fingerprint::{self, Fingerprint};
use super::view::SymbolView;
use crate::digest::Digest;

/// The stack of no frames, and the parent of a root.
pub(crate) const EMPTY_STACK: u32 = u32::MAX;
/// The mapping of a location that has none.
pub(crate) const NO_MAPPING: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) name: u32,
    pub(crate) system_name: u32,
    pub(crate) filename: u32,
    pub(crate) start_line: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Location {
    pub(crate) mapping: u32,
    pub(crate) address: u64,
    /// Function and line number; inlined callees first, as in pprof.
    pub(crate) lines: Box<[(u32, i64)]>,
    pub(crate) is_folded: bool,
}

/// A stack is the path from a node up to its root: stacks share their callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) parent: u32,
    pub(crate) location: u32,
}

/// The symbol tables of a tenant. Services of a tenant share them, for they share
/// the runtime and the libraries that most of their stacks are made of.
#[derive(Debug)]
pub(crate) struct Symbols {
    tables: RwLock<Tables>,
}

/// What interning the stacks of a profile gave.
#[derive(Debug)]
pub(crate) struct Interned {
    /// The stack of each sample.
    pub(crate) stacks: Vec<u32>,
    /// Estimated size of what was new, in bytes.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Tables {
    strings: Table<Arc<str>>,
    functions: Table<Function>,
    mappings: Table<Mapping>,
    locations: Table<Arc<Location>>,
    nodes: Table<Node>,
    /// Stacks by the hash of what a pprof said of them.
    stacks: FxHashMap<Fingerprint, u32>,
    /// Under which stacks are hashed.
    key: u64,
    /// Hashes that were charged for and are forgotten: so many are free.
    forgotten: usize,
    bytes: u64,
}

impl Symbols {
    pub(crate) fn new(key: u64) -> Self {
        let mut strings = Table::default();
        // So that a string index out of range can stand for the empty string.
        strings.intern(Arc::from(""));
        let tables = Tables {
            strings,
            functions: Table::default(),
            mappings: Table::default(),
            locations: Table::default(),
            nodes: Table::default(),
            stacks: FxHashMap::default(),
            key,
            forgotten: 0,
            bytes: 0,
        };
        Self {
            tables: RwLock::new(tables),
        }
    }

    /// Returns the symbols as they are now.
    pub(crate) fn view(&self) -> SymbolView {
        let tables = self.tables.read();
        SymbolView {
            strings: tables.strings.log.snapshot(),
            functions: tables.functions.log.snapshot(),
            mappings: tables.mappings.log.snapshot(),
            locations: tables.locations.log.snapshot(),
            nodes: tables.nodes.log.snapshot(),
        }
    }

    /// Returns the stack of each sample, if all are stored.
    pub(crate) fn known(&self, digest: &Digest) -> Option<Vec<u32>> {
        let tables = self.tables.read();
        if tables.key != digest.key() {
            return None;
        }
        let stacks = digest.stacks().iter();
        stacks
            .map(|print| tables.stacks.get(print).copied())
            .collect()
    }

    /// Stores the stacks of a normalised profile. Those that are known are found
    /// by their hash, without waiting for others who do the same.
    pub(crate) fn intern(&self, view: &View, digest: &Digest) -> Interned {
        let mut stacks = vec![EMPTY_STACK; digest.stacks().len()];
        let unknown = self.tables.read().find(digest, &mut stacks);
        if unknown.is_empty() {
            return Interned { stacks, bytes: 0 };
        }
        let samples: Vec<Sample<'_>> = view.samples().collect();
        let mut moved = Moved::new(view);
        let mut tables = self.tables.write();
        let before = tables.bytes;
        tables.go_over_to(digest.key());
        let hashed;
        let prints = match tables.key == digest.key() {
            true => digest.stacks(),
            // Another push has gone over to a lower key just now.
            false => {
                hashed = fingerprint::of_stacks(view, tables.key);
                &hashed
            }
        };
        for at in unknown {
            stacks[at] = tables.stack(prints[at], samples[at].stack, &mut moved);
        }
        Interned {
            stacks,
            bytes: tables.bytes - before,
        }
    }
}

impl Tables {
    /// Finds the stacks that are known, and returns the positions of the others.
    fn find(&self, digest: &Digest, stacks: &mut [u32]) -> Vec<usize> {
        if self.key != digest.key() {
            return (0..stacks.len()).collect();
        }
        let mut unknown = Vec::new();
        for (at, print) in digest.stacks().iter().enumerate() {
            match self.stacks.get(print) {
                Some(known) => stacks[at] = *known,
                None => unknown.push(at),
            }
        }
        unknown
    }

    /// Hashes stacks under another key from now on, if it is lower. Stacks are
    /// found in the trie all the same, and by their new hash from then on.
    fn go_over_to(&mut self, key: u64) {
        if key < self.key {
            self.key = key;
            self.forgotten += self.stacks.len();
            self.stacks = FxHashMap::default();
        }
    }

    /// Stores a stack whose leaf comes first.
    fn stack(&mut self, print: Fingerprint, stack: &[u32], moved: &mut Moved<'_>) -> u32 {
        if let Some(known) = self.stacks.get(&print) {
            return *known;
        }
        let mut node = EMPTY_STACK;
        for at in stack.iter().rev() {
            let location = self.location(*at as usize, moved);
            let (id, new) = self.nodes.intern(Node {
                parent: node,
                location,
            });
            self.charge(new, cost::NODE);
            node = id;
        }
        self.stacks.insert(print, node);
        match self.forgotten.checked_sub(1) {
            Some(fewer) => self.forgotten = fewer,
            None => self.charge(true, cost::STACK),
        }
        node
    }

    fn location(&mut self, at: usize, moved: &mut Moved<'_>) -> u32 {
        if let Some(id) = moved.locations[at] {
            return id;
        }
        let view = moved.view;
        let from = &view.locations()[at];
        let lines = view.lines(from).iter();
        let lines: Box<[_]> = lines
            .map(|line| (self.function(line.function as usize, moved), line.line))
            .collect();
        let lines_cost = cost::location(lines.len());
        let location = Location {
            mapping: from.mapping.map_or(NO_MAPPING, |at| {
                self.mapping(&view.mappings()[at as usize], view)
            }),
            address: from.address,
            lines,
            is_folded: from.is_folded,
        };
        let (id, new) = self.locations.intern(Arc::new(location));
        self.charge(new, lines_cost);
        moved.locations[at] = Some(id);
        id
    }

    fn function(&mut self, at: usize, moved: &mut Moved<'_>) -> u32 {
        if let Some(id) = moved.functions[at] {
            return id;
        }
        let view = moved.view;
        let from = &view.functions()[at];
        let name = self.string(&view.function_name(from));
        let function = Function {
            name,
            system_name: match from.system_name == from.name {
                true => name,
                false => self.string(view.string(from.system_name)),
            },
            filename: self.string(view.string(from.filename)),
            start_line: from.start_line,
        };
        let (id, new) = self.functions.intern(function);
        self.charge(new, cost::FUNCTION);
        moved.functions[at] = Some(id);
        id
    }

    fn mapping(&mut self, from: &pprof::Mapping, view: &View) -> u32 {
        let mapping = Mapping {
            start: from.memory_start,
            limit: from.memory_limit,
            offset: from.file_offset,
            filename: self.string(view.string(from.filename)),
            build_id: self.string(view.string(from.build_id)),
            has_functions: from.has_functions,
            has_filenames: from.has_filenames,
            has_line_numbers: from.has_line_numbers,
            has_inline_frames: from.has_inline_frames,
        };
        let (id, new) = self.mappings.intern(mapping);
        self.charge(new, cost::MAPPING);
        id
    }

    fn string(&mut self, text: &str) -> u32 {
        if let Some(id) = self.strings.ids.get(text) {
            return *id;
        }
        let (id, _) = self.strings.intern(Arc::from(text));
        self.charge(true, cost::string(text.len()));
        id
    }

    fn charge(&mut self, new: bool, bytes: u64) {
        if new {
            self.bytes += bytes;
        }
    }
}

/// What is known already of the symbols of a profile, by position.
struct Moved<'v> {
    view: &'v View,
    locations: Vec<Option<u32>>,
    functions: Vec<Option<u32>>,
}

impl<'v> Moved<'v> {
    fn new(view: &'v View) -> Self {
        Self {
            view,
            locations: vec![None; view.locations().len()],
            functions: vec![None; view.functions().len()],
        }
    }
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
