use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::quantity;

/// Fields that identify the elements of a list, by preference. Elements that
/// others added are left alone, as server-side apply does.
const KEYS: [&str; 5] = ["name", "mountPath", "containerPort", "uid", "topologyKey"];

/// Maps that server-side apply replaces as a whole.
const ATOMIC: [&str; 3] = ["selector", "nodeSelector", "matchLabels"];

/// Returns whether an object differs from what is wanted of it, in a field that is
/// wanted. Defaults that the API server filled in and fields of others do not
/// count.
pub(crate) fn differs(wanted: &Value, live: &Value) -> bool {
    !matches(wanted, live)
}

fn matches(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => object_matches(wanted, live),
        (Value::Array(wanted), Value::Array(live)) => list_matches(wanted, live),
        (wanted, Value::Null) => is_empty(wanted),
        (wanted, live) => wanted == live,
    }
}

fn object_matches(wanted: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    wanted.iter().all(|(key, wanted)| {
        let found = live.get(key).unwrap_or(&Value::Null);
        match key.as_str() {
            "requests" | "limits" => quantities_match(wanted, found),
            key if ATOMIC.contains(&key) && is_flat(wanted) => wanted == found,
            _ => matches(wanted, found),
        }
    })
}

/// The API server writes quantities in a canonical form.
fn quantities_match(wanted: &Value, live: &Value) -> bool {
    let (Some(wanted), Some(live)) = (wanted.as_object(), live.as_object()) else {
        return matches(wanted, live);
    };
    wanted.iter().all(|(resource, wanted)| {
        let found = live.get(resource).and_then(Value::as_str);
        match (wanted.as_str(), found) {
            (Some(wanted), Some(found)) => {
                wanted == found || quantity::compare(wanted, found) == Some(Ordering::Equal)
            }
            _ => false,
        }
    })
}

fn is_flat(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|fields| fields.values().all(Value::is_string))
}

fn list_matches(wanted: &[Value], live: &[Value]) -> bool {
    match KEYS
        .iter()
        .find(|key| wanted.iter().all(|it| !it[**key].is_null()))
    {
        Some(key) if !wanted.is_empty() => wanted.iter().all(|wanted| {
            let found = live.iter().find(|it| it[*key] == wanted[*key]);
            found.is_some_and(|found| matches(wanted, found))
        }),
        _ => wanted.len() == live.len() && wanted.iter().zip(live).all(|(a, b)| matches(a, b)),
    }
}

/// The API server drops empty values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_fields_of_others_do_not_count() {
        let wanted = json!({"spec": {"replicas": 3, "containers": [{"name": "a", "image": "x"}]}});
        let live = json!({"spec": {"replicas": 3, "dnsPolicy": "ClusterFirst", "containers": [
            {"name": "sidecar", "image": "y"},
            {"name": "a", "image": "x", "terminationMessagePath": "/dev/termination-log"},
        ]}, "status": {}});
        assert!(!differs(&wanted, &live));
    }

    #[test]
    fn changed_removed_and_shortened_values_count() {
        let wanted = json!({"replicas": 3, "args": ["a", "b"], "labels": {"a": "1"}});
        let others = [
            json!({"replicas": 2, "args": ["a", "b"], "labels": {"a": "1"}}),
            json!({"args": ["a", "b"], "labels": {"a": "1"}}),
            json!({"replicas": 3, "args": ["a"], "labels": {"a": "1"}}),
            json!({"replicas": 3, "args": ["b", "a"], "labels": {"a": "1"}}),
            json!({"replicas": 3, "args": ["a", "b"], "labels": {"a": "2"}}),
            json!({"replicas": 3, "args": ["a", "b"]}),
        ];
        for live in others {
            assert!(differs(&wanted, &live), "{live}");
        }
    }

    #[test]
    fn added_selector_key_counts() {
        let wanted = json!({"spec": {"selector": {"a": "1"}}});
        assert!(differs(
            &wanted,
            &json!({"spec": {"selector": {"a": "1", "b": "2"}}})
        ));
    }

    #[test]
    fn canonical_quantities_are_equal() {
        let wanted = json!({"requests": {"cpu": "0.5", "memory": "1024Mi"}});
        assert!(!differs(
            &wanted,
            &json!({"requests": {"cpu": "500m", "memory": "1Gi"}})
        ));
        assert!(differs(
            &wanted,
            &json!({"requests": {"cpu": "600m", "memory": "1Gi"}})
        ));
    }

    #[test]
    fn empty_values_are_as_good_as_absent() {
        assert!(!differs(
            &json!({"a": {}, "b": [], "c": {"d": ""}}),
            &json!({})
        ));
        assert!(differs(&json!({"a": false}), &json!({})));
    }
}
