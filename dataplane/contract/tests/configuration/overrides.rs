//! Limits of single tenants.

use pyroscope_contract::Config;
use pyroscope_contract::overrides::{self, Overrides};

fn read(files: &[&str]) -> Result<(Overrides, usize), String> {
    let mut config = Config::default();
    config.limits.max_label_names_per_series = 50;
    let named = |(n, text): (usize, &&str)| (format!("{n}.yaml"), (*text).to_owned());
    let files: Vec<_> = files.iter().enumerate().map(named).collect();
    overrides::parse(&files, &config)
        .map(|(overrides, warnings)| (overrides, warnings.len()))
        .map_err(|errors| errors.to_string())
}

#[test]
fn what_a_tenant_does_not_say_is_as_for_everybody() {
    let (overrides, warnings) =
        read(&["overrides:\n  a:\n    ingestion_rate_mb: 20\n  b:\n"]).unwrap();
    assert_eq!(warnings, 0);
    assert_eq!(overrides["a"].ingestion_rate_mb, 20.0);
    assert_eq!(overrides["a"].max_label_names_per_series, 50);
    assert_eq!(overrides["b"].ingestion_rate_mb, 4.0);
    assert_eq!(read(&["", "overrides:", "{}"]), Ok((Overrides::new(), 0)));
}

#[test]
fn later_files_win_key_by_key() {
    let first = "overrides: {a: {ingestion_rate_mb: 20, max_label_name_length: 9}}";
    let second = "overrides: {a: {ingestion_rate_mb: 30}, b: {compactor_split_groups: 1}}";
    let (overrides, warnings) = read(&[first, second]).unwrap();
    assert_eq!(overrides["a"].ingestion_rate_mb, 30.0);
    assert_eq!(overrides["a"].max_label_name_length, 9);
    assert_eq!(warnings, 1, "one key does nothing here");
}

#[test]
fn what_is_wrong_is_named_with_its_file_place_and_tenant() {
    let cases = [
        (
            "overrides:\n  a:\n    ingestion_rat_mb: 1",
            "0.yaml:3:5: key overrides.a.ingestion_rat_mb: unknown key; did you mean \"overrides.a.ingestion_rate_mb\"?",
        ),
        (
            "overrides: {a: {max_label_name_length: long}}",
            "0.yaml:1:17: key overrides.a.max_label_name_length: \"long\" is not a whole number",
        ),
        (
            "overrides: {a: {max_label_name_length: 0}}",
            "overrides.a: -validation.max-length-label-name (limits.max_label_name_length): must be at least 1",
        ),
        (
            "overrides: [a]",
            "0.yaml:1:1: key overrides: is a mapping of tenants, not a value",
        ),
        (
            "overrides: {a: 1}",
            "0.yaml:1:13: key overrides.a: is a mapping of limits, not a value",
        ),
        (
            "overides: {}",
            "0.yaml:1:1: key overides: unknown key; did you mean \"overrides\"?",
        ),
        ("- a", "not a YAML mapping of settings"),
        ("overrides: {", "0.yaml"),
    ];
    for (text, says) in cases {
        let error = read(&[text]).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn overrides_come_back_from_their_yaml() {
    let text = "overrides: {a: {ingestion_rate_mb: 20, reject_older_than: 2h}, b: {}}";
    let (overrides, _) = read(&[text]).unwrap();
    let whole = overrides::to_yaml(&overrides, None);
    assert_eq!(read(&[&whole]), Ok((overrides.clone(), 0)));
    let mut everybody = Config::default().limits;
    everybody.max_label_names_per_series = 50;
    assert_eq!(
        overrides::to_yaml(&overrides, Some(&everybody)),
        "overrides:\n  a:\n    ingestion_rate_mb: 20.0\n    reject_older_than: 2h0m0s\n  b: {}\n"
    );
}
