//! Call trees in binary: nodes as in `nodes.rs`, one per function; the
//! first is the root and has no name.

use super::nodes::Nodes;
use super::stacks::{ROOT, Rows, Stack, Stacks};
use super::{Column, Context, IngestError, Series};
use crate::pprof::Limits;

/// Parses a tree; what the root itself has is no stack and does not count.
///
/// # Errors
/// Bytes that are cut short or follow the last node, names that are not UTF-8,
/// an unknown profile type, or a profile beyond the limits.
pub fn parse(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    let column = Column::of(context)?;
    let mut stacks = Stacks::new(limits);
    let mut rows = Rows::new(limits);
    let mut nodes = Nodes::new(body);
    let root = nodes.read()?;
    // Nodes that have children left to read. Each has at least one, which is
    // bytes, so there are never more of them than bytes.
    let mut open: Vec<(Stack, u64)> = vec![(ROOT, root.children)];
    while let Some((parent, left)) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let parent = *parent;
        let node = nodes.read()?;
        let name = std::str::from_utf8(node.name)
            .map_err(|_| nodes.malformed("a name that is not UTF-8 before"))?;
        let stack = stacks.call(parent, name)?;
        rows.add(stack, (), [column.scale(node.value), 0])?;
        if node.children > 0 {
            open.push((stack, node.children));
        }
    }
    if !nodes.is_at_end() {
        return Err(nodes.malformed("bytes after the last node"));
    }
    context.series(&column, &stacks, &rows, limits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, folded};
    use super::*;

    const TREE: &[u8] =
        b"\x00\x05\x01\x04main\x00\x02\x03foo\x01\x01\x03bar\x02\x00\x03bar\x04\x00";

    #[test]
    fn each_node_with_a_value_is_a_stack() {
        let series = parse(TREE, &context("app.live"), &Limits::default()).unwrap();
        assert_eq!(
            folded(&series),
            [
                "memory live:count main;foo 1",
                "memory live:count main;foo;bar 2",
                "memory live:count main;bar 4",
            ]
        );
        assert!(
            parse(b"\0\0\0", &context("app"), &Limits::default())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_cut_and_every_surplus_is_an_error() {
        let long = [TREE, b"\0"].concat();
        for bytes in (1..TREE.len()).map(|end| &TREE[..end]).chain([&*long]) {
            let error = parse(bytes, &context("app"), &Limits::default()).unwrap_err();
            assert!(error.is_malformed(), "{error}");
        }
    }
}
