//! What to write so that a cluster becomes what it should be: plain functions
//! from the objects wanted and the objects found, without I/O.

mod drift;
mod quantity;

use std::collections::BTreeMap;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use drift::differs;
pub(crate) use quantity::compare as compare_quantities;

use crate::object::{Kind, Object};

/// Annotation with the hash of what was last applied. It shows that a field which
/// is wanted no more is still there: the comparison of values cannot.
const APPLIED: &str = "pyroscope-operator.dev/applied";

/// Which object of a cluster is meant.
pub(crate) type Key = (Kind, String);

/// Objects of a cluster as the API server has them.
pub(crate) type Found = BTreeMap<Key, Value>;

/// One write, or one object to look at before writing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Apply the object; nothing of its name was found.
    Create(Object),
    /// Apply the object; what was found differs.
    Update(Object),
    /// Make the volumes as large as the template says, then delete the
    /// StatefulSet and leave its pods: the template cannot be changed in place.
    /// The next plan creates it again.
    Regrow { object: Object, uid: String },
    /// Delete what is wanted no more.
    Delete {
        kind: Kind,
        name: String,
        uid: String,
    },
}

impl Step {
    /// Returns which object the step writes.
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Create(object) | Self::Update(object) | Self::Regrow { object, .. } => {
                (object.kind, object.name.clone())
            }
            Self::Delete { kind, name, .. } => (*kind, name.clone()),
        }
    }
}

/// Returns the resource version of an object, which is empty when there is none.
pub(crate) fn version(live: Option<&Value>) -> &str {
    let version = live.and_then(|it| it["metadata"]["resourceVersion"].as_str());
    version.unwrap_or_default()
}

/// Returns the writes that lead from `found` to `wanted`, none in a steady state.
pub(crate) fn plan(wanted: Vec<Object>, found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    let keys: Vec<_> = wanted
        .iter()
        .map(|object| (object.kind, object.name.clone()))
        .collect();
    for object in wanted {
        match found.get(&(object.kind, object.name.clone())) {
            None => steps.push(Step::Create(stamped(object))),
            Some(live) if is_deleted(live) => {}
            Some(live) if grows(&object, live) => {
                // All else must not wait for a storage class that may refuse to grow volumes.
                steps.extend(update(with_claims_of(&object, live), live));
                steps.push(Step::Regrow {
                    uid: uid(live),
                    object: stamped(object),
                });
            }
            Some(live) => steps.extend(update(object, live)),
        }
    }
    for ((kind, name), live) in found {
        if !keys.contains(&(*kind, name.clone())) && !is_deleted(live) {
            steps.push(Step::Delete {
                kind: *kind,
                name: name.clone(),
                uid: uid(live),
            });
        }
    }
    steps
}

fn update(object: Object, live: &Value) -> Option<Step> {
    let object = stamped(object);
    differs(&object.body, live).then_some(Step::Update(object))
}

fn with_claims_of(object: &Object, live: &Value) -> Object {
    let mut object = object.clone();
    object.body["spec"]["volumeClaimTemplates"] = live["spec"]["volumeClaimTemplates"].clone();
    object
}

fn stamped(mut object: Object) -> Object {
    let hash = format!("{:016x}", xxh3_64(object.body.to_string().as_bytes()));
    object.body["metadata"]["annotations"][APPLIED] = Value::String(hash);
    object
}

/// Whether the volumes that a StatefulSet asks for have become larger.
fn grows(object: &Object, live: &Value) -> bool {
    object.kind == Kind::StatefulSet
        && match (claim_size(&object.body), claim_size(live)) {
            (Some(wanted), Some(found)) => {
                quantity::compare(wanted, found) == Some(std::cmp::Ordering::Greater)
            }
            _ => false,
        }
}

/// Returns the size of the volumes that a StatefulSet asks for.
pub(crate) fn claim_size(stateful_set: &Value) -> Option<&str> {
    stateful_set
        .pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage")?
        .as_str()
}

fn is_deleted(live: &Value) -> bool {
    !live["metadata"]["deletionTimestamp"].is_null()
}

fn uid(live: &Value) -> String {
    live["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(port: u16) -> Object {
        Object {
            kind: Kind::Service,
            name: "a".to_owned(),
            body: json!({"metadata": {"name": "a"}, "spec": {"ports": [{"name": "http", "port": port}]}}),
        }
    }

    fn stateful_set(size: &str) -> Object {
        Object {
            kind: Kind::StatefulSet,
            name: "a".to_owned(),
            body: json!({"metadata": {"name": "a"}, "spec": {"volumeClaimTemplates": [
                {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}},
            ]}}),
        }
    }

    /// What the API server holds after the steps were carried out.
    fn applied(steps: &[Step]) -> Found {
        let mut found = Found::new();
        for step in steps {
            if let Step::Create(object) | Step::Update(object) = step {
                let mut live = object.body.clone();
                live["metadata"]["uid"] = json!("uid");
                live["status"] = json!({});
                found.insert((object.kind, object.name.clone()), live);
            }
        }
        found
    }

    #[test]
    fn second_plan_is_empty() {
        let first = plan(vec![service(1), stateful_set("1Gi")], &Found::new());
        assert_eq!(first.len(), 2);
        assert_eq!(
            plan(vec![service(1), stateful_set("1Gi")], &applied(&first)),
            []
        );
    }

    #[test]
    fn edited_object_is_put_back() {
        let mut found = applied(&plan(vec![service(1)], &Found::new()));
        found
            .values_mut()
            .for_each(|live| live["spec"]["ports"][0]["port"] = json!(2));
        assert!(matches!(
            plan(vec![service(1)], &found)[..],
            [Step::Update(_)]
        ));
    }

    #[test]
    fn field_that_is_wanted_no_more_is_an_update() {
        let mut with_field = service(1);
        with_field.body["spec"]["type"] = json!("NodePort");
        let found = applied(&plan(vec![with_field], &Found::new()));
        assert!(matches!(
            plan(vec![service(1)], &found)[..],
            [Step::Update(_)]
        ));
    }

    #[test]
    fn object_that_is_wanted_no_more_is_deleted() {
        let found = applied(&plan(vec![service(1)], &Found::new()));
        assert_eq!(
            plan(Vec::new(), &found),
            [Step::Delete {
                kind: Kind::Service,
                name: "a".to_owned(),
                uid: "uid".to_owned()
            }]
        );
    }

    #[test]
    fn object_that_is_being_deleted_is_awaited() {
        let mut found = applied(&plan(vec![service(1)], &Found::new()));
        found
            .values_mut()
            .for_each(|live| live["metadata"]["deletionTimestamp"] = json!("now"));
        assert_eq!(plan(vec![service(1)], &found), []);
        assert_eq!(plan(Vec::new(), &found), []);
    }

    #[test]
    fn larger_volumes_need_a_new_stateful_set() {
        let found = applied(&plan(vec![stateful_set("1Gi")], &Found::new()));
        let mut grown = stateful_set("2Gi");
        assert!(matches!(
            plan(vec![grown.clone()], &found)[..],
            [Step::Regrow { .. }]
        ));
        grown.body["spec"]["replicas"] = json!(5);
        let steps = plan(vec![grown], &found);
        let [Step::Update(other), Step::Regrow { .. }] = &steps[..] else {
            panic!("{steps:?}");
        };
        assert_eq!(claim_size(&other.body), Some("1Gi"));
        assert!(matches!(
            plan(vec![stateful_set("1024Mi")], &found)[..],
            [Step::Update(_)]
        ));
    }
}
