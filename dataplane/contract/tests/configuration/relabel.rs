//! Relabelling rules: what is read and what Prometheus would refuse.

use pyroscope_contract::Config;
use pyroscope_contract::args::{self, Request};
use pyroscope_contract::config::{Limits, RelabelAction, RelabelRule};

fn flags(flags: &[&str]) -> Result<Limits, String> {
    let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    let none = |_: &str| -> std::io::Result<String> { unreachable!("no file is named") };
    match args::parse(&flags, &|_| None, &none) {
        Ok(Request::Run(loaded)) => Ok(loaded.config.limits),
        Ok(_) => unreachable!("nothing else is asked"),
        Err(errors) => Err(errors.to_string()),
    }
}

fn rules(text: &str) -> Result<Vec<RelabelRule>, String> {
    let flag = format!("-distributor.ingestion-relabeling-rules={text}");
    flags(&[&flag]).map(|limits| limits.ingestion_relabeling_rules)
}

#[test]
fn a_flag_takes_a_list_in_json_or_yaml() {
    let rule = RelabelRule {
        source_labels: vec!["environment".to_owned()],
        regex: "secret".to_owned(),
        action: RelabelAction::Drop,
        ..RelabelRule::default()
    };
    let json = r#"[{"action":"drop","source_labels":["environment"],"regex":"secret"}]"#;
    assert_eq!(rules(json), Ok(vec![rule.clone()]));
    let yaml = "- action: DROP\n  source_labels: [environment]\n  regex: secret\n";
    assert_eq!(rules(yaml), Ok(vec![rule.clone()]));
    assert_eq!(rules(""), Ok(vec![]));
    let file = format!(
        "limits:\n  ingestion_relabeling_rules:\n  {}",
        yaml.replace('\n', "\n  ")
    );
    let (config, warnings) = Config::from_yaml(&file).unwrap();
    assert_eq!(config.limits.ingestion_relabeling_rules, [rule]);
    assert_eq!(warnings, []);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let cases = [
        ("[{}]", "replace action requires 'target_label'"),
        (
            "[{action: hashmod, target_label: a}]",
            "hashmod requires non-zero modulus",
        ),
        (
            "[{action: hashmod, target_label: a, modulus: x}]",
            "modulus \"x\" is not a number",
        ),
        (
            "[{action: lowercase}]",
            "lowercase action requires 'target_label'",
        ),
        (
            "[{action: keepequal, target_label: a, regex: b}]",
            "only 'source_labels' and `target_label`",
        ),
        (
            "[{action: labeldrop, source_labels: [a]}]",
            "only 'regex', and no other fields",
        ),
        ("[{action: drop, regex: '('}]", "regex \"(\""),
        ("[{action: drop, regex: '(a{1000}){1000}'}]", "regex"),
        ("[{action: drop, labels: [a]}]", "unknown key \"labels\""),
        ("[drop]", "rule at pos 0: is not a mapping"),
        ("drop", "is not a list of relabelling rules"),
    ];
    for (text, says) in cases {
        let error = rules(text).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn sample_types_are_only_kept_or_dropped() {
    let flag = "-distributor.sample-type-relabeling-rules";
    let keep = format!("{flag}=[{{action: keep, source_labels: [__type__], regex: cpu|wall}}]");
    assert_eq!(
        flags(&[&keep]).unwrap().sample_type_relabeling_rules.len(),
        1
    );
    let replace = format!("{flag}=[{{target_label: a}}]");
    let error = flags(&[&replace]).unwrap_err();
    assert!(
        error.contains("only supports 'drop' and 'keep' actions, got 'replace'"),
        "{error}"
    );
}

#[test]
fn the_built_in_rules_have_three_places() {
    let position = |word: &str| {
        flags(&[&format!(
            "-distributor.ingestion-relabeling-default-rules-position={word}"
        )])
        .map(|limits| limits.ingestion_relabeling_default_rules_position)
    };
    assert_eq!(position("disabled").as_deref(), Ok("disabled"));
    assert!(
        position("end")
            .unwrap_err()
            .contains("one of first, last, disabled")
    );
}
