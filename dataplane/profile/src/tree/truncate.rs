use super::{NONE, OTHER, ROOT, Tree};

/// Returns the tree with its `max_nodes` largest nodes and an `other` node in
/// place of what was cut off below each.
pub(super) fn truncated(tree: &Tree, max_nodes: usize) -> Tree {
    let keep = largest(&tree.totals(), max_nodes);
    let mut small = Tree::default();
    let other = small.name_id(OTHER);
    // For a node that is cut, where its value goes.
    let mut moved: Vec<u32> = Vec::with_capacity(tree.nodes.len());
    let mut cut_at = vec![false; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate() {
        let to = match node.parent {
            NONE => ROOT,
            parent if cut_at[parent as usize] => {
                cut_at[at] = true;
                moved[parent as usize]
            }
            parent if keep[at] => {
                let name = small.name_id(tree.name(at as u32));
                small.child(moved[parent as usize], name)
            }
            parent => {
                cut_at[at] = true;
                small.child(moved[parent as usize], other)
            }
        };
        moved.push(to);
        small.add_self(to, node.self_value);
    }
    small
}

/// Marks the root and the `max_nodes` other nodes with the largest totals; of
/// equal ones the earlier, so that a node is never kept without its parent.
pub(super) fn largest(totals: &[i64], max_nodes: usize) -> Vec<bool> {
    let mut keep = vec![true; totals.len()];
    let nodes = totals.len() - 1;
    if nodes <= max_nodes {
        return keep;
    }
    let mut order: Vec<usize> = (1..=nodes).collect();
    order.select_nth_unstable_by_key(max_nodes, |at| (std::cmp::Reverse(totals[*at]), *at));
    for at in &order[max_nodes..] {
        keep[*at] = false;
    }
    keep
}
