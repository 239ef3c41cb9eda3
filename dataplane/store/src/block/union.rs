//! The symbols of a block: those of several origins that its profiles refer to,
//! each once, in an order that depends on nothing but themselves.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::head::{EMPTY_STACK, Function, Location, Mapping, NO_MAPPING, Node, SymbolView};

/// Symbols that are being united. Ids are of the order of arrival until the end.
#[derive(Debug)]
pub(crate) struct Union {
    strings: Table<Arc<str>>,
    functions: Table<Function>,
    mappings: Table<Mapping>,
    locations: Table<Arc<Location>>,
    nodes: Table<Node>,
}

/// What the stacks of an origin are in the union, by their ids in the origin.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    stacks: Vec<u32>,
}

/// No entry; of stacks it is the one of no frames, whose parent it is too.
const NONE: u32 = u32::MAX;

impl Moved {
    /// Tells whether a stack was added.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.stack(id) != EMPTY_STACK
    }

    /// Returns the stack that another one has become.
    pub(crate) fn stack(&self, id: u32) -> u32 {
        self.stacks.get(id as usize).copied().unwrap_or(EMPTY_STACK)
    }
}

impl Default for Union {
    fn default() -> Self {
        let mut strings = Table::default();
        // As the head has it, and where the order puts it.
        strings.intern(Arc::from(""));
        Self {
            strings,
            functions: Table::default(),
            mappings: Table::default(),
            locations: Table::default(),
            nodes: Table::default(),
        }
    }
}

impl Union {
    /// Adds stacks of an origin, with all that they refer to.
    pub(crate) fn add(&mut self, from: &SymbolView, stacks: impl Iterator<Item = u32>) -> Moved {
        let mut adding = Adding {
            from,
            stacks: vec![NONE; from.nodes.len()],
            locations: vec![NONE; from.locations.len()],
            functions: vec![NONE; from.functions.len()],
            path: Vec::new(),
        };
        for stack in stacks {
            adding.stack(stack, self);
        }
        Moved {
            stacks: adding.stacks,
        }
    }

    /// Puts everything in order: texts by their bytes, what refers to others by
    /// what it refers to, and stacks as a walk through their tree meets them, so
    /// that parents come before children.
    pub(crate) fn finish(self, origins: &mut [Moved]) -> SymbolView {
        let (strings, moved) = self.strings.in_order(|text| text);
        let string = |id: u32| moved[id as usize];
        let (functions, moved) = self.functions.in_order(|function| Function {
            name: string(function.name),
            system_name: string(function.system_name),
            filename: string(function.filename),
            ..function
        });
        let function = |id: u32| moved[id as usize];
        let (mappings, moved) = self.mappings.in_order(|mapping| Mapping {
            filename: string(mapping.filename),
            build_id: string(mapping.build_id),
            ..mapping
        });
        let (locations, moved) = self.locations.in_order(|location| {
            let lines = location.lines.iter();
            Arc::new(Location {
                mapping: match location.mapping {
                    NO_MAPPING => NO_MAPPING,
                    id => moved[id as usize],
                },
                lines: lines.map(|(id, line)| (function(*id), *line)).collect(),
                ..*location
            })
        });
        let nodes = self.nodes.entries.into_iter().map(|node| Node {
            location: moved[node.location as usize],
            ..node
        });
        let (nodes, moved) = as_walked(nodes.collect());
        for stack in origins.iter_mut().flat_map(|origin| &mut origin.stacks) {
            *stack = moved.get(*stack as usize).copied().unwrap_or(EMPTY_STACK);
        }
        SymbolView {
            strings: strings.into(),
            functions: functions.into(),
            mappings: mappings.into(),
            locations: locations.into(),
            nodes: nodes.into(),
        }
    }
}

/// Numbers the nodes of trees as a walk meets them that visits children by their
/// locations. Returns them with what the number of each has become.
fn as_walked(nodes: Vec<Node>) -> (Vec<Node>, Vec<u32>) {
    let mut order: Vec<u32> = (0..nodes.len() as u32).collect();
    // No parent is the greatest of all. Siblings end with the first.
    let key = |id: &u32| {
        let node = nodes[*id as usize];
        (node.parent, std::cmp::Reverse(node.location))
    };
    order.sort_unstable_by_key(key);
    let starts = |parent: u32| order.partition_point(|id| nodes[*id as usize].parent < parent);
    let mut moved = vec![NONE; nodes.len()];
    let mut walked = Vec::with_capacity(nodes.len());
    let mut ahead: Vec<u32> = order[starts(EMPTY_STACK)..].to_vec();
    while let Some(id) = ahead.pop() {
        let node = nodes[id as usize];
        let parent = moved.get(node.parent as usize).copied();
        moved[id as usize] = walked.len() as u32;
        walked.push(Node {
            parent: parent.unwrap_or(EMPTY_STACK),
            ..node
        });
        let children = order[starts(id)..].iter();
        ahead.extend(children.take_while(|child| nodes[**child as usize].parent == id));
    }
    (walked, moved)
}

/// An origin that is being added, and what is known of where its entries went.
struct Adding<'a> {
    from: &'a SymbolView,
    stacks: Vec<u32>,
    locations: Vec<u32>,
    functions: Vec<u32>,
    path: Vec<u32>,
}

impl Adding<'_> {
    fn stack(&mut self, leaf: u32, to: &mut Union) {
        // Up to what is there already, and down again.
        let mut path = std::mem::take(&mut self.path);
        let mut at = leaf;
        let mut parent = EMPTY_STACK;
        while let Some(node) = self.from.nodes.get(at) {
            match self.stacks[at as usize] {
                NONE => path.push(at),
                known => {
                    parent = known;
                    break;
                }
            }
            at = node.parent;
        }
        while let Some(at) = path.pop() {
            if let Some(node) = self.from.nodes.get(at) {
                let location = self.location(node.location, to);
                parent = to.nodes.intern(Node { parent, location });
                self.stacks[at as usize] = parent;
            }
        }
        self.path = path;
    }

    fn location(&mut self, id: u32, to: &mut Union) -> u32 {
        if let Some(known) = known(&self.locations, id) {
            return known;
        }
        let Some(location) = self.from.locations.get(id) else {
            return to.locations.intern(Arc::new(Location {
                mapping: NO_MAPPING,
                address: 0,
                lines: Box::default(),
                is_folded: false,
            }));
        };
        let lines = location.lines.iter();
        let lines = lines.map(|(id, line)| (self.function(*id, to), *line));
        let united = Location {
            lines: lines.collect(),
            mapping: self.mapping(location.mapping, to),
            ..**location
        };
        let united = to.locations.intern(Arc::new(united));
        self.locations[id as usize] = united;
        united
    }

    fn function(&mut self, id: u32, to: &mut Union) -> u32 {
        if let Some(known) = known(&self.functions, id) {
            return known;
        }
        let function = self.from.functions.get(id).copied();
        let function = function.unwrap_or(Function {
            name: 0,
            system_name: 0,
            filename: 0,
            start_line: 0,
        });
        let united = Function {
            name: self.string(function.name, to),
            system_name: self.string(function.system_name, to),
            filename: self.string(function.filename, to),
            ..function
        };
        let united = to.functions.intern(united);
        if let Some(moved) = self.functions.get_mut(id as usize) {
            *moved = united;
        }
        united
    }

    fn mapping(&mut self, id: u32, to: &mut Union) -> u32 {
        let Some(mapping) = self.from.mappings.get(id).copied() else {
            return NO_MAPPING;
        };
        let united = Mapping {
            filename: self.string(mapping.filename, to),
            build_id: self.string(mapping.build_id, to),
            ..mapping
        };
        to.mappings.intern(united)
    }

    fn string(&mut self, id: u32, to: &mut Union) -> u32 {
        let text = self.from.strings.get(id);
        text.map_or(0, |text| to.strings.intern(Arc::clone(text)))
    }
}

fn known(moved: &[u32], id: u32) -> Option<u32> {
    let known = moved.get(id as usize).copied();
    known.filter(|id| *id != NONE)
}

/// Entries by id and ids by entry. Entries come from outside, hence a map that
/// resists chosen keys.
#[derive(Debug)]
struct Table<T> {
    entries: Vec<T>,
    ids: HashMap<T, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            ids: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash + Ord> Table<T> {
    fn intern(&mut self, entry: T) -> u32 {
        if let Some(id) = self.ids.get(&entry) {
            return *id;
        }
        // Bounded by the origins, whose ids are as wide.
        let id = self.entries.len() as u32;
        self.entries.push(entry.clone());
        self.ids.insert(entry, id);
        id
    }

    /// Returns the entries, changed by `change`, in their order, and where each
    /// has gone.
    fn in_order(self, change: impl Fn(T) -> T) -> (Vec<T>, Vec<u32>) {
        let entries = self.entries.into_iter().map(change);
        let mut entries: Vec<(T, u32)> = entries.zip(0..).collect();
        entries.sort_unstable();
        let mut moved = vec![NONE; entries.len()];
        let order = entries.into_iter().zip(0..);
        let entries = order.map(|((entry, from), to)| {
            moved[from as usize] = to;
            entry
        });
        (entries.collect(), moved)
    }
}
