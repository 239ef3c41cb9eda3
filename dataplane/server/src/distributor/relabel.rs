//! Relabelling with the semantics of Prometheus
//! (<https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>);
//! pure.

mod rule;

use std::sync::Arc;

use contract::config::RelabelRule;
use profile::{
    Labels,
    labels::{DELTA, NAME, TYPE, UNIT},
};

use rule::{Effect, Rule};

/// Where the built-in rules keep the name that they replace.
const NAME_REPLACED: &str = "__name_replaced__";

/// Rules in the order in which they are applied; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules(Arc<[Rule]>);

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    ///
    /// An expression that is not one; the configuration refuses those.
    pub(crate) fn compile(rules: &[RelabelRule]) -> Result<Self, regex::Error> {
        rules
            .iter()
            .map(Rule::compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the rules with the built-in ones where `position` says: `first`,
    /// `last` or nowhere.
    ///
    /// # Errors
    ///
    /// As [`Self::compile`].
    pub(crate) fn with_built_in(
        rules: &[RelabelRule],
        position: &str,
    ) -> Result<Self, regex::Error> {
        let built_in = built_in();
        match position {
            "last" => Self::compile(&[rules, &built_in].concat()),
            "disabled" => Self::compile(rules),
            _ => Self::compile(&[&built_in, rules].concat()),
        }
    }

    /// Tells whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the rules; nothing is left of a series that one of them drops.
    pub(crate) fn apply(&self, labels: Labels) -> Option<Labels> {
        self.0
            .iter()
            .try_fold(labels, |labels, rule| match rule.apply(&labels) {
                Effect::Unchanged => Some(labels),
                Effect::Changed(labels) => Some(labels),
                Effect::Drop => None,
            })
    }

    /// Tells whether the rules keep one sample type of a series.
    pub(crate) fn keeps_sample_type(&self, labels: &Labels, name: &str, unit: &str) -> bool {
        self.is_empty()
            || self
                .apply(labels.with(TYPE, name).with(UNIT, unit))
                .is_some()
    }
}

/// The rules that Grafana Pyroscope has built in: profiles of godeltaprof are
/// those of Go that are deltas already, and CPU time in profiles of `wall` is CPU
/// time.
fn built_in() -> Vec<RelabelRule> {
    let replace = |sources: &[&str], regex: &str, target: &str, replacement: &str| RelabelRule {
        source_labels: sources.iter().map(|&name| name.to_owned()).collect(),
        separator: "/".to_owned(),
        regex: regex.to_owned(),
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        ..RelabelRule::default()
    };
    let godeltaprof = "godeltaprof_(.*)";
    vec![
        replace(&[NAME], godeltaprof, NAME_REPLACED, "$0"),
        replace(&[NAME_REPLACED], godeltaprof, DELTA, "false"),
        replace(&[NAME], godeltaprof, NAME, "$1"),
        replace(&[NAME, TYPE], "wall/cpu", NAME_REPLACED, "wall"),
        replace(&[NAME, TYPE], "wall/cpu", NAME, "process_cpu"),
    ]
}

#[cfg(test)]
mod tests {
    use contract::config::RelabelAction;

    use super::*;

    pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    pub(super) fn rule(action: RelabelAction, sources: &[&str]) -> RelabelRule {
        RelabelRule {
            source_labels: sources.iter().map(|&name| name.to_owned()).collect(),
            action,
            ..RelabelRule::default()
        }
    }

    #[test]
    fn rules_follow_each_other() {
        let first = RelabelRule {
            target_label: "b".to_owned(),
            ..rule(RelabelAction::Replace, &["a"])
        };
        let second = RelabelRule {
            regex: "x".to_owned(),
            ..rule(RelabelAction::Drop, &["b"])
        };
        let rules = Rules::compile(&[first, second]).unwrap();
        assert_eq!(rules.apply(labels(&[("a", "x")])), None);
        assert!(rules.apply(labels(&[("a", "y")])).is_some());
    }

    #[test]
    fn the_built_in_rules_know_godeltaprof_and_wall() {
        let rules = Rules::with_built_in(&[], "first").unwrap();
        let apply = |pairs| rules.apply(labels(pairs)).unwrap();
        assert_eq!(
            apply(&[(NAME, "godeltaprof_memory")]),
            labels(&[
                (NAME, "memory"),
                (NAME_REPLACED, "godeltaprof_memory"),
                (DELTA, "false")
            ])
        );
        assert_eq!(
            apply(&[(NAME, "wall"), (TYPE, "cpu")]),
            labels(&[
                (NAME, "process_cpu"),
                (NAME_REPLACED, "wall"),
                (TYPE, "cpu")
            ])
        );
        let cpu = labels(&[(NAME, "process_cpu"), ("service_name", "a")]);
        assert_eq!(apply(&[(NAME, "process_cpu"), ("service_name", "a")]), cpu);
        assert!(Rules::with_built_in(&[], "disabled").unwrap().is_empty());
    }

    #[test]
    fn the_built_in_rules_stand_where_they_are_told_to() {
        let drop = RelabelRule {
            regex: "godeltaprof_.*".to_owned(),
            ..rule(RelabelAction::Drop, &[NAME])
        };
        let kept = |position| {
            let rules = Rules::with_built_in(std::slice::from_ref(&drop), position).unwrap();
            rules
                .apply(labels(&[(NAME, "godeltaprof_block")]))
                .is_some()
        };
        assert!(kept("first"));
        assert!(!kept("last"));
        assert!(!kept("disabled"));
    }

    #[test]
    fn sample_types_are_told_by_type_and_unit() {
        let rules = Rules::compile(&[RelabelRule {
            regex: "alloc_.*;app".to_owned(),
            ..rule(RelabelAction::Drop, &[TYPE, "service_name"])
        }])
        .unwrap();
        let app = labels(&[("service_name", "app")]);
        assert!(!rules.keeps_sample_type(&app, "alloc_space", "bytes"));
        assert!(rules.keeps_sample_type(&app, "inuse_space", "bytes"));
        assert!(rules.keeps_sample_type(&labels(&[]), "alloc_space", "bytes"));
    }
}
