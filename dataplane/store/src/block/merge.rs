//! Merging blocks into one, in which each profile is once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;

use super::error::{BlockError, Fault};
use super::meta::{Description, Meta};
use super::profiles::Row;
use super::reader::Block;
use super::rows::{Names, RowGroups, Span, Stacks, Values};
use super::series::Source;
use super::symbols::{stack_from_file, stack_to_file};
use super::union::{Moved, Union};
use super::writer::BlockWriter;

/// Merges blocks into one under `root`. Profiles of the same source, time and
/// identity are one, such as the copies that replicas have of it.
///
/// In memory are the symbols of all blocks, and one row group of each.
///
/// # Errors
/// A block cannot be read, or the new one cannot be written; nothing is left of it
/// then.
pub fn merge(
    root: impl AsRef<Path>,
    description: Description,
    blocks: &[Block],
) -> Result<Meta, BlockError> {
    let mut union = Union::default();
    let mut moved: Vec<Moved> = Vec::with_capacity(blocks.len());
    for block in blocks {
        let symbols = block.symbols()?;
        moved.push(union.add(&symbols, 0..symbols.nodes.len() as u32));
    }
    let symbols = union.finish(&mut moved);
    let sources: BTreeSet<&Source> = blocks
        .iter()
        .flat_map(|block| block.sources.iter().map(|placed| &placed.source))
        .collect();
    let sources: Vec<Source> = sources.into_iter().cloned().collect();
    let mut streams = blocks
        .iter()
        .zip(&moved)
        .map(|(block, moved)| Stream::new(block, moved, &sources))
        .collect::<Result<Vec<_>, _>>()?;
    let mut writer = BlockWriter::create(root.as_ref(), description, &symbols, sources)?;
    let mut next: BinaryHeap<Reverse<(Order, usize)>> = BinaryHeap::new();
    let mut row = Row::default();
    for (at, stream) in streams.iter_mut().enumerate() {
        next.extend(stream.order()?.map(|order| Reverse((order, at))));
    }
    let mut last = None;
    while let Some(Reverse((order, at))) = next.pop() {
        let stream = &mut streams[at];
        if last != Some(order) {
            stream.fill(&mut row)?;
            writer.push(&row)?;
            last = Some(order);
        }
        stream.advance();
        next.extend(stream.order()?.map(|order| Reverse((order, at))));
    }
    writer.finish()
}

/// Source, time and identity.
type Order = (usize, i64, [u8; 16]);

/// The profiles of one block, row group by row group.
struct Stream<'a> {
    groups: RowGroups<'a>,
    block: &'a Block,
    spans: std::vec::IntoIter<Span>,
    group: Option<Group>,
    moved: &'a Moved,
    /// Positions of the block's sources among those of the new one.
    sources: Vec<usize>,
    /// Which of the block's sources the next row is of.
    source: usize,
}

/// A row group that is in memory.
struct Group {
    names: Names,
    stacks: Stacks,
    values: Vec<Values>,
    /// The next row.
    at: usize,
}

impl<'a> Stream<'a> {
    fn new(block: &'a Block, moved: &'a Moved, sources: &[Source]) -> Result<Self, BlockError> {
        let groups = RowGroups::of(block)?;
        let all = block.sources.iter().map(|placed| placed.rows.clone());
        let spans = groups.spans(all).into_iter();
        let of_all = block.sources.iter().map(|placed| {
            let found = sources.binary_search(&placed.source);
            found.expect("the sources are those of all blocks")
        });
        Ok(Self {
            spans,
            block,
            group: None,
            moved,
            sources: of_all.collect(),
            source: 0,
            groups,
        })
    }

    /// Where the next row belongs, if there is one.
    fn order(&mut self) -> Result<Option<Order>, BlockError> {
        let is_at_end = |group: &Group| group.at == group.names.names.len();
        if self.group.as_ref().is_none_or(is_at_end) {
            // Before the next is read.
            self.group = None;
            let Some(span) = self.spans.next() else {
                return Ok(None);
            };
            self.group = Some(self.load(&span)?);
        }
        let Some(group) = &self.group else {
            return Ok(None);
        };
        let row = group.names.first + group.at as u64;
        let of_all = &self.block.sources;
        while of_all
            .get(self.source)
            .is_some_and(|placed| placed.rows.end <= row)
        {
            self.source += 1;
        }
        let (timestamp, id) = group.names.names[group.at];
        let source = self.sources.get(self.source).copied();
        let source = source.ok_or_else(|| {
            self.groups
                .fault(Fault::damaged("a profile is of no source"))
        })?;
        Ok(Some((source, timestamp, id)))
    }

    fn load(&self, span: &Span) -> Result<Group, BlockError> {
        let names = self.groups.names(span)?;
        let end = span.first + span.rows as u64;
        let of_all = self.block.sources.iter();
        let here = of_all.filter(|placed| placed.rows.start < end && placed.rows.end > span.first);
        let columns = here.map(|placed| placed.source.columns.len()).max();
        let columns: Vec<usize> = (0..columns.unwrap_or_default()).collect();
        let (stacks, values) = self.groups.samples(span, &columns)?;
        Ok(Group {
            names,
            stacks,
            values,
            at: 0,
        })
    }

    /// Makes the next row one of the new block.
    fn fill(&mut self, row: &mut Row) -> Result<(), BlockError> {
        let Some(order) = self.order()? else {
            return Ok(());
        };
        let Some(group) = &self.group else {
            return Ok(());
        };
        (row.source, row.timestamp, row.id) = order;
        row.stacks.clear();
        let stacks = group.stacks.0.get(group.at).iter();
        row.stacks
            .extend(stacks.map(|stack| stack_from_file(*stack)));
        let columns = self.block.sources[self.source].source.columns.len();
        row.columns.resize_with(columns, Vec::new);
        let fits = group.values.len() >= columns;
        for (values, of_group) in row.columns.iter_mut().zip(&group.values) {
            values.clear();
            values.extend(of_group.of(group.at));
        }
        if !fits
            || row
                .columns
                .iter()
                .any(|values| values.len() != row.stacks.len())
        {
            let fault = Fault::damaged("a profile has not one value for each stack");
            return Err(self.groups.fault(fault));
        }
        let known = |stack: &u32| stack_to_file(*stack) == 0 || self.moved.has(*stack);
        if !row.stacks.iter().all(known) {
            let fault = Fault::damaged("a profile has a stack that is not there");
            return Err(self.groups.fault(fault));
        }
        row.move_stacks(|stack| self.moved.stack(stack));
        Ok(())
    }

    fn advance(&mut self) {
        if let Some(group) = &mut self.group {
            group.at += 1;
        }
    }
}
