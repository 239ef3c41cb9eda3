//! Tries of collapsed stacks in binary: nodes as in `nodes.rs`, whose
//! names put together give the text `main;foo;bar`, cut anywhere.

use super::nodes::Nodes;
use super::stacks::{ROOT, Rows, Stack, Stacks};
use super::{Column, Context, IngestError, Series};
use crate::pprof::Limits;

/// Most bytes of the ends of names that nodes share, counted for each node that
/// has a value: each of those is looked up. Those of real tries come to a few
/// times their size.
const MAX_LOOKUP_BYTES: usize = 256 << 20;

/// Parses tries, one after the other.
///
/// # Errors
/// Bytes that are cut short, names that are not UTF-8, an unknown profile type,
/// or a profile beyond the limits.
pub fn parse(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    parse_within(body, context, limits, MAX_LOOKUP_BYTES)
}

fn parse_within(
    body: &[u8],
    context: &Context,
    limits: &Limits,
    lookup_bytes: usize,
) -> Result<Vec<Series>, IngestError> {
    let column = Column::of(context)?;
    let mut rows = Rows::new(limits);
    let mut path = Path::new(limits, lookup_bytes);
    let mut nodes = Nodes::new(body);
    while !nodes.is_at_end() {
        let node = nodes.read()?;
        let position = path.enter(node.name, nodes.at())?;
        if node.value > 0 {
            let stack = path.stack(position, nodes.at())?;
            rows.add(stack, (), [column.scale(node.value), 0])?;
        }
        path.leave(position, node.children);
    }
    if !path.open.is_empty() {
        return Err(nodes.malformed("a trie that is cut short"));
    }
    context.series(&column, &path.stacks, &rows, limits)
}

/// Where in a trie a node is.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// The calls whose names are complete.
    calls: Stack,
    /// Where the name that is not complete begins in the text.
    begin: usize,
    /// How long the text of the node is.
    end: usize,
}

#[derive(Debug)]
struct Path {
    stacks: Stacks,
    /// The name that is not complete, of each node above that has such a part.
    text: Vec<u8>,
    /// Nodes with children left to read.
    open: Vec<(Position, u64)>,
    /// Bytes of names that may still be looked up.
    lookup_bytes: usize,
}

impl Path {
    fn new(limits: &Limits, lookup_bytes: usize) -> Self {
        Self {
            stacks: Stacks::new(limits),
            text: Vec::new(),
            open: Vec::new(),
            lookup_bytes,
        }
    }

    /// Goes to the next node and adds what its name completes.
    fn enter(&mut self, suffix: &[u8], at: usize) -> Result<Position, IngestError> {
        let parent = self.open.last().map_or(
            Position {
                calls: ROOT,
                begin: 0,
                end: 0,
            },
            |(parent, _)| *parent,
        );
        self.text.truncate(parent.end);
        let mut position = parent;
        let mut parts = suffix.split(|byte| *byte == b';').peekable();
        while let Some(part) = parts.next() {
            self.text.extend_from_slice(part);
            position.end = self.text.len();
            if parts.peek().is_some() {
                position.calls = self.stack(position, at)?;
                position.begin = position.end;
            }
        }
        Ok(position)
    }

    /// Returns the stack of a node: its calls and what it has of a further name.
    fn stack(&mut self, position: Position, at: usize) -> Result<Stack, IngestError> {
        let name = &self.text[position.begin..position.end];
        if name.is_empty() {
            return Ok(position.calls);
        }
        self.lookup_bytes = self.lookup_bytes.checked_sub(name.len()).ok_or_else(|| {
            IngestError::Malformed(format!("a trie with too many long names at byte {at}"))
        })?;
        let name = std::str::from_utf8(name).map_err(|_| {
            IngestError::Malformed(format!("a name that is not UTF-8 before byte {at}"))
        })?;
        self.stacks.call(position.calls, name)
    }

    /// Goes on to the children, or to the next node that is left of those above.
    fn leave(&mut self, position: Position, children: u64) {
        if children > 0 {
            self.open.push((position, children));
            return;
        }
        while let Some((_, left)) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            self.open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, folded};
    use super::*;

    fn node(name: &str, value: u8, children: u8) -> Vec<u8> {
        [&[name.len() as u8], name.as_bytes(), &[value, children]].concat()
    }

    fn trie() -> Vec<u8> {
        [
            node("", 0, 2),
            node("ma", 0, 2),
            node("in;f", 1, 2),
            node("oo;b", 0, 2),
            node("ar", 2, 0),
            node("az", 3, 0),
            node("", 10, 0),
            node("p", 4, 0),
            node("other;x", 5, 0),
        ]
        .concat()
    }

    #[test]
    fn names_are_put_together_from_their_parts() {
        let series = parse(&trie(), &context("app.live"), &Limits::default()).unwrap();
        assert_eq!(
            folded(&series),
            [
                "memory live:count main;f 11",
                "memory live:count main;foo;bar 2",
                "memory live:count main;foo;baz 3",
                "memory live:count map 4",
                "memory live:count other;x 5",
            ]
        );
        assert!(
            parse(b"\0\0\0", &context("app"), &Limits::default())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn characters_may_be_cut_between_nodes() {
        let name = "é".as_bytes();
        let bytes = [&[1, name[0], 0, 1][..], &[1, name[1], 7, 0]].concat();
        let series = parse(&bytes, &context("app.live"), &Limits::default()).unwrap();
        assert_eq!(folded(&series), ["memory live:count é 7"]);
        let error = parse(&bytes[..3], &context("app"), &Limits::default()).unwrap_err();
        assert!(error.is_malformed(), "{error}");
    }

    #[test]
    fn every_cut_is_an_error() {
        let trie = trie();
        for end in 1..trie.len() {
            let error = parse(&trie[..end], &context("app"), &Limits::default()).unwrap_err();
            assert!(error.is_malformed(), "{end}: {error}");
        }
    }

    #[test]
    fn one_long_name_looked_up_often_is_refused() {
        let mut bytes = vec![0x80, 0x80, 0x04];
        bytes.extend(vec![b'a'; 1 << 16]);
        bytes.extend([0, 0xff, 0xff, 0x7f]);
        bytes.extend([1, b'x', 1, 0].repeat(1 << 7));
        let error = parse_within(&bytes, &context("app"), &Limits::default(), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("long names"), "{error}");
    }
}
