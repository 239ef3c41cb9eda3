use proto::querier::v1::{FlameGraph, Level};
use rustc_hash::FxHashMap;

use super::truncate::truncated;
use super::{ROOT, Tree};

impl Tree {
    /// Lays the tree out as a flame graph of the `max_nodes` largest nodes, plus
    /// the `other` nodes of [`Tree::truncate`].
    ///
    /// Each level is a row of groups of four values: offset from the end of the
    /// previous node of the row, total, self, index into `names`. Row 0 is
    /// `total`; the value of a node itself is left of its children, which are
    /// in the order of their names with `other` last.
    pub fn to_flamegraph(&self, max_nodes: usize) -> FlameGraph {
        if self.node_count() > max_nodes {
            return Layout::of(&truncated(self, max_nodes));
        }
        Layout::of(self)
    }
}

/// A flame graph under construction.
struct Layout<'t> {
    tree: &'t Tree,
    graph: FlameGraph,
    /// End of the last node of each row.
    row_ends: Vec<i64>,
    /// Index into the names of the graph by name of the tree.
    names: FxHashMap<u32, i64>,
}

impl<'t> Layout<'t> {
    fn of(tree: &'t Tree) -> FlameGraph {
        let totals = tree.totals();
        let mut layout = Self {
            tree,
            graph: FlameGraph {
                total: totals[0],
                ..FlameGraph::default()
            },
            row_ends: Vec::new(),
            names: FxHashMap::default(),
        };
        let mut pending = vec![(ROOT, 0, 0)];
        let mut children = Vec::new();
        while let Some((node, x, row)) = pending.pop() {
            layout.place(node, totals[node as usize], x, row);
            tree.children_descending(node, &mut children);
            children.sort_by_key(|child| tree.name(*child) != super::OTHER);
            let self_value = tree.nodes[node as usize].self_value;
            let mut end = x.saturating_add(self_value);
            let first = pending.len();
            for child in children.iter().rev() {
                pending.push((*child, end, row + 1));
                end = end.saturating_add(totals[*child as usize]);
            }
            // The leftmost child goes first, so that rows fill from the left.
            pending[first..].reverse();
        }
        layout.graph
    }

    fn place(&mut self, node: u32, total: i64, x: i64, row: usize) {
        if row == self.row_ends.len() {
            self.row_ends.push(0);
            self.graph.levels.push(Level::default());
        }
        let name = self.name(node);
        let self_value = self.tree.nodes[node as usize].self_value;
        let offset = x.saturating_sub(self.row_ends[row]);
        let values = &mut self.graph.levels[row].values;
        values.extend([offset, total, self_value, name]);
        self.row_ends[row] = x.saturating_add(total);
        self.graph.max_self = self.graph.max_self.max(self_value);
    }

    fn name(&mut self, node: u32) -> i64 {
        let names = &mut self.graph.names;
        if node == ROOT {
            names.push("total".to_owned());
            return 0;
        }
        let id = self.tree.nodes[node as usize].name;
        *self.names.entry(id).or_insert_with(|| {
            names.push(self.tree.name(node).to_owned());
            names.len() as i64 - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(graph: &FlameGraph) -> Vec<Vec<i64>> {
        graph.levels.iter().map(|l| l.values.clone()).collect()
    }

    #[test]
    fn rows_are_delta_encoded() {
        let mut tree = Tree::default();
        tree.insert(["main", "foo", "deep"], 6);
        tree.insert(["main", "foo", "bar"], 5);
        tree.insert(["main", "foo"], 1);
        tree.insert(["main", "deep"], 9);
        let graph = tree.to_flamegraph(100);
        assert_eq!(graph.names, ["total", "main", "deep", "foo", "bar"]);
        assert_eq!(
            rows(&graph),
            [
                vec![0, 21, 0, 0],
                vec![0, 21, 0, 1],
                vec![0, 9, 9, 2, 0, 12, 1, 3],
                vec![10, 5, 5, 4, 0, 6, 6, 2],
            ]
        );
        assert_eq!((graph.total, graph.max_self), (21, 9));
    }

    #[test]
    fn the_empty_graph_is_total_alone() {
        let graph = Tree::default().to_flamegraph(10);
        assert_eq!(graph.names, ["total"]);
        assert_eq!(rows(&graph), [[0, 0, 0, 0]]);
        assert_eq!(graph.total, 0);
    }

    #[test]
    fn what_is_cut_becomes_other() {
        let mut tree = Tree::default();
        tree.insert(["main", "zoo"], 10);
        tree.insert(["main", "bar"], 2);
        tree.insert(["main", "foo", "baz"], 1);
        let graph = tree.to_flamegraph(2);
        assert_eq!(graph.names, ["total", "main", "zoo", "other"]);
        assert_eq!(rows(&graph)[2], [0, 10, 10, 2, 0, 3, 3, 3]);
        assert_eq!(graph.total, 13);
        assert_eq!(
            rows(&tree.to_flamegraph(0)),
            [vec![0, 13, 0, 0], vec![0, 13, 13, 1]]
        );
    }
}
