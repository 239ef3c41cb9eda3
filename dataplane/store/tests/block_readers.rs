//! DuckDB and pyarrow read a block and add it up as this program does, by the
//! queries of `docs/block-format.md`. `make blocks` brings them and runs this.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{CPU, description, open, push, raw};
use profile::{Labels, Profile, Tree, pprof};
use proto::reader::v1::{MergeRequest, SelectRequest};
use pyroscope_store::block::{Block, Directory, Limits};
use pyroscope_store::{IncomingProfile, TimeRange};
use serde_json::{Value, json};

const SERVICES: [&str; 2] = ["shop/cart", "shop/mail"];

/// Profiles of a Go service, by name.
const KINDS: [(&str, &str); 6] = [
    ("process_cpu", "cpu-41"),
    ("memory", "heap-00"),
    ("process_cpu", "cpu-45"),
    ("mutex", "mutex-12"),
    ("process_cpu", "cpu-47"),
    ("memory", "heap-44"),
];

const TYPES: [&str; 5] = [
    CPU,
    fixture::SAMPLES,
    "memory:inuse_objects:count:space:bytes",
    "memory:inuse_space:bytes:space:bytes",
    "mutex:delay:nanoseconds:contentions:count",
];

fn built() -> PathBuf {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/blocks");
    let folder = std::env::var_os("BLOCKS").map_or_else(|| PathBuf::from(usual), PathBuf::from);
    let built = folder.join("bin/python");
    assert!(
        built.exists(),
        "{} is missing; run `make blocks`",
        built.display()
    );
    built
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn incoming(n: usize) -> IncomingProfile {
    let (name, file) = KINDS[n % KINDS.len()];
    let file = repository(&format!("dataplane/bench/corpus/{file}.pb.gz"));
    let mut profile = pprof::decode(&std::fs::read(file).unwrap(), 64 << 20).unwrap();
    profile.time_nanos = (1_795_000_000_000 + n as i64 * 15_000) * 1_000_000;
    let service = SERVICES[n / KINDS.len() % SERVICES.len()];
    IncomingProfile {
        labels: Labels::new([("__name__", name), ("service_name", service)]).unwrap(),
        raw: raw(&profile),
        ..fixture::incoming(service, n as u64, &Profile::default())
    }
}

fn total(block: &Block, profile_type: &str, selector: &str) -> (usize, i64) {
    let request = fixture::request(profile_type, selector);
    let totals = block.select(&request).unwrap().totals;
    (totals.len(), totals.iter().sum())
}

fn top(block: &Block, selector: &str) -> Value {
    let select = SelectRequest {
        ..fixture::request(CPU, selector)
    };
    let named = block.select(&select).unwrap();
    let request = MergeRequest {
        keys: named.keys,
        select: Some(select),
        ..MergeRequest::default()
    };
    let merged = block.merge(&request).unwrap();
    let top = Tree::decode(&merged.data, 64 << 20).unwrap().top(10);
    let rows = top
        .iter()
        .map(|it| json!([it.function, it.self_value, it.total]));
    rows.collect()
}

#[tokio::test]
async fn others_read_what_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(&temp.path().join("head"));
    push(&opened.database, (0..36).map(incoming).collect())
        .await
        .unwrap();
    let database = &opened.database;
    let meta = database
        .write_block(TimeRange::ALL, temp.path(), description(1))
        .unwrap();
    let directory = temp.path().join(meta.id());
    let block = Block::open(meta.id(), Directory::new(&directory), Limits::default()).unwrap();

    let output = Command::new(built())
        .arg(repository("e2e/blocks/queries.py"))
        .arg(repository("docs/block-format.md"))
        .arg(&directory)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();

    let totals = SERVICES.map(|service| {
        let selector = format!("{{service_name=\"{service}\"}}");
        json!([service, total(&block, CPU, &selector).1])
    });
    assert_eq!(answers["sql totals"], json!(totals));
    for of in TYPES {
        let (profiles, total) = total(&block, of, "{}");
        let summary = answers["sql summary"].as_array().unwrap();
        assert!(profiles > 0 && total > 0, "{of} is in the block");
        assert!(
            summary.contains(&json!([of, profiles, total])),
            "{of}: {summary:?}"
        );
    }
    let top = top(&block, "{service_name=\"shop/cart\"}");
    assert_eq!(top.as_array().unwrap().len(), 10);
    assert_eq!(answers["sql top"], top);
    assert_eq!(answers["python top"], top);
    opened.database.shutdown().await;
}
