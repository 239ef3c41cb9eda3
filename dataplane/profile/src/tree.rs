//! Function-name trees, the form in which stacks are added up.

mod codec;
mod flamegraph;
mod top;
mod truncate;

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::stack::{Frame, Symbols};
use crate::{CallSite, Profile};

pub use codec::TreeError;
pub use top::TopEntry;

/// Nodes of a flame graph unless a query asks for another number.
pub const DEFAULT_MAX_NODES: usize = 8 << 10;

/// Most nodes of a flame graph that a query may ask for.
pub const MAX_NODES: usize = 1 << 20;

/// Name of the node that stands for what truncation cut off.
const OTHER: &str = "other";

/// The unnamed node above all stacks.
const ROOT: u32 = 0;

/// No node.
const NONE: u32 = u32::MAX;

/// A tree of function names with the value of each stack at its last node.
///
/// Nodes are in an arena in which parents precede their children; no operation
/// recurses. Merging is commutative and associative: the bytes of
/// [`Tree::encode`] depend on the stacks only.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Child of a node with a name. Keys are made here, so a hash that is only
    /// fast will do.
    children: FxHashMap<(u32, u32), u32>,
    names: Vec<Arc<str>>,
    name_ids: HashMap<Arc<str>, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    name: u32,
    parent: u32,
    /// Value of the stacks that end here.
    self_value: i64,
    first_child: u32,
    next_sibling: u32,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node {
            name: 0,
            parent: NONE,
            self_value: 0,
            first_child: NONE,
            next_sibling: NONE,
        };
        let unnamed: Arc<str> = "".into();
        Self {
            nodes: vec![root],
            children: FxHashMap::default(),
            names: vec![unnamed.clone()],
            name_ids: HashMap::from([(unnamed, 0)]),
        }
    }
}

impl Tree {
    /// Adds a value to a stack, root first. Values that are not positive have no
    /// place in a flame graph and are ignored.
    pub fn insert<'a>(&mut self, stack: impl IntoIterator<Item = &'a str>, value: i64) {
        if value <= 0 {
            return;
        }
        let mut node = ROOT;
        for name in stack {
            let name = self.name_id(name);
            node = self.child(node, name);
        }
        self.add_self(node, value);
    }

    /// Adds one column of a pprof, of the stacks below a call site.
    ///
    /// Names are looked up once per profile, and of each stack only the part in
    /// which it differs from the one before.
    pub fn insert_profile(&mut self, profile: &Profile, column: usize, call_site: &CallSite) {
        let symbols = Symbols::new(profile);
        let mut name_ids = vec![NONE; symbols.frame_count()];
        let mut frames = Vec::new();
        // Frames of the stack before and their nodes.
        let mut path: Vec<(Frame, u32)> = Vec::new();
        for sample in &profile.sample {
            let value = sample.value.get(column).copied().unwrap_or_default();
            if value <= 0 {
                continue;
            }
            symbols.frames(sample, &mut frames);
            if !symbols.is_under(&frames, call_site) {
                continue;
            }
            let pairs = path.iter().zip(&frames);
            let shared = pairs.take_while(|((was, _), is)| was == *is).count();
            path.truncate(shared);
            for frame in &frames[shared..] {
                if name_ids[*frame] == NONE {
                    name_ids[*frame] = self.name_id(symbols.name(*frame));
                }
                let parent = path.last().map_or(ROOT, |(_, node)| *node);
                path.push((*frame, self.child(parent, name_ids[*frame])));
            }
            let leaf = path.last().map_or(ROOT, |(_, node)| *node);
            self.add_self(leaf, value);
        }
    }

    /// Adds all stacks of another tree.
    pub fn merge(&mut self, other: &Self) {
        let names: Vec<u32> = other.names.iter().map(|name| self.name_id(name)).collect();
        let mut moved: Vec<u32> = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let to = match node.parent {
                NONE => ROOT,
                parent => self.child(moved[parent as usize], names[node.name as usize]),
            };
            moved.push(to);
            self.add_self(to, node.self_value);
        }
    }

    /// Keeps the `max_nodes` nodes with the largest totals and replaces what is
    /// cut off below each by one node `other`, which does not count.
    pub fn truncate(&mut self, max_nodes: usize) {
        if self.node_count() > max_nodes {
            *self = truncate::truncated(self, max_nodes);
        }
    }

    /// Sum of all values.
    pub fn total(&self) -> i64 {
        let values = self.nodes.iter().map(|node| node.self_value);
        values.fold(0, i64::saturating_add)
    }

    /// Tells whether the tree has no value.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Number of nodes, the unnamed root left out.
    pub fn node_count(&self) -> usize {
        self.nodes.len() - 1
    }

    fn name_id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.name_ids.insert(name, id);
        id
    }

    fn name(&self, node: u32) -> &str {
        &self.names[self.nodes[node as usize].name as usize]
    }

    /// Returns the child of a node with a name, adding it if there is none.
    fn child(&mut self, parent: u32, name: u32) -> u32 {
        if let Some(child) = self.children.get(&(parent, name)) {
            return *child;
        }
        let child = self.nodes.len() as u32;
        let siblings = &mut self.nodes[parent as usize].first_child;
        let next_sibling = std::mem::replace(siblings, child);
        self.nodes.push(Node {
            name,
            parent,
            self_value: 0,
            first_child: NONE,
            next_sibling,
        });
        self.children.insert((parent, name), child);
        child
    }

    fn add_self(&mut self, node: u32, value: i64) {
        let sum = &mut self.nodes[node as usize].self_value;
        *sum = sum.saturating_add(value);
    }

    /// Children of a node, in descending order of their names.
    fn children_descending(&self, node: u32, into: &mut Vec<u32>) {
        into.clear();
        let mut child = self.nodes[node as usize].first_child;
        while child != NONE {
            into.push(child);
            child = self.nodes[child as usize].next_sibling;
        }
        into.sort_unstable_by(|a, b| self.name(*b).cmp(self.name(*a)));
    }

    /// Value of each node and everything below it.
    fn totals(&self) -> Vec<i64> {
        let mut totals: Vec<i64> = self.nodes.iter().map(|node| node.self_value).collect();
        for (at, node) in self.nodes.iter().enumerate().skip(1).rev() {
            let total = totals[at];
            let parent = &mut totals[node.parent as usize];
            *parent = parent.saturating_add(total);
        }
        totals
    }
}
