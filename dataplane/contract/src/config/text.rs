//! The configuration as YAML.

use super::Config;
use crate::error::{Errors, Warning};
use crate::layers::{self, Layers};

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

fn render(tree: &serde_json::Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(tree, options)
        .expect("a tree of texts, numbers and lists is always YAML")
}
