//! Results as a table, against the limits that this project sets itself.

use std::fmt::Write;

use crate::gossip::{Comparison, Converged, Results, Sides, Steady};
use crate::machine::Machine;
use crate::procfs::Traffic;
use crate::statistics::{median, worst};

/// Greatest ratios to dskit.
const LATENCY: f64 = 1.0;
const CPU: f64 = 1.0 / 3.0;
const MEMORY: f64 = 1.0 / 3.0;
const BYTES: f64 = 0.5;

struct Row {
    what: &'static str,
    unit: &'static str,
    values: Sides<f64>,
    /// Greatest ratio; `None` for what only explains the others.
    limit: Option<f64>,
}

/// Writes the last comparison for people, as Markdown; the first comes with a
/// word on the machine.
pub fn latest(results: &Results) -> String {
    let mut text = String::new();
    if results.comparisons.len() == 1 {
        machine(&mut text, &results.machine);
    }
    if let Some(comparison) = results.comparisons.last() {
        table(&mut text, comparison);
    }
    text
}

/// Writes what is to be known of the machine.
pub(crate) fn machine(text: &mut String, machine: &Machine) {
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "\n{} cores ({}), Linux {}, load average before {}",
        machine.cores, machine.processor, machine.kernel, machine.load
    );
    if !machine.is_quiet() {
        let _ = writeln!(
            text,
            "WARNING: {:.1} cores were busy before the run: times, and the machine's CPU, mean little",
            machine.busy_cores
        );
    }
}

fn table(text: &mut String, comparison: &Comparison) {
    let _ = writeln!(text, "\n### {} nodes\n", comparison.nodes);
    let header = ["", "Rust", "dskit", "unit", "ratio", "limit", ""];
    line(text, header.map(str::to_owned));
    line(
        text,
        ["-", "-:", "-:", "-", "-:", "-:", "-"].map(str::to_owned),
    );
    for row in rows(comparison) {
        let ratio = row.values.rust / row.values.go;
        line(
            text,
            [
                row.what.to_owned(),
                figure(row.values.rust),
                figure(row.values.go),
                row.unit.to_owned(),
                format!("{ratio:.2}"),
                row.limit
                    .map_or_else(String::new, |limit| format!("{limit:.2}")),
                row.limit
                    .map_or("", |limit| verdict(ratio, limit))
                    .to_owned(),
            ],
        );
    }
}

fn line(text: &mut String, [what, rust, go, unit, ratio, limit, verdict]: [String; 7]) {
    let _ = writeln!(
        text,
        "| {what:<42} | {rust:>8} | {go:>8} | {unit:<8} | {ratio:>5} | {limit:>5} | {verdict:<4} |"
    );
}

/// Judges a ratio. Chance alone makes two runs of one program differ by some
/// percent, so what is meant to be equal is not over at once.
fn verdict(ratio: f64, limit: f64) -> &'static str {
    const CHANCE: f64 = 1.05;
    match ratio {
        _ if ratio <= limit => "PASS",
        _ if limit == LATENCY && ratio <= CHANCE => "EVEN",
        _ => "OVER",
    }
}

/// Three digits that matter, never an exponent.
pub(crate) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    let mut rows = times(comparison);
    rows.extend(costs(&comparison.steady));
    rows
}

fn times(comparison: &Comparison) -> Vec<Row> {
    let row = |what, unit, values, limit| Row {
        what,
        unit,
        values,
        limit,
    };
    let joined = |rounds: &Vec<Converged>| {
        let seconds: Vec<f64> = rounds.iter().map(|round| round.seconds).collect();
        median(&seconds)
    };
    let joined = both(&comparison.converged, joined);
    let value = |of: fn(&Steady) -> f64| both(&comparison.steady, of);
    let half = value(|steady| 1e3 * median(&steady.half));
    let all = value(|steady| 1e3 * median(&steady.all));
    let all_worst = value(|steady| 1e3 * worst(&steady.all));
    let mut rows = vec![
        row("join: all know all, median", "s", joined, Some(LATENCY)),
        row("value reaches half, median", "ms", half, Some(LATENCY)),
        row("value reaches all, median", "ms", all, Some(LATENCY)),
        row("value reaches all, worst", "ms", all_worst, None),
    ];
    let stragglers = |rounds: &Vec<Converged>| -> f64 {
        let all: usize = rounds.iter().map(|round| round.stragglers).sum();
        all as f64
    };
    let stragglers = both(&comparison.converged, stragglers);
    if stragglers.rust + stragglers.go > 0.0 {
        rows.insert(
            1,
            row("join: do not know all in time", "nodes", stragglers, None),
        );
    }
    if let Some(detected) = &comparison.detected {
        let first = both(detected, |detected| median(&detected.first));
        let last = both(detected, |detected| median(&detected.last));
        let last_worst = both(detected, |detected| worst(&detected.last));
        rows.extend([
            row("crash: first knows, median", "s", first, Some(LATENCY)),
            row("crash: all know, median", "s", last, Some(LATENCY)),
            row("crash: all know, worst", "s", last_worst, None),
        ]);
    }
    rows
}

fn costs(steady: &Sides<Steady>) -> Vec<Row> {
    let row = |what, unit, limit, of: fn(&Steady) -> f64| Row {
        what,
        unit,
        values: both(steady, of),
        limit,
    };
    let (cpu, memory, bytes) = (Some(CPU), Some(MEMORY), Some(BYTES));
    let mut rows = vec![
        row("idle: CPU of a node", "ms/s", cpu, |s| 1e3 * s.cpu),
        row("idle: CPU of the machine, per node", "ms/s", None, |s| {
            1e3 * s.machine_cpu
        }),
        row("idle: resident memory (RSS)", "MiB", memory, |s| {
            s.memory.rss / MIB
        }),
        row("idle: share of resident memory (PSS)", "MiB", memory, |s| {
            s.memory.pss / MIB
        }),
        row("idle: payload sent", "B/s", bytes, |s| s.payload_bytes),
        row("idle: gossip packets sent", "1/s", None, |s| s.packets),
    ];
    if let (Some(rust), Some(go)) = (&steady.rust.traffic, &steady.go.traffic) {
        let row = |what, unit, limit, of: fn(&Traffic) -> f64| Row {
            what,
            unit,
            values: Sides {
                rust: of(rust),
                go: of(go),
            },
            limit,
        };
        rows.extend([
            row("idle: bytes on the wire", "B/s", bytes, |t| t.bytes),
            row("idle: IP packets", "1/s", None, |t| t.packets),
            row("idle: TCP connections", "1/s", None, |t| t.connections),
        ]);
    }
    rows
}

const MIB: f64 = 1024.0 * 1024.0;

fn both<T>(sides: &Sides<T>, of: impl Fn(&T) -> f64) -> Sides<f64> {
    Sides {
        rust: of(&sides.rust),
        go: of(&sides.go),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_may_be_even() {
        assert_eq!(verdict(1.0, LATENCY), "PASS");
        assert_eq!(verdict(1.04, LATENCY), "EVEN");
        assert_eq!(verdict(1.06, LATENCY), "OVER");
        assert_eq!(verdict(0.34, CPU), "OVER");
        assert_eq!(verdict(f64::NAN, CPU), "OVER");
    }
}
