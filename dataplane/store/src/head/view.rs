//! Symbols as a query sees them.

use std::sync::Arc;

use profile::{CallSite, Profile};
use proto::google::v1 as pprof;
use rustc_hash::FxHashMap;

use super::append_log::Snapshot;
use super::symbols::{Function, Location, Mapping, Node};

/// The symbols of a tenant at one moment.
#[derive(Debug)]
pub(crate) struct SymbolView {
    pub(crate) strings: Snapshot<Arc<str>>,
    pub(crate) functions: Snapshot<Function>,
    pub(crate) mappings: Snapshot<Mapping>,
    pub(crate) locations: Snapshot<Arc<Location>>,
    pub(crate) nodes: Snapshot<Node>,
}

impl SymbolView {
    /// Builds a profile with one sample per stack, of one value each, and just
    /// the symbols that these need. Its sample type is left out.
    pub(crate) fn profile(&self, samples: impl Iterator<Item = (u32, i64)>) -> Profile {
        let mut builder = Builder::new(self);
        for (stack, value) in samples {
            let location_id = self.stack(stack).map(|location| builder.location(location));
            let location_id = location_id.collect();
            builder.profile.sample.push(pprof::Sample {
                location_id,
                value: vec![value],
                label: Vec::new(),
            });
        }
        builder.profile
    }

    /// Tells whether a stack is below a call site.
    pub(crate) fn is_under(&self, stack: u32, call_site: &CallSite) -> bool {
        let locations: Vec<u32> = self.stack(stack).collect();
        let mut frames = Vec::new();
        for location in locations
            .into_iter()
            .rev()
            .filter_map(|id| self.locations.get(id))
        {
            if location.lines.is_empty() {
                frames.push(Frame::Address(format!("{:#x}", location.address)));
            }
            frames.extend(
                location
                    .lines
                    .iter()
                    .rev()
                    .map(|(id, _)| Frame::Function(*id)),
            );
            if frames.len() >= call_site.names().len() {
                break;
            }
        }
        call_site.matches(frames.iter().map(|frame| match frame {
            Frame::Address(text) => text,
            Frame::Function(id) => self.functions.get(*id).map_or("", |f| self.string(f.name)),
        }))
    }

    /// Iterates over the locations of a stack, leaf first.
    fn stack(&self, leaf: u32) -> impl Iterator<Item = u32> {
        let nodes = std::iter::successors(self.nodes.get(leaf), |node| self.nodes.get(node.parent));
        nodes.map(|node| node.location)
    }

    fn string(&self, id: u32) -> &str {
        self.strings.get(id).map_or("", |text| text)
    }
}

/// A frame's name; a location without functions is named by its address, as the
/// trees of `profile` do.
enum Frame {
    Address(String),
    Function(u32),
}

/// Numbers the symbols of a profile densely from 1 as they are needed.
struct Builder<'a> {
    view: &'a SymbolView,
    profile: Profile,
    strings: FxHashMap<u32, i64>,
    functions: FxHashMap<u32, u64>,
    mappings: FxHashMap<u32, u64>,
    locations: FxHashMap<u32, u64>,
}

impl<'a> Builder<'a> {
    fn new(view: &'a SymbolView) -> Self {
        let profile = Profile {
            string_table: vec![String::new()],
            ..Profile::default()
        };
        Self {
            view,
            profile,
            // The empty string is the first of both tables.
            strings: [(0, 0)].into_iter().collect(),
            functions: FxHashMap::default(),
            mappings: FxHashMap::default(),
            locations: FxHashMap::default(),
        }
    }

    fn location(&mut self, id: u32) -> u64 {
        if let Some(known) = self.locations.get(&id) {
            return *known;
        }
        let view = self.view;
        let location = view.locations.get(id).map(|location| {
            let lines = location.lines.iter();
            pprof::Location {
                id: 0,
                mapping_id: self.mapping(location.mapping),
                address: location.address,
                line: lines
                    .map(|&(id, line)| pprof::Line {
                        function_id: self.function(id),
                        line,
                    })
                    .collect(),
                is_folded: location.is_folded,
            }
        });
        let dense = self.profile.location.len() as u64 + 1;
        self.profile.location.push(pprof::Location {
            id: dense,
            ..location.unwrap_or_default()
        });
        self.locations.insert(id, dense);
        dense
    }

    fn function(&mut self, id: u32) -> u64 {
        if let Some(known) = self.functions.get(&id) {
            return *known;
        }
        let dense = self.profile.function.len() as u64 + 1;
        let function = self.view.functions.get(id).map(|function| pprof::Function {
            id: dense,
            name: self.string(function.name),
            system_name: self.string(function.system_name),
            filename: self.string(function.filename),
            start_line: function.start_line,
        });
        self.profile.function.push(function.unwrap_or_default());
        self.functions.insert(id, dense);
        dense
    }

    /// Returns 0, which is none, for a mapping that does not exist.
    fn mapping(&mut self, id: u32) -> u64 {
        if let Some(known) = self.mappings.get(&id) {
            return *known;
        }
        let Some(mapping) = self.view.mappings.get(id) else {
            return 0;
        };
        let dense = self.profile.mapping.len() as u64 + 1;
        let mapping = pprof::Mapping {
            id: dense,
            memory_start: mapping.start,
            memory_limit: mapping.limit,
            file_offset: mapping.offset,
            filename: self.string(mapping.filename),
            build_id: self.string(mapping.build_id),
            has_functions: mapping.has_functions,
            has_filenames: mapping.has_filenames,
            has_line_numbers: mapping.has_line_numbers,
            has_inline_frames: mapping.has_inline_frames,
        };
        self.profile.mapping.push(mapping);
        self.mappings.insert(id, dense);
        dense
    }

    fn string(&mut self, id: u32) -> i64 {
        if let Some(known) = self.strings.get(&id) {
            return *known;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile
            .string_table
            .push(self.view.string(id).to_owned());
        self.strings.insert(id, index);
        index
    }
}
