//! Results as tables, against the limits that this project sets itself.

use std::fmt::Write;

use super::plan::{Case, Isolation, Measured, Results};
use crate::report::{figure, machine};
use crate::statistics::{median, worst};

const MIB: f64 = 1024.0 * 1024.0;

/// Greatest processor time per profile, in that of the floor: one node that syncs
/// to disk, and all nodes together that keep three replicas.
const CPU_ONE: f64 = 2.0;
const CPU_REPLICATED: f64 = 5.0;
/// Greatest resident memory of one node, in bytes.
const RESIDENT: f64 = 80.0 * MIB;
/// Greatest p99 of pushes, in their p50; one sync to disk comes on top.
const TAIL: f64 = 3.0;
/// Greatest latency beside other work, in the latency without it. Two cores that
/// serve as many queries and pushes as there can be give each a part.
const BESIDE: f64 = 3.0;

/// What the Go original takes for the same, measured on another machine and
/// without a log: seconds of processor time per 1,000 profiles and resident bytes,
/// of all nodes together.
const GO: [(usize, f64, f64); 2] = [(1, 3.6, 286.0 * MIB), (3, 8.1, 725.0 * MIB)];

/// One line of a table.
#[derive(Default)]
struct Row {
    what: &'static str,
    ours: String,
    unit: &'static str,
    reference: String,
    ratio: String,
    limit: String,
    verdict: &'static str,
    go: String,
}

/// Writes what was measured last for people, as Markdown; the first case comes with
/// a word on the machine.
pub fn latest(results: &Results) -> String {
    let mut text = String::new();
    if results.cases.len() <= 1 && results.isolation.is_none() {
        machine(&mut text, &results.machine);
    }
    match (&results.isolation, results.cases.last()) {
        (Some(isolation), _) => {
            title(
                &mut text,
                "Pushes and queries beside each other, one node",
                "alone",
            );
            table(&mut text, &isolation_rows(isolation));
        }
        (None, Some(case)) => {
            let profiles = case.runs.first().map_or(0, |run| run.pushed.profiles);
            let what = format!(
                "Push: nodes {}, replication factor {0}, profiles {profiles}, median of {}",
                case.nodes,
                case.runs.len()
            );
            title(&mut text, &what, "floor");
            table(&mut text, &case_rows(results, case));
        }
        (None, None) => {}
    }
    text
}

fn title(text: &mut String, what: &str, reference: &'static str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n### {what}\n");
    let header = Row {
        ours: "ours".to_owned(),
        unit: "unit",
        reference: reference.to_owned(),
        ratio: "ratio".to_owned(),
        limit: "limit".to_owned(),
        go: "Go elsewhere".to_owned(),
        ..Row::default()
    };
    line(text, &header);
    let _ = writeln!(text, "|-|-:|-|-:|-:|-:|-|-:|");
}

fn table(text: &mut String, rows: &[Row]) {
    for row in rows {
        line(text, row);
    }
}

fn line(text: &mut String, row: &Row) {
    let Row {
        what,
        ours,
        unit,
        reference,
        ratio,
        limit,
        verdict,
        go,
    } = row;
    let _ = writeln!(
        text,
        "| {what:<40} | {ours:>8} | {unit:<5} | {reference:>8} | {ratio:>6} | {limit:>8} | {verdict:<4} | {go:>12} |"
    );
}

fn case_rows(results: &Results, case: &Case) -> Vec<Row> {
    let go = GO.iter().find(|(nodes, ..)| *nodes == case.nodes);
    let of = |value: fn(&Measured) -> f64| over(&case.runs, value);
    let cpu_limit = if case.nodes == 1 {
        CPU_ONE
    } else {
        CPU_REPLICATED
    };
    let cpu = of(cpu_per_1000);
    let floor = over(&results.floor, cpu_per_1000);
    let resident = of(|run| run.resident.iter().sum());
    let mut rows = vec![
        Row {
            what: "CPU per 1,000 profiles, all nodes",
            ours: figure(cpu),
            unit: "s",
            reference: figure(floor),
            ratio: figure(cpu / floor),
            limit: figure(cpu_limit),
            verdict: verdict(cpu / floor, cpu_limit),
            go: go.map_or_else(String::new, |(_, cpu, _)| figure(*cpu)),
        },
        Row {
            what: "resident memory at the end, all nodes",
            ours: figure(resident / MIB),
            unit: "MiB",
            reference: figure(over(&results.floor, |run| run.resident.iter().sum()) / MIB),
            go: go.map_or_else(String::new, |(.., bytes)| figure(bytes / MIB)),
            ..Row::default()
        },
    ];
    let largest = worst(
        &case
            .runs
            .iter()
            .flat_map(|run| run.resident.clone())
            .collect::<Vec<_>>(),
    );
    rows.push(Row {
        what: "resident memory of the largest node",
        ours: figure(largest / MIB),
        unit: "MiB",
        limit: figure(RESIDENT / MIB),
        verdict: verdict(largest, RESIDENT),
        ..Row::default()
    });
    rows.extend(latency_rows(results, case));
    let received = of(|run| run.pushed.bytes as f64);
    rows.push(Row {
        what: "bytes in write-ahead logs, of received",
        ours: figure(of(|run| run.wal_bytes as f64) / MIB),
        unit: "MiB",
        reference: figure(received / MIB),
        ratio: figure(of(|run| run.wal_bytes as f64) / received),
        ..Row::default()
    });
    rows
}

fn latency_rows(results: &Results, case: &Case) -> Vec<Row> {
    let row = |what, unit, value: fn(&Measured) -> f64| Row {
        what,
        ours: figure(over(&case.runs, value)),
        unit,
        reference: figure(over(&results.floor, value)),
        ..Row::default()
    };
    let p50 = over(&case.runs, |run| 1e3 * run.pushed.latency.p50);
    let p99 = over(&case.runs, |run| 1e3 * run.pushed.latency.p99);
    let limit = TAIL.mul_add(p50, 1e3 * results.fsync.p50);
    let mut tail = row("push latency p99", "ms", |run| 1e3 * run.pushed.latency.p99);
    tail.limit = figure(limit);
    tail.verdict = verdict(p99, limit);
    vec![
        row("push latency p50", "ms", |run| 1e3 * run.pushed.latency.p50),
        tail,
        row("pushes per second", "1/s", |run| {
            run.pushed.profiles as f64 / run.pushed.seconds
        }),
        Row {
            what: "one fsync on this disk, p50",
            ours: figure(1e3 * results.fsync.p50),
            unit: "ms",
            ..Row::default()
        },
        Row {
            what: "one fsync on this disk, p99",
            ours: figure(1e3 * results.fsync.p99),
            unit: "ms",
            ..Row::default()
        },
    ]
}

fn isolation_rows(isolation: &Isolation) -> Vec<Row> {
    let row = |what, beside: f64, alone: f64, limit: Option<f64>| Row {
        what,
        ours: figure(1e3 * beside),
        unit: "ms",
        reference: figure(1e3 * alone),
        ratio: figure(beside / alone),
        limit: limit.map_or_else(String::new, figure),
        verdict: limit.map_or("", |limit| verdict(beside / alone, limit)),
        go: String::new(),
    };
    let (pushes, queries) = (&isolation.pushes.latency, &isolation.queries.latency);
    let pushes_beside = &isolation.pushes_beside_queries.latency;
    let queries_beside = &isolation.queries_beside_pushes.latency;
    vec![
        row(
            "push p50 beside heavy queries",
            pushes_beside.p50,
            pushes.p50,
            None,
        ),
        row(
            "push p99 beside heavy queries",
            pushes_beside.p99,
            pushes.p99,
            Some(BESIDE),
        ),
        row(
            "query p50 beside a storm of pushes",
            queries_beside.p50,
            queries.p50,
            Some(BESIDE),
        ),
        row(
            "longest query beside a storm of pushes",
            queries_beside.max,
            queries.max,
            None,
        ),
        Row {
            what: "pushes per second of that storm",
            ours: figure(isolation.storm.profiles as f64 / isolation.storm.seconds),
            unit: "1/s",
            ..Row::default()
        },
    ]
}

fn cpu_per_1000(run: &Measured) -> f64 {
    1e3 * run.cpu / run.pushed.profiles as f64
}

fn over(runs: &[Measured], value: fn(&Measured) -> f64) -> f64 {
    let values: Vec<f64> = runs.iter().map(value).collect();
    median(&values)
}

fn verdict(value: f64, limit: f64) -> &'static str {
    if value <= limit { "PASS" } else { "OVER" }
}
