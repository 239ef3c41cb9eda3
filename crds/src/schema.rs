//! Schemas that the derive cannot write by itself.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

/// Returns whether a field holds its default, and need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Schema of an object whose content another program checks.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Schema of a duration in the form of Go, such as `1m30s`.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$",
    })
}

/// Schema of a Kubernetes type, with its descriptions cut to their first
/// sentence: in full, those of four components exceed what `kubectl apply` can
/// remember of an object.
pub(crate) fn kubernetes<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator).to_value();
    shorten(&mut schema);
    if let Value::Object(schema) = &mut schema {
        schema.remove("description");
    }
    Schema::try_from(schema).expect("a changed description leaves a schema a schema")
}

/// Schema of an optional Kubernetes type.
pub(crate) fn kubernetes_optional<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = kubernetes::<T>(generator);
    schema.insert("nullable".to_owned(), Value::Bool(true));
    schema
}

/// Schema of a list of a Kubernetes type.
pub(crate) fn kubernetes_list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let items = kubernetes::<T>(generator);
    json_schema!({"type": "array", "items": items, "maxItems": 64})
}

fn shorten(schema: &mut Value) {
    match schema {
        Value::Object(fields) => shorten_object(fields),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

fn shorten_object(fields: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = fields.get_mut("description") {
        let end = text.find(". ").or_else(|| text.find(".\n"));
        text.truncate(end.map_or(text.len(), |end| end + 1));
    }
    fields.values_mut().for_each(shorten);
}
