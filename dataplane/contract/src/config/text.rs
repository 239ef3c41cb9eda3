//! The configuration as YAML.

use super::{Config, Limits};
use crate::error::{Errors, Warning};
use crate::layers::{self, Layers};
use crate::overrides::Overrides;

impl Config {
    /// Returns the whole configuration as YAML.
    pub fn to_yaml(&self) -> String {
        render(&layers::to_json(self))
    }

    /// Returns what differs from the defaults as YAML, `{}` if nothing does.
    pub fn to_yaml_minimal(&self) -> String {
        let defaults = layers::to_json(&Self::default());
        let changed = layers::difference(&layers::to_json(self), &defaults);
        render(&changed.unwrap_or_else(|| serde_json::json!({})))
    }

    /// Reads a configuration from YAML, on top of the defaults, and validates it.
    ///
    /// Returns it with the settings that do nothing here, or everything that is wrong.
    pub fn from_yaml(text: &str) -> Result<(Self, Vec<Warning>), Errors> {
        let mut layers = Layers::new();
        layers.add_yaml(text, "");
        layers.finish()
    }
}

/// Returns overrides as YAML; see [`crate::overrides::to_yaml`].
pub(crate) fn overrides_to_yaml(overrides: &Overrides, defaults: Option<&Limits>) -> String {
    let json = |limits: &Limits| {
        serde_json::to_value(limits).expect("texts, numbers and lists are always JSON")
    };
    let defaults = defaults.map(json);
    let tenants: serde_json::Map<_, _> = overrides
        .iter()
        .map(|(tenant, limits)| {
            let limits = json(limits);
            let shown = match &defaults {
                Some(defaults) => layers::difference(&limits, defaults),
                None => Some(limits),
            };
            (
                tenant.clone(),
                shown.unwrap_or_else(|| serde_json::json!({})),
            )
        })
        .collect();
    render(&serde_json::json!({ "overrides": tenants }))
}

fn render(tree: &serde_json::Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(tree, options)
        .expect("a tree of texts, numbers and lists is always YAML")
}
