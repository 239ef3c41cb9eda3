//! The comparison runs: small, short, and without a look at the figures.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use bench::gossip::{Detected, Results};

/// Builds dskit's node; Go's cache makes repetitions cheap.
fn go_node() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/peers/bench");
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dskit-node");
    let output = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(&binary)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .current_dir(sources)
        .output()
        .unwrap_or_else(|error| panic!("this test needs Go 1.26 or later in PATH: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cannot build dskit's node:\n{errors}"
    );
    binary
}

#[test]
fn both_sides_go_through_every_phase() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["gossip", "--nodes=4", "--rounds=1", "--no-crashes"])
        .arg("--rust")
        .arg(env!("CARGO_BIN_EXE_gossip-node"))
        .arg("--go")
        .arg(go_node())
        .arg("--out")
        .arg(&out)
        .args(["--", "--values=2", "--settle=0", "--idle=1"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("### 4 nodes"), "{table}");

    let results = std::fs::read(out.join("gossip.json")).unwrap();
    let results: Results = serde_json::from_slice(&results).unwrap();
    let [comparison] = &results.comparisons[..] else {
        panic!("{results:?}");
    };
    let steady = [&comparison.steady.rust, &comparison.steady.go];
    for steady in steady {
        assert_eq!(steady.all.len(), 2);
        assert!(steady.half.iter().all(|seconds| *seconds < 60.0));
        assert!(steady.memory.rss > 0.0, "{steady:?}");
        assert!(steady.window >= 1.0);
    }
}

#[test]
fn crashes_are_noticed() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["phase", "--phase=detect", "--nodes=5", "--settle=0"])
        .arg("--program")
        .arg(env!("CARGO_BIN_EXE_gossip-node"))
        .args(["--network=79", "--flag=--probe-interval=100"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let detected: Detected = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(detected.first.len(), 1);
    assert!(detected.first[0] <= detected.last[0], "{detected:?}");
}
