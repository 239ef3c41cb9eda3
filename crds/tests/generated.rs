//! The committed manifest is what the types say, and fits where it must.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use pyroscope_crds as crds;

const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/pyroscope-operator.dev_pyroscopeclusters.yaml"
);

#[test]
fn manifest_is_not_stale() {
    let generated = crds::manifest().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(COMMITTED, &generated).unwrap();
        for copy in copies() {
            std::fs::write(copy, &generated).unwrap();
        }
    }
    for path in copies().iter().map(String::as_str).chain([COMMITTED]) {
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == generated,
            "{path} is stale: run `UPDATE=1 cargo test -p pyroscope-crds`"
        );
    }
}

/// The Helm chart and the kustomize base carry the manifest, because neither can
/// reach files outside of its folder.
fn copies() -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    [
        "charts/pyroscope-operator/crds/pyroscope-operator.dev_pyroscopeclusters.yaml",
        "manifests/install/pyroscope-operator.dev_pyroscopeclusters.yaml",
    ]
    .map(|copy| root.join(copy).to_str().unwrap().to_owned())
}

/// `kubectl apply` keeps the whole object in one annotation, and annotations are
/// limited to 256 KiB.
#[test]
fn manifest_fits_in_an_annotation() {
    let manifest = crds::manifest().unwrap();
    assert!(manifest.len() < 250_000, "{} bytes", manifest.len());
}
