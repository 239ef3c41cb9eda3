use kube::CustomResourceExt;
use serde_json::Value;

use crate::PyroscopeCluster;

/// The manifest could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the custom resource definition as YAML: {0}")]
pub struct ManifestError(String);

/// Returns the custom resource definition as YAML, in the form that is committed
/// beside this crate.
///
/// # Errors
///
/// Fails when a value of the definition has no form in YAML.
pub fn manifest() -> Result<String, ManifestError> {
    let mut crd = serde_json::to_value(PyroscopeCluster::crd())
        .map_err(|error| ManifestError(error.to_string()))?;
    tidy(&mut crd);
    let body = serde_saphyr::to_string(&crd).map_err(|error| ManifestError(error.to_string()))?;
    Ok(format!(
        "# Generated from the types in crds/src; `make gen` writes it again.\n{body}"
    ))
}

/// Orders keys by name, so that a reordered struct field leaves the file as it is,
/// and joins the lines of a doc comment, which `kubectl explain` wraps itself.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.sort_keys();
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let paragraphs: Vec<_> = text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
