use std::cmp::Reverse;

use super::{ROOT, Tree};

/// What one function costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntry {
    /// Name of the function.
    pub function: String,
    /// Value of the stacks that end in it.
    pub self_value: i64,
    /// Value of the stacks that contain it; recursion counts once.
    pub total: i64,
}

/// A step of the walk through the tree.
enum Step {
    Enter(u32),
    Leave(u32),
}

impl Tree {
    /// Returns the `n` functions with the largest self value.
    pub fn top(&self, n: usize) -> Vec<TopEntry> {
        let mut entries = self.functions();
        let order = |e: &TopEntry| (Reverse(e.self_value), Reverse(e.total));
        entries.sort_unstable_by(|a, b| {
            order(a)
                .cmp(&order(b))
                .then_with(|| a.function.cmp(&b.function))
        });
        entries.truncate(n);
        entries
    }

    fn functions(&self) -> Vec<TopEntry> {
        let entry = |name: &std::sync::Arc<str>| TopEntry {
            function: name.to_string(),
            self_value: 0,
            total: 0,
        };
        let mut entries: Vec<TopEntry> = self.names.iter().map(entry).collect();
        let mut seen = vec![false; entries.len()];
        let mut on_path = vec![0_u32; entries.len()];
        let totals = self.totals();
        let mut children = Vec::new();
        let mut steps = vec![];
        self.children_descending(ROOT, &mut children);
        steps.extend(children.iter().copied().map(Step::Enter));
        while let Some(step) = steps.pop() {
            let (Step::Enter(node) | Step::Leave(node)) = step;
            let name = self.nodes[node as usize].name as usize;
            if matches!(step, Step::Leave(_)) {
                on_path[name] -= 1;
                continue;
            }
            let entry = &mut entries[name];
            seen[name] = true;
            let self_value = self.nodes[node as usize].self_value;
            entry.self_value = entry.self_value.saturating_add(self_value);
            if on_path[name] == 0 {
                entry.total = entry.total.saturating_add(totals[node as usize]);
            }
            on_path[name] += 1;
            steps.push(Step::Leave(node));
            self.children_descending(node, &mut children);
            steps.extend(children.iter().copied().map(Step::Enter));
        }
        let mut seen = seen.into_iter();
        entries.retain(|_| seen.next() == Some(true));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_counts_once() {
        let mut tree = Tree::default();
        tree.insert(["main", "fib", "fib", "fib"], 5);
        tree.insert(["main", "fib"], 1);
        tree.insert(["main", "io"], 4);
        let entry = |function: &str, self_value, total| TopEntry {
            function: function.into(),
            self_value,
            total,
        };
        assert_eq!(tree.top(2), [entry("fib", 6, 6), entry("io", 4, 4)]);
        assert_eq!(tree.top(10)[2], entry("main", 0, 10));
        assert_eq!(tree.top(10).len(), 3);
    }
}
