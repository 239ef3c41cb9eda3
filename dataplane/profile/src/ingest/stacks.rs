//! Stacks while a body is read, and the profile that they become.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use proto::google::v1::{Function, Label, Line, Location, Sample, ValueType};

use super::IngestError;
use crate::Profile;
use crate::pprof::{Limits, PprofError};

/// The empty stack.
pub(super) const ROOT: Stack = Stack(0);

/// Bounds that hold even where the limit of a tenant is none.
const MAX_NODES: usize = 4 << 20;
const MAX_NAME_BYTES: usize = 64 << 20;

/// A node takes at least this much of a profile, on average, where stacks are
/// those of a program.
const MIN_NODE_BYTES: usize = 4;

/// Stacks as a tree of frames: what a stack shares with others is there once.
///
/// Frames beyond the depth limit are not kept: a stack ends at the last one.
#[derive(Debug)]
pub(super) struct Stacks {
    names: Vec<Arc<str>>,
    /// Names and lines come from outside, hence maps that resist chosen keys.
    name_ids: HashMap<Arc<str>, Name>,
    nodes: Vec<Node>,
    children: HashMap<(Stack, Frame), Stack>,
    name_bytes: usize,
    limits: Limits,
}

/// A stack: a node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack(u32);

/// A function name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(u32);

/// A function and a line in it; 0 is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub(super) name: Name,
    pub(super) line: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: Stack,
    frame: Frame,
    depth: u32,
}

impl Stacks {
    pub(super) fn new(limits: &Limits) -> Self {
        let root = Node {
            parent: ROOT,
            frame: Frame {
                name: Name(0),
                line: 0,
            },
            depth: 0,
        };
        Self {
            names: Vec::new(),
            name_ids: HashMap::new(),
            nodes: vec![root],
            children: HashMap::new(),
            name_bytes: 0,
            limits: *limits,
        }
    }

    /// Returns the id of a function name.
    ///
    /// # Errors
    /// More bytes of names than a profile may have.
    pub(super) fn name(&mut self, text: &str) -> Result<Name, IngestError> {
        if let Some(name) = self.name_ids.get(text) {
            return Ok(*name);
        }
        self.name_bytes += text.len();
        let limit = self.limits.uncompressed_bytes.min(MAX_NAME_BYTES);
        if self.name_bytes > limit {
            return Err(PprofError::TooLarge { limit }.into());
        }
        let name = Name(self.names.len() as u32);
        let text: Arc<str> = text.into();
        self.names.push(Arc::clone(&text));
        self.name_ids.insert(text, name);
        Ok(name)
    }

    /// Returns a stack with a frame called from it.
    ///
    /// # Errors
    /// More different stacks than a profile may have.
    pub(super) fn child(&mut self, stack: Stack, frame: Frame) -> Result<Stack, IngestError> {
        let depth = self.nodes[stack.0 as usize].depth;
        if depth as usize >= self.limits.stack_depth {
            return Ok(stack);
        }
        if let Some(child) = self.children.get(&(stack, frame)) {
            return Ok(*child);
        }
        let limit = (self.limits.uncompressed_bytes / MIN_NODE_BYTES).clamp(1, MAX_NODES);
        if self.nodes.len() > limit {
            return Err(PprofError::TooManyEntries { limit }.into());
        }
        let child = Stack(self.nodes.len() as u32);
        self.nodes.push(Node {
            parent: stack,
            frame,
            depth: depth + 1,
        });
        self.children.insert((stack, frame), child);
        Ok(child)
    }

    /// Returns a stack with a function called from it.
    ///
    /// # Errors
    /// As [`Stacks::name`] and [`Stacks::child`].
    pub(super) fn call(&mut self, stack: Stack, function: &str) -> Result<Stack, IngestError> {
        let name = self.name(function)?;
        self.child(stack, Frame { name, line: 0 })
    }

    /// Makes a profile of some of the stacks.
    ///
    /// # Errors
    /// A profile that is larger than allowed.
    pub(super) fn profile<L: Copy + Eq + Hash>(
        &self,
        header: &Header<'_>,
        rows: &Rows<L>,
        labels: impl Fn(L) -> Vec<(String, String)>,
        limits: &Limits,
    ) -> Result<Profile, IngestError> {
        let mut builder = Builder::new(self);
        let mut bytes = 0;
        for row in &rows.rows {
            let sample = builder.sample(row, header.sample_types.len(), &labels(row.labels));
            bytes += prost::Message::encoded_len(&sample);
            limit_bytes(bytes, limits)?;
            builder.profile.sample.push(sample);
        }
        let profile = builder.finish(header);
        limit_bytes(prost::Message::encoded_len(&profile), limits)?;
        Ok(profile)
    }
}

fn limit_bytes(bytes: usize, limits: &Limits) -> Result<(), PprofError> {
    let limit = limits.uncompressed_bytes;
    if bytes > limit {
        return Err(PprofError::TooLarge { limit });
    }
    Ok(())
}

/// What a profile says beside its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    /// Type and unit of each column; one or two.
    pub(super) sample_types: &'a [(&'a str, &'a str)],
    /// Type and unit of the period.
    pub(super) period_type: Option<(&'a str, &'a str)>,
    pub(super) period: i64,
    /// Unix nanoseconds.
    pub(super) start: i64,
    /// Unix nanoseconds.
    pub(super) end: i64,
}

/// Values by stack and labels, in the order of arrival.
#[derive(Debug)]
pub(super) struct Rows<L> {
    index: HashMap<(Stack, L), usize>,
    rows: Vec<Row<L>>,
    limit: usize,
}

#[derive(Debug)]
struct Row<L> {
    stack: Stack,
    labels: L,
    values: [i64; 2],
}

impl<L: Copy + Eq + Hash> Rows<L> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            index: HashMap::new(),
            rows: Vec::new(),
            limit: limits.samples,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds values to a stack; of one column the second value is not used. Zeros
    /// are ignored.
    ///
    /// # Errors
    /// More samples than a profile may have.
    pub(super) fn add(
        &mut self,
        stack: Stack,
        labels: L,
        values: [i64; 2],
    ) -> Result<(), IngestError> {
        if values == [0, 0] {
            return Ok(());
        }
        let next = self.rows.len();
        let at = *self.index.entry((stack, labels)).or_insert(next);
        if at < next {
            for (sum, value) in self.rows[at].values.iter_mut().zip(values) {
                *sum = sum.saturating_add(value);
            }
            return Ok(());
        }
        if next >= self.limit {
            let (actual, limit) = (next + 1, self.limit);
            return Err(PprofError::TooManySamples { actual, limit }.into());
        }
        self.rows.push(Row {
            stack,
            labels,
            values,
        });
        Ok(())
    }
}

/// A profile in the making: only what samples refer to gets into it.
struct Builder<'s> {
    stacks: &'s Stacks,
    profile: Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<Name, u64>,
    locations: HashMap<Frame, u64>,
}

impl<'s> Builder<'s> {
    fn new(stacks: &'s Stacks) -> Self {
        let mut builder = Self {
            stacks,
            profile: Profile::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
        };
        builder.string("");
        builder
    }

    fn sample<L>(&mut self, row: &Row<L>, columns: usize, labels: &[(String, String)]) -> Sample {
        let mut location_id = Vec::new();
        let mut stack = row.stack;
        while stack != ROOT {
            let node = self.stacks.nodes[stack.0 as usize];
            location_id.push(self.location(node.frame));
            stack = node.parent;
        }
        let label = labels.iter().map(|(key, value)| Label {
            key: self.string(key),
            str: self.string(value),
            ..Label::default()
        });
        Sample {
            location_id,
            value: row.values[..columns.min(2)].to_vec(),
            label: label.collect(),
        }
    }

    fn location(&mut self, frame: Frame) -> u64 {
        if let Some(id) = self.locations.get(&frame) {
            return *id;
        }
        let function_id = self.function(frame.name);
        let id = self.profile.location.len() as u64 + 1;
        let line = Line {
            function_id,
            line: i64::from(frame.line),
        };
        self.profile.location.push(Location {
            id,
            line: vec![line],
            ..Location::default()
        });
        self.locations.insert(frame, id);
        id
    }

    fn function(&mut self, name: Name) -> u64 {
        if let Some(id) = self.functions.get(&name) {
            return *id;
        }
        let stacks = self.stacks;
        let text = self.string(&stacks.names[name.0 as usize]);
        let id = self.profile.function.len() as u64 + 1;
        self.profile.function.push(Function {
            id,
            name: text,
            ..Function::default()
        });
        self.functions.insert(name, id);
        id
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    fn finish(mut self, header: &Header<'_>) -> Profile {
        let mut value_type = |(kind, unit): (&str, &str)| ValueType {
            r#type: self.string(kind),
            unit: self.string(unit),
        };
        let sample_type = header.sample_types.iter().copied();
        let sample_type = sample_type.map(&mut value_type).collect();
        let period_type = header.period_type.map(value_type);
        Profile {
            sample_type,
            period_type,
            period: header.period,
            time_nanos: header.start,
            duration_nanos: header.end.saturating_sub(header.start).max(0),
            ..self.profile
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_cut_to_the_frames_next_to_the_root() {
        let limits = Limits {
            stack_depth: 2,
            ..Limits::default()
        };
        let mut stacks = Stacks::new(&limits);
        let mut stack = ROOT;
        for name in ["a", "b", "c", "d"] {
            stack = stacks.call(stack, name).unwrap();
        }
        let parent = stacks.nodes[stack.0 as usize].parent;
        assert_eq!(stacks.call(parent, "b").unwrap(), stack);
        assert_eq!(stacks.nodes.len(), 3);
    }

    #[test]
    fn numbers_are_bounded() {
        let limits = Limits {
            uncompressed_bytes: 40,
            samples: 2,
            ..Limits::default()
        };
        let mut stacks = Stacks::new(&limits);
        assert!(stacks.name(&"x".repeat(41)).is_err());
        let mut stacks = Stacks::new(&limits);
        let mut stack = ROOT;
        for _ in 0..10 {
            stack = stacks.call(stack, "a").unwrap();
        }
        let error = stacks.call(stack, "a").unwrap_err();
        assert!(error.to_string().contains("more than 10"), "{error}");
        let mut rows = Rows::new(&limits);
        rows.add(ROOT, 1, [1, 0]).unwrap();
        rows.add(ROOT, 2, [1, 0]).unwrap();
        rows.add(ROOT, 1, [i64::MAX, 0]).unwrap();
        assert!(rows.add(ROOT, 3, [1, 0]).is_err());
        assert_eq!(rows.rows[0].values, [i64::MAX, 0]);
    }
}
