//! How much of a flame graph is in a function.

use std::ops::Range;

use serde_json::Value;

/// Returns the part of the graph's total, from 0 to 1, that is in functions whose
/// name has `function` in it, whatever they call included. An empty graph has
/// nothing in it.
pub(crate) fn share(graph: &Value, function: &str) -> f64 {
    let names = graph["names"].as_array().map_or(&[][..], Vec::as_slice);
    let is_meant = |name: i64| {
        let name = usize::try_from(name).ok().and_then(|name| names.get(name));
        name.and_then(Value::as_str)
            .is_some_and(|name| name.contains(function))
    };
    // What calls itself counts once: by its outermost call.
    let mut found: Vec<Range<i64>> = Vec::new();
    for level in graph["levels"].as_array().into_iter().flatten() {
        for (place, name) in nodes(level) {
            let within = found.iter().any(|outer| outer.contains(&place.start));
            if is_meant(name) && !within {
                found.push(place);
            }
        }
    }
    let sum: i64 = found.iter().map(|place| place.end - place.start).sum();
    match number(&graph["total"]) {
        0 => 0.0,
        total => sum as f64 / total as f64,
    }
}

/// Returns place and name of each node of a level, which is in groups of four:
/// distance from the end of the one before, total, self, name.
fn nodes(level: &Value) -> Vec<(Range<i64>, i64)> {
    let values: Vec<i64> = level["values"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(number)
        .collect();
    let mut end = 0;
    values
        .chunks_exact(4)
        .map(|node| {
            let start = end + node[0];
            end = start + node[1];
            (start..end, node[3])
        })
        .collect()
}

/// Reads a 64-bit number of protobuf's JSON, which is text.
fn number(value: &Value) -> i64 {
    value
        .as_str()
        .map_or(0, |text| text.parse().expect("a number"))
}
