//! Relabelling rules, with the keys, defaults and demands of Prometheus
//! (<https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>).

use std::fmt;

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use crate::yaml::{self, Node, Value};

/// Largest regular expression, in bytes once compiled.
const MOST_REGEX_BYTES: usize = 1 << 20;
/// More rules than anybody has; each is applied to each series.
const MOST_RULES: usize = 500;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelRule {
    /// Labels whose values, joined by the separator, the rule looks at.
    pub source_labels: Vec<String>,
    /// Text between two of these values.
    pub separator: String,
    /// Expression that the whole of it must match; RE2 syntax.
    pub regex: String,
    /// Number of values that `hashmod` gives.
    pub modulus: u64,
    /// Label that is set; `replace` may take parts of its name from the match.
    pub target_label: String,
    /// Value that is set, with parts of the match.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Sets the target to the replacement if the sources match.
    #[default]
    Replace,
    /// Drops the series unless the sources match.
    Keep,
    /// Drops the series if the sources match.
    Drop,
    /// Drops the series unless the sources equal the target.
    KeepEqual,
    /// Drops the series if the sources equal the target.
    DropEqual,
    /// Sets the target to the hash of the sources modulo the modulus.
    HashMod,
    /// Copies labels whose names match to names made by the replacement.
    LabelMap,
    /// Drops labels whose names match.
    LabelDrop,
    /// Drops labels whose names do not match.
    LabelKeep,
    /// Sets the target to the sources in lower case.
    Lowercase,
    /// Sets the target to the sources in upper case.
    Uppercase,
}

impl RelabelAction {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// Returns the word for the action.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    const fn sets_target(self) -> bool {
        matches!(
            self,
            Self::Replace
                | Self::HashMod
                | Self::Lowercase
                | Self::Uppercase
                | Self::KeepEqual
                | Self::DropEqual
        )
    }
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for RelabelRule {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

impl RelabelRule {
    /// Returns the expression as it is applied: to the whole text, over line ends.
    pub fn anchored(regex: &str) -> String {
        format!("^(?s:{regex})$")
    }

    /// Checks what the types do not.
    fn check(&self) -> Result<(), String> {
        let action = self.action;
        if action.sets_target() && self.target_label.is_empty() {
            return Err(format!(
                "relabel configuration for {action} action requires 'target_label' value"
            ));
        }
        if action == RelabelAction::HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        self.check_unused()?;
        RegexBuilder::new(&Self::anchored(&self.regex))
            .size_limit(MOST_REGEX_BYTES)
            .build()
            .map_err(|error| format!("regex {:?}: {error}", self.regex))?;
        Ok(())
    }

    /// What an action does not look at must not be given.
    fn check_unused(&self) -> Result<(), String> {
        use RelabelAction::{DropEqual, KeepEqual, LabelDrop, LabelKeep};
        let plain = Self::default();
        let same_source = self.source_labels == plain.source_labels;
        let same_target = self.target_label == plain.target_label;
        let rest = self.separator == plain.separator
            && self.modulus == plain.modulus
            && self.replacement == plain.replacement;
        let (holds, only) = match self.action {
            KeepEqual | DropEqual => (
                self.regex == plain.regex && rest,
                "only 'source_labels' and `target_label`",
            ),
            LabelDrop | LabelKeep => (same_source && same_target && rest, "only 'regex'"),
            _ => return Ok(()),
        };
        if holds {
            return Ok(());
        }
        Err(format!(
            "{} action requires {only}, and no other fields",
            self.action
        ))
    }
}

/// Checks that sample types are only kept or dropped.
pub(crate) fn check_sample_type_rules(rules: &[RelabelRule]) -> Result<(), String> {
    let wrong =
        |rule: &&RelabelRule| !matches!(rule.action, RelabelAction::Keep | RelabelAction::Drop);
    match rules.iter().find(wrong) {
        None => Ok(()),
        Some(rule) => Err(format!(
            "sample type relabeling only supports 'drop' and 'keep' actions, got '{}'",
            rule.action
        )),
    }
}

/// Checks rules that were built rather than read.
pub(crate) fn check_rules(rules: &[RelabelRule]) -> Result<(), String> {
    if rules.len() > MOST_RULES {
        return Err(format!("{} rules are more than {MOST_RULES}", rules.len()));
    }
    rules.iter().enumerate().try_for_each(|(position, rule)| {
        rule.check()
            .map_err(|reason| format!("rule at pos {position} is not valid: {reason}"))
    })
}

/// Reads rules from a text of YAML or JSON, as the flags give them.
pub(crate) fn rules_of_text(text: &str) -> Result<Vec<RelabelRule>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let node = yaml::parse(text, "").map_err(|error| error.to_string())?;
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::List(nodes) => rules_of_nodes(nodes),
        _ => Err("is not a list of relabelling rules".to_owned()),
    }
}

/// Reads rules from the nodes of a YAML list.
pub(crate) fn rules_of_nodes(nodes: &[Node]) -> Result<Vec<RelabelRule>, String> {
    let rules = nodes.iter().enumerate().map(|(position, node)| {
        rule_of(node).map_err(|reason| format!("rule at pos {position}: {reason}"))
    });
    let rules: Vec<_> = rules.collect::<Result<_, _>>()?;
    check_rules(&rules)?;
    Ok(rules)
}

fn rule_of(node: &Node) -> Result<RelabelRule, String> {
    let Value::Mapping(entries) = &node.value else {
        return Err("is not a mapping".to_owned());
    };
    let mut rule = RelabelRule::default();
    for (key, node) in entries {
        let name = key.name.as_str();
        match name {
            "source_labels" => rule.source_labels = texts(name, node)?,
            "separator" => rule.separator = text(name, node)?,
            "regex" => rule.regex = text(name, node)?,
            "modulus" => {
                let text = text(name, node)?;
                let number = text.parse();
                rule.modulus = number.map_err(|_| format!("modulus {text:?} is not a number"))?;
            }
            "target_label" => rule.target_label = text(name, node)?,
            "replacement" => rule.replacement = text(name, node)?,
            "action" => rule.action = action(&text(name, node)?)?,
            _ => return Err(format!("unknown key {name:?}")),
        }
    }
    Ok(rule)
}

fn action(text: &str) -> Result<RelabelAction, String> {
    let word = text.to_lowercase();
    let mut all = RelabelAction::ALL.into_iter();
    all.find(|action| action.as_str() == word)
        .ok_or_else(|| format!("unknown relabel action {text:?}"))
}

fn text(key: &str, node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Scalar(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        _ => Err(format!("{key} is not a text")),
    }
}

fn texts(key: &str, node: &Node) -> Result<Vec<String>, String> {
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::List(nodes) => nodes.iter().map(|node| text(key, node)).collect(),
        _ => Err(format!("{key} is not a list")),
    }
}
