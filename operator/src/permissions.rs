//! What is installed allows the operator what it does, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::object::Kind;

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path: PathBuf = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Verbs by group and resource.
fn verbs(rules: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect()
    };
    let mut verbs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in rules.as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                let of = verbs.entry(format!("{group}/{resource}")).or_default();
                of.extend(texts(&rule["verbs"]));
            }
        }
    }
    verbs
}

fn installed() -> Value {
    let role: Value = serde_saphyr::from_str(&file("manifests/install/cluster-role.yaml")).unwrap();
    role["rules"].clone()
}

#[test]
fn role_allows_what_the_operator_does() {
    let mut expected = BTreeMap::new();
    let mut allow = |resource: String, verbs: &str| {
        let verbs = verbs.split(' ').map(str::to_owned).collect();
        expected.insert(resource, verbs);
    };
    for kind in Kind::ALL {
        let resource = kind.resource();
        let name = format!("{}/{}", resource.group, resource.plural);
        allow(name, "get list watch create patch delete");
    }
    allow(
        "pyroscope-operator.dev/pyroscopeclusters".to_owned(),
        "get list watch",
    );
    allow(
        "pyroscope-operator.dev/pyroscopeclusters/status".to_owned(),
        "patch",
    );
    allow("/pods".to_owned(), "list watch");
    allow("/persistentvolumeclaims".to_owned(), "list patch");
    allow("events.k8s.io/events".to_owned(), "create patch");
    assert_eq!(verbs(&installed()), expected);
}

#[test]
fn chart_grants_what_the_manifests_grant() {
    let template = file("charts/pyroscope-operator/templates/_names.tpl");
    let (_, rest) = template
        .split_once("{{- define \"operator.rules\" -}}\n")
        .unwrap();
    let (rules, _) = rest.split_once("{{- end }}").unwrap();
    let rules: Value = serde_saphyr::from_str(rules).unwrap();
    assert_eq!(rules, installed());
}

#[test]
fn operator_meets_the_restricted_standard() {
    let text = file("manifests/install/deployment.yaml");
    let deployment: Value = serde_saphyr::from_str(&text).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(container["allowPrivilegeEscalation"], false);
}
