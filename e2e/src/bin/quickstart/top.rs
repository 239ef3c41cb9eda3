//! The most expensive functions of a flame graph.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Numbers per node in a level of the flame graph: offset from the end of the
/// node to the left, total, self, index of the name.
const NODE: usize = 4;

/// Cost of one function in all stacks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Cost {
    own: i64,
    total: i64,
}

/// One node, at its place from the left.
struct Node<'a> {
    start: i64,
    end: i64,
    name: &'a str,
    /// Names of all nodes below which it stands: a recursive function counts once.
    callers: HashSet<&'a str>,
}

/// Returns the sum of all samples.
pub(crate) fn total(flamegraph: &Value) -> i64 {
    number(&flamegraph["total"]).unwrap_or(0)
}

/// Formats the `rows` functions of largest own cost, in nanoseconds of CPU time.
///
/// # Errors
///
/// Fails when the flame graph is not one.
pub(crate) fn table(flamegraph: &Value, rows: usize) -> Result<String> {
    let total = total(flamegraph).max(1);
    let mut costs: Vec<_> = costs(flamegraph)?.into_iter().collect();
    costs.sort_by_key(|(name, cost)| (-cost.own, -cost.total, *name));
    let mut out = format!(
        "{:>9} {:>6} {:>9} {:>6}  FUNCTION\n",
        "SELF", "", "TOTAL", ""
    );
    for (name, cost) in costs.into_iter().take(rows) {
        writeln!(
            out,
            "{} {} {} {}  {name}",
            seconds(cost.own),
            percent(cost.own, total),
            seconds(cost.total),
            percent(cost.total, total)
        )?;
    }
    Ok(out)
}

fn seconds(nanos: i64) -> String {
    format!("{:>8.2}s", nanos as f64 / 1e9)
}

fn percent(part: i64, whole: i64) -> String {
    format!("{:>5.1}%", 100.0 * part as f64 / whole as f64)
}

fn costs(flamegraph: &Value) -> Result<HashMap<&str, Cost>> {
    let names: Vec<&str> = list(&flamegraph["names"])?
        .iter()
        .map(|name| name.as_str().unwrap_or_default())
        .collect();
    let mut costs = HashMap::<&str, Cost>::new();
    let mut above = Vec::<Node<'_>>::new();
    for (depth, level) in list(&flamegraph["levels"])?.iter().enumerate() {
        let values = list(&level["values"])?;
        let mut nodes = Vec::new();
        let mut end = 0;
        for node in values.chunks_exact(NODE) {
            let start = end + number(&node[0])?;
            let (total, own) = (number(&node[1])?, number(&node[2])?);
            let index = usize::try_from(number(&node[3])?).context("negative name index")?;
            let name = *names.get(index).context("name index out of range")?;
            end = start + total;
            let callers = callers(&above, start);
            // The root, at depth 0, is the sum and no function.
            if depth > 0 {
                let cost = costs.entry(name).or_default();
                cost.own += own;
                if !callers.contains(name) {
                    cost.total += total;
                }
            }
            nodes.push(Node {
                start,
                end,
                name,
                callers,
            });
        }
        above = nodes;
    }
    Ok(costs)
}

/// Returns the names above position `start`, given the level above it.
fn callers<'a>(above: &[Node<'a>], start: i64) -> HashSet<&'a str> {
    let parent = above
        .iter()
        .find(|node| node.start <= start && start < node.end);
    parent.map_or_else(HashSet::new, |parent| {
        let mut callers = parent.callers.clone();
        callers.insert(parent.name);
        callers
    })
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("flame graph lacks a list")
}

/// Reads a 64-bit number, which protobuf's JSON writes as text.
fn number(value: &Value) -> Result<i64> {
    match value {
        Value::String(text) => text.parse().with_context(|| format!("number {text:?}")),
        other => other.as_i64().with_context(|| format!("number {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_a_recursive_function_once() {
        // main(10) -> f(8, own 1) -> f(7, own 3) -> g(4), and main -> g(2).
        let flamegraph = json!({
            "names": ["total", "main", "f", "g"],
            "levels": [
                {"values": ["0", "10", "0", "0"]},
                {"values": ["0", "10", "0", "1"]},
                {"values": ["0", "8", "1", "2", "0", "2", "2", "3"]},
                {"values": ["0", "7", "3", "2"]},
                {"values": ["3", "4", "4", "3"]},
            ],
            "total": "10",
        });
        let costs = costs(&flamegraph).unwrap();
        assert_eq!(costs["main"], Cost { own: 0, total: 10 });
        assert_eq!(costs["f"], Cost { own: 4, total: 8 });
        assert_eq!(costs["g"], Cost { own: 6, total: 6 });
        assert!(!costs.contains_key("total"));
    }

    #[test]
    fn refuses_what_is_no_flame_graph() {
        assert!(
            table(
                &json!({"names": [], "levels": [{"values": ["0", "1", "1", "9"]}]}),
                3
            )
            .is_err()
        );
        assert!(table(&json!({}), 3).is_err());
    }
}
