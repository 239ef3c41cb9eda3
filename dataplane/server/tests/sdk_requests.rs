//! Requests that real clients sent are sent again, and what the programs that they
//! profiled did is found by query. `UPDATE=1 make sdks` records them anew.

#[path = "sdks/clients.rs"]
mod clients;
#[path = "sdks/flame_graph.rs"]
mod flame_graph;
mod harness;
#[path = "sdks/recorded.rs"]
mod recorded;

use std::{collections::BTreeSet, fs};

use clients::Client;
use harness::{Node, fresh_address};
use recorded::Recorded;

/// Every client.
const CLIENTS: [&Client; 7] = [
    &clients::PYROSCOPE_GO,
    &clients::PYROSCOPE_IO,
    &clients::PYROSCOPE_NODEJS,
    &clients::PYROSCOPE_RS,
    &clients::PYROSCOPE_API,
    &clients::PYROSCOPE_JAVA,
    &clients::OPENTELEMETRY,
];

/// Largest file of a fixture, in bytes.
const MAX_BYTES: u64 = 60 << 10;

/// What is recorded is as old as it is.
const ANY_AGE: [&str; 4] = [
    "-validation.reject-older-than=0s",
    "-validation.reject-newer-than=0s",
    "-querier.max-query-length=0s",
    "-querier.max-query-lookback=0s",
];

#[tokio::test]
async fn recorded_requests_of_every_client_are_found() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &ANY_AGE);
    node.ready().await;
    for client in CLIENTS {
        for fixture in client.fixtures() {
            let answer = Recorded::read(fixture).send(&node.http).await;
            assert!(answer.is_success(), "{fixture}: {}", answer.describe());
        }
        let found = client.look(&node, 0, None).await;
        found.unwrap_or_else(|missing| panic!("{missing}"));
    }
}

#[test]
fn every_fixture_is_small_and_of_a_client() {
    let mut known: BTreeSet<_> = CLIENTS
        .iter()
        .flat_map(|client| client.fixtures())
        .collect();
    for file in fs::read_dir(recorded::FOLDER).expect("a folder") {
        let file = file.expect("a file");
        let name = file.file_name().into_string().expect("text");
        let size = file.metadata().expect("a file has a size").len();
        assert!(size <= MAX_BYTES, "{name} has {size} bytes");
        let fixture = name.strip_suffix(".http").unwrap_or_default();
        assert!(known.remove(fixture), "{name} is of no client");
    }
    assert!(
        known.is_empty(),
        "missing: {known:?}; run `UPDATE=1 make sdks`"
    );
}

/// Languages of the snippets in `docs/clients.md` that are from programs; the rest
/// is for shells.
const LANGUAGES: [&str; 5] = ["go", "python", "js", "java", "rust"];

#[test]
fn the_documentation_shows_what_is_tested() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let programs: String = [
        "go/agent/main.go",
        "go/api/main.go",
        "go/otlp/main.go",
        "java/Busy.java",
    ]
    .iter()
    .chain(&["node/main.js", "python/main.py", "rust/src/main.rs"])
    .map(|program| fs::read_to_string(format!("{root}/e2e/sdks/{program}")))
    .collect::<Result<_, _>>()
    .expect("the programs are there");
    let lines: BTreeSet<&str> = programs.lines().collect();
    let page = fs::read_to_string(format!("{root}/docs/clients.md")).expect("the page");
    let mut blocks = page.split("```").skip(1).step_by(2).peekable();
    assert!(blocks.peek().is_some(), "there are no snippets");
    for block in blocks {
        let (language, snippet) = block.split_once('\n').expect("a block has lines");
        if LANGUAGES.contains(&language) {
            for line in snippet.lines() {
                assert!(
                    lines.contains(line),
                    "{language}: no program has the line {line:?}"
                );
            }
        }
    }
}
