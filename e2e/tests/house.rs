//! The house stays in order: crates know only those that `ARCHITECTURE.md`
//! lets them know.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

/// Who may know whom among the crates of this workspace, without the prefix of
/// their names. Tests obey it too.
const ARROWS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("proto", &[]),
    ("trust", &[]),
    ("memberlist", &[]),
    ("ring", &["proto", "contract"]),
    ("profile", &["proto"]),
    ("gossip", &["memberlist", "ring", "proto", "trust"]),
    ("store", &["profile", "proto", "trust"]),
    (
        "server",
        &[
            "contract",
            "gossip",
            "memberlist",
            "profile",
            "proto",
            "ring",
            "store",
        ],
    ),
    ("bench", &["gossip", "proto", "ring"]),
    (
        "fuzz",
        &["gossip", "memberlist", "profile", "proto", "ring", "store"],
    ),
    ("crds", &["contract"]),
    ("operator", &["contract", "crds"]),
    ("e2e", &["contract", "crds"]),
];

/// Crates that only compute: no I/O, no runtime.
const PURE: &[&str] = &["contract", "memberlist", "ring", "profile"];

/// Crates that do I/O or bring a runtime along.
const IMPURE: &[&str] = &[
    "axum",
    "hyper",
    "kube",
    "object_store",
    "parquet",
    "reqwest",
    "tokio",
    "tonic",
];

const PREFIX: &str = "pyroscope-";

/// Returns the workspace's packages as `cargo metadata` lists them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version=1",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo metadata lists no packages");
    };
    packages
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap().trim_start_matches(PREFIX)
}

/// Returns a package's dependencies, those of its tests only if asked for.
fn dependencies(package: &Value, with_tests: bool) -> Vec<&str> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| with_tests || dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let packages = packages();
    let mut wrong = Vec::new();
    for package in &packages {
        let from = name(package);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{from}: not listed; say whom it may know"));
            continue;
        };
        let inner = dependencies(package, true).into_iter();
        let inner = inner.filter_map(|dependency| dependency.strip_prefix(PREFIX));
        // A crate's tests may name the crate itself.
        for to in inner.filter(|to| *to != from && !allowed.contains(to)) {
            wrong.push(format!("{from} -> {to}: not an arrow of ARCHITECTURE.md"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        packages.len(),
        ARROWS.len(),
        "ARROWS lists a crate that is gone"
    );
}

#[test]
fn pure_crates_do_no_io() {
    for package in packages()
        .iter()
        .filter(|package| PURE.contains(&name(package)))
    {
        let impure: Vec<_> = dependencies(package, false)
            .into_iter()
            .filter(|dependency| IMPURE.contains(dependency))
            .collect();
        assert!(
            impure.is_empty(),
            "{} is pure but depends on {impure:?}",
            name(package)
        );
    }
}

#[test]
fn nothing_points_back() {
    // Whoever is known is listed before those that know it, so there is no cycle.
    for (index, (from, allowed)) in ARROWS.iter().enumerate() {
        for to in *allowed {
            let known = ARROWS.iter().position(|(name, _)| name == to);
            assert!(known.is_some_and(|known| known < index), "{from} -> {to}");
        }
    }
}
