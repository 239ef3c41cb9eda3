//! Generates the Rust code of every `.proto` file and compares it with what is
//! committed. `make gen` runs the same test with `UPDATE=1`, which writes.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// Packages whose messages cross the HTTP API as JSON.
const JSON_PACKAGES: [&str; 8] = [
    ".google.v1",
    ".types.v1",
    ".otlp.v1",
    ".push.v1",
    ".querier.v1",
    ".ingester.v1",
    ".rejection.v1",
    ".grpc.health.v1",
];

fn protos() -> Vec<PathBuf> {
    [
        "agent/v1/labels.proto",
        "google/v1/profile.proto",
        "types/v1/types.proto",
        "otlp/v1/profiles.proto",
        "push/v1/push.proto",
        "querier/v1/querier.proto",
        "ingester/v1/ingester.proto",
        "reader/v1/reader.proto",
        "rejection/v1/rejection.proto",
        "grpc/health/v1/health.proto",
        "ring/ring.proto",
        "memberlist/kv.proto",
        "version/v1/version.proto",
    ]
    .iter()
    .map(|file| Path::new("protos").join(file))
    .collect()
}

fn generate(out: &Path) {
    let descriptors = protox::compile(protos(), ["protos"]).expect("the .proto files compile");
    let encoded = descriptors.encode_to_vec();
    let mut config = prost_build::Config::new();
    config
        .out_dir(out)
        .bytes(["."])
        .btree_map([".agent", ".ring", ".memberlist", ".version.v1"]);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .out_dir(out)
        .compile_fds_with_config(descriptors, config)
        .expect("messages and clients are generated");
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)
        .expect("the descriptors are valid")
        .ignore_unknown_fields()
        .out_dir(out)
        .build(&JSON_PACKAGES)
        .expect("JSON mappings are generated");
}

#[test]
fn committed_code_is_what_the_protos_generate() {
    let fresh = tempfile::tempdir().expect("a temporary directory");
    generate(fresh.path());
    let committed = Path::new("src/gen");
    for entry in std::fs::read_dir(fresh.path()).expect("generated files") {
        let entry = entry.expect("a generated file");
        let file = committed.join(entry.file_name());
        let want = std::fs::read_to_string(entry.path()).expect("generated code is text");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &want).expect("src/gen is writable");
        }
        let have = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(have == want, "{} is stale: run `make gen`", file.display());
    }
}
