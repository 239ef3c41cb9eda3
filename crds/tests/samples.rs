//! What users copy is accepted.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use pyroscope_crds::PyroscopeCluster;

#[test]
fn samples_are_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut samples = 0;
    for entry in std::fs::read_dir(root.join("manifests/samples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let cluster: PyroscopeCluster = serde_saphyr::from_str(&text).unwrap();
        if let Err(errors) = cluster.validate_cel() {
            panic!("{}: {errors}", path.display());
        }
        assert_no_field_is_lost(&text, &cluster);
        samples += 1;
    }
    assert!(samples > 0);
}

/// A field that the types do not know would be dropped by them and refused by the
/// API server.
fn assert_no_field_is_lost(text: &str, cluster: &PyroscopeCluster) {
    let written: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let read = serde_json::to_value(cluster).unwrap();
    assert_contains(&read["spec"], &written["spec"], "spec");
}

fn assert_contains(read: &serde_json::Value, written: &serde_json::Value, path: &str) {
    match written {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                assert_contains(&read[name], value, &format!("{path}.{name}"));
            }
        }
        value => assert_eq!(read, value, "{path}"),
    }
}
