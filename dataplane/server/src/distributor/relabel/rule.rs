//! One rule; pure.

use std::borrow::Cow;

use contract::config::{RelabelAction, RelabelRule};
use md5::{Digest as _, Md5};
use profile::Labels;
use regex::{Captures, Regex};

/// Longest name or value that a rule makes, in bytes. Templates can repeat what
/// they match, which may be as long as a request.
const MAX_MADE_BYTES: usize = 64 << 10;

/// A rule, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    sources: Box<[Box<str>]>,
    separator: Box<str>,
    regex: Regex,
    /// Whether the expression is the default, which matches everything.
    matches_all: bool,
    modulus: u64,
    target: Box<str>,
    replacement: Box<str>,
    action: RelabelAction,
}

/// What a rule makes of labels.
pub(super) enum Effect {
    Unchanged,
    Changed(Labels),
    Drop,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    ///
    /// An expression that is not one.
    pub(super) fn compile(rule: &RelabelRule) -> Result<Self, regex::Error> {
        Ok(Self {
            sources: rule
                .source_labels
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            separator: rule.separator.as_str().into(),
            regex: Regex::new(&RelabelRule::anchored(&rule.regex))?,
            matches_all: rule.regex == RelabelRule::default().regex,
            modulus: rule.modulus.max(1),
            target: rule.target_label.as_str().into(),
            replacement: rule.replacement.as_str().into(),
            action: rule.action,
        })
    }

    /// Applies the rule.
    pub(super) fn apply(&self, labels: &Labels) -> Effect {
        use RelabelAction::{
            Drop, DropEqual, HashMod, Keep, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase,
            Replace, Uppercase,
        };
        let source = self.source(labels);
        let target = || labels.get(&self.target).unwrap_or_default();
        let drop_if = |dropped| {
            if dropped {
                Effect::Drop
            } else {
                Effect::Unchanged
            }
        };
        match self.action {
            Replace => self.replace(labels, &source),
            Keep => drop_if(!self.matches(&source)),
            Drop => drop_if(self.matches(&source)),
            KeepEqual => drop_if(target() != source),
            DropEqual => drop_if(target() == source),
            HashMod => set(labels, &self.target, &hash_mod(&source, self.modulus)),
            LabelMap => self.map(labels),
            LabelDrop => only(labels, |name| !self.matches(name)),
            LabelKeep => only(labels, |name| self.matches(name)),
            Lowercase => set(labels, &self.target, &source.to_lowercase()),
            Uppercase => set(labels, &self.target, &source.to_uppercase()),
        }
    }

    /// Returns the values of the source labels, joined.
    fn source<'a>(&self, labels: &'a Labels) -> Cow<'a, str> {
        let value = |name: &str| labels.get(name).unwrap_or_default();
        match &*self.sources {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(value(only)),
            several => {
                let values: Vec<&str> = several.iter().map(|name| value(name)).collect();
                Cow::Owned(values.join(&self.separator))
            }
        }
    }

    fn matches(&self, text: &str) -> bool {
        self.matches_all || self.regex.is_match(text)
    }

    fn replace(&self, labels: &Labels, source: &str) -> Effect {
        let Some(found) = self.regex.captures(source) else {
            return Effect::Unchanged;
        };
        let target = expand(&found, &self.target);
        if target.is_empty() {
            return Effect::Unchanged;
        }
        set(labels, &target, &expand(&found, &self.replacement))
    }

    fn map(&self, labels: &Labels) -> Effect {
        let mut mapped = labels.clone();
        for (name, value) in labels.iter() {
            if let Some(found) = self.regex.captures(name) {
                let name = expand(&found, &self.replacement);
                if !name.is_empty() {
                    mapped = mapped.with(&name, value);
                }
            }
        }
        Effect::Changed(mapped)
    }
}

/// Fills in a template; Go and Rust write `$1`, `${1}`, `${name}` and `$$` alike.
fn expand<'t>(found: &Captures<'_>, template: &'t str) -> Cow<'t, str> {
    if !template.contains('$') {
        return Cow::Borrowed(template);
    }
    let mut made = String::new();
    found.expand(template, &mut made);
    made.truncate(made.floor_char_boundary(MAX_MADE_BYTES));
    Cow::Owned(made)
}

fn set(labels: &Labels, name: &str, value: &str) -> Effect {
    if labels.get(name).unwrap_or_default() == value {
        return Effect::Unchanged;
    }
    Effect::Changed(labels.with(name, value))
}

fn only(labels: &Labels, keep: impl Fn(&str) -> bool) -> Effect {
    let names: Vec<&str> = labels
        .iter()
        .map(|(name, _)| name)
        .filter(|name| keep(name))
        .collect();
    if names.len() == labels.len() {
        return Effect::Unchanged;
    }
    Effect::Changed(labels.only(&names))
}

/// Returns the last eight bytes of the MD5 sum as a number, modulo.
fn hash_mod(text: &str, modulus: u64) -> String {
    let sum = Md5::digest(text.as_bytes());
    let last = sum
        .iter()
        .skip(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte));
    (last % modulus).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributor::relabel::tests::{labels, rule};

    fn apply(rule: RelabelRule, to: &[(&str, &str)]) -> Option<String> {
        let labels = labels(to);
        match Rule::compile(&rule).unwrap().apply(&labels) {
            Effect::Unchanged => Some(labels.to_string()),
            Effect::Changed(labels) => Some(labels.to_string()),
            Effect::Drop => None,
        }
    }

    fn is(pairs: &[(&str, &str)]) -> Option<String> {
        Some(labels(pairs).to_string())
    }

    #[test]
    fn replace_sets_the_target_from_the_match() {
        let replace = |regex: &str, target: &str, replacement: &str| RelabelRule {
            regex: regex.to_owned(),
            target_label: target.to_owned(),
            replacement: replacement.to_owned(),
            ..rule(RelabelAction::Replace, &["a", "b"])
        };
        let to = [("a", "foo"), ("b", "bar")];
        let with_d = |value| is(&[("a", "foo"), ("b", "bar"), ("d", value)]);
        assert_eq!(
            apply(replace("f(.*);(.*)r", "d", "ch${1}-ch${2}"), &to),
            with_d("choo-chba")
        );
        assert_eq!(apply(replace("(.*)", "d", "$1"), &to), with_d("foo;bar"));
        assert_eq!(
            apply(replace("foo", "d", "x"), &to),
            is(&to),
            "the whole text must match"
        );
        assert_eq!(
            apply(replace("f(oo);.*", "l_${1}", "x"), &to),
            is(&[("a", "foo"), ("b", "bar"), ("l_oo", "x")])
        );
        assert_eq!(
            apply(replace("(.*)", "b", ""), &to),
            is(&[("a", "foo")]),
            "empty removes"
        );
        assert_eq!(
            apply(replace("(?P<first>f.*);.*", "d", "${first}$$"), &to),
            with_d("foo$")
        );
        assert_eq!(
            apply(replace("(.*)", "d", "$9"), &to),
            is(&to),
            "a group that is not there is empty"
        );
        assert_eq!(
            apply(replace("(.*)", "${9}", "x"), &to),
            is(&to),
            "no name, no label"
        );
        let lines = replace("a.b;", "d", "x");
        assert_eq!(
            apply(lines, &[("a", "a\nb")]),
            is(&[("a", "a\nb"), ("d", "x")])
        );
    }

    #[test]
    fn keep_and_drop_decide_about_the_series() {
        let with = |action, regex: &str| RelabelRule {
            regex: regex.to_owned(),
            ..rule(action, &["a"])
        };
        let to = [("a", "foo")];
        assert_eq!(apply(with(RelabelAction::Keep, "f.*"), &to), is(&to));
        assert_eq!(apply(with(RelabelAction::Keep, "f"), &to), None);
        assert_eq!(apply(with(RelabelAction::Drop, "f.*|x"), &to), None);
        assert_eq!(apply(with(RelabelAction::Drop, "o+"), &to), is(&to));
        assert_eq!(
            apply(with(RelabelAction::Drop, ".*"), &[]),
            None,
            "what is missing is empty"
        );
    }

    #[test]
    fn keepequal_and_dropequal_compare_with_the_target() {
        let with = |action| RelabelRule {
            target_label: "port".to_owned(),
            ..rule(action, &["wanted"])
        };
        let same = [("port", "80"), ("wanted", "80")];
        let other = [("port", "80"), ("wanted", "81")];
        assert_eq!(apply(with(RelabelAction::KeepEqual), &same), is(&same));
        assert_eq!(apply(with(RelabelAction::KeepEqual), &other), None);
        assert_eq!(apply(with(RelabelAction::DropEqual), &same), None);
        assert_eq!(apply(with(RelabelAction::DropEqual), &other), is(&other));
    }

    #[test]
    fn hashmod_takes_the_end_of_the_md5_sum() {
        let hash = RelabelRule {
            target_label: "d".to_owned(),
            separator: ";".to_owned(),
            modulus: 1000,
            ..rule(RelabelAction::HashMod, &["c"])
        };
        // The MD5 sum of "baz" ends in 73feffa4b7f6bb68e44cf984c85f6e88.
        assert_eq!(
            apply(hash, &[("c", "baz")]),
            is(&[("c", "baz"), ("d", "976")])
        );
        assert_eq!(hash_mod("foo\nbar", 1000), "734");
    }

    #[test]
    fn labels_are_mapped_dropped_and_kept_by_name() {
        let with = |action, regex: &str| RelabelRule {
            regex: regex.to_owned(),
            ..rule(action, &[])
        };
        let to = [("a", "1"), ("meta_x", "2"), ("meta_y", "3")];
        assert_eq!(
            apply(with(RelabelAction::LabelMap, "meta_(.*)"), &to),
            is(&[
                ("a", "1"),
                ("meta_x", "2"),
                ("meta_y", "3"),
                ("x", "2"),
                ("y", "3")
            ])
        );
        assert_eq!(
            apply(with(RelabelAction::LabelDrop, "meta_.*"), &to),
            is(&[("a", "1")])
        );
        assert_eq!(
            apply(with(RelabelAction::LabelKeep, "meta_.*"), &to),
            is(&[("meta_x", "2"), ("meta_y", "3")])
        );
        assert_eq!(apply(with(RelabelAction::LabelDrop, "meta"), &to), is(&to));
    }

    #[test]
    fn case_is_changed() {
        let with = |action| RelabelRule {
            target_label: "d".to_owned(),
            ..rule(action, &["a"])
        };
        let to = [("a", "Füß")];
        assert_eq!(
            apply(with(RelabelAction::Lowercase), &to),
            is(&[("a", "Füß"), ("d", "füß")])
        );
        assert_eq!(
            apply(with(RelabelAction::Uppercase), &to),
            is(&[("a", "Füß"), ("d", "FÜSS")])
        );
    }

    #[test]
    fn templates_do_not_grow_without_bound() {
        let grow = RelabelRule {
            target_label: "d".to_owned(),
            replacement: "$1$1$1$1".to_owned(),
            ..rule(RelabelAction::Replace, &["a"])
        };
        let long = "x".repeat(MAX_MADE_BYTES);
        let Effect::Changed(made) = Rule::compile(&grow)
            .unwrap()
            .apply(&labels(&[("a", &long)]))
        else {
            panic!("it sets a label");
        };
        assert_eq!(made.get("d").map(str::len), Some(MAX_MADE_BYTES));
    }
}
