//! What holds for every configuration and every input.

use std::io;
use std::time::Duration as StdDuration;

use proptest::prelude::*;
use pyroscope_contract::args::{self, Request};
use pyroscope_contract::error::Errors;
use pyroscope_contract::kind::Kind;
use pyroscope_contract::settings::{Effect, Setting, all};
use pyroscope_contract::{Config, Duration};

/// Relabelling rules as flags give them.
const RULES: &[&str] = &[
    "",
    "[]",
    r#"[{"action": "drop", "source_labels": ["__type__", "a b"], "regex": "alloc_.*"}]"#,
    "[{action: Keep, separator: '/', regex: '(?i)x|\"y\"'}, {action: drop, regex: 'null'}]",
];

/// A value that a setting takes.
fn value(kind: Kind) -> BoxedStrategy<String> {
    match kind {
        Kind::Bool => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        Kind::Int => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        Kind::Uint(most) => (0..=most).prop_map(|value| value.to_string()).boxed(),
        Kind::Float => (0.0..1e300f64).prop_map(|value| value.to_string()).boxed(),
        Kind::Duration => (0..=i64::MAX as u64)
            .prop_map(|nanos| Duration::from(StdDuration::from_nanos(nanos)).to_string())
            .boxed(),
        Kind::Text | Kind::Secret => any::<String>().boxed(),
        Kind::Choice { known, .. } => proptest::sample::select(known)
            .prop_map(str::to_owned)
            .boxed(),
        Kind::List | Kind::Commas => any::<Vec<String>>()
            .prop_map(|texts| texts.join(","))
            .boxed(),
        Kind::Rules => proptest::sample::select(RULES)
            .prop_map(str::to_owned)
            .boxed(),
        Kind::Targets => "(all|ingester|querier|distributor)(,(all|ingester|querier)){0,3}".boxed(),
    }
}

fn setting(effect: fn(Effect) -> bool) -> impl Strategy<Value = Setting> {
    let settings: Vec<Setting> = all().filter(|setting| effect(setting.effect)).collect();
    proptest::sample::select(settings)
}

/// Flags with values that fit; together they may still break a rule.
fn good_flags(which: fn(&Setting) -> bool) -> impl Strategy<Value = Vec<String>> {
    let settings: Vec<Setting> = all()
        .filter(|setting| setting.effect == Effect::Sets && which(setting))
        .collect();
    let flag = proptest::sample::select(settings).prop_flat_map(|setting| {
        value(setting.kind).prop_map(move |value| format!("-{}={value}", setting.flag))
    });
    proptest::collection::vec(flag, 0..8)
}

fn bad_flag() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "-{0,3}[a-z.-]{0,20}(=.{0,10})?",
        (setting(|_| true), any::<String>()).prop_map(|(s, value)| format!("-{}={value}", s.flag)),
        setting(|_| true).prop_map(|s| format!("--{}", s.flag)),
    ]
}

fn yaml_like() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        setting(|_| true).prop_map(|s| s.path.replace('.', ": {")),
        "[ ]{0,6}[a-z_]{1,12}:( [-&*!|>\\[\\]{}#a-z0-9.\"']{0,8})?",
        any::<String>(),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

fn parse(args: &[String], file: &str) -> Result<Request, Errors> {
    let read = |_: &str| -> io::Result<String> { Ok(file.to_owned()) };
    args::parse(args, &|name| Some(name.to_owned()), &read)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_configuration_without_secrets_comes_back_from_its_yaml(
        flags in good_flags(|setting| setting.kind != Kind::Secret),
    ) {
        if let Ok(Request::Run(loaded)) = parse(&flags, "") {
            let config = loaded.config;
            let read = |yaml: String| Config::from_yaml(&yaml).map(|(config, warnings)| (config, warnings.len()));
            prop_assert_eq!(read(config.to_yaml()), Ok((config.clone(), 0)));
            prop_assert_eq!(read(config.to_yaml_minimal()), Ok((config, 0)));
        }
    }

    #[test]
    fn a_flag_that_fits_is_never_malformed(flags in good_flags(|_| true)) {
        if let Err(errors) = parse(&flags, "") {
            // Only rules over several settings may object.
            for error in errors.0 {
                prop_assert!(matches!(error, pyroscope_contract::error::Error::Invalid { .. }), "{}", error);
            }
        }
    }

    #[test]
    fn a_flag_and_its_key_mean_the_same(
        (setting, value) in setting(|effect| effect == Effect::Sets)
            .prop_flat_map(|setting| (Just(setting), value(setting.kind)))
    ) {
        let quoted = serde_json::Value::from(value.as_str());
        let opened = setting.path.replace('.', ": {");
        let closed = "}".repeat(setting.path.matches('.').count());
        let yaml = format!("{opened}: {quoted}{closed}");
        let by_key = parse(&["-config.file=c.yaml".to_owned()], &yaml);
        let by_flag = parse(&[format!("-{}={value}", setting.flag)], "");
        prop_assert_eq!(by_key, by_flag, "{}", yaml);
    }

    #[test]
    fn durations_come_back_from_their_text(nanos in 0..=i64::MAX as u64) {
        let duration = Duration::from(StdDuration::from_nanos(nanos));
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn no_text_breaks_a_parser(text in any::<String>(), numeric in "[-+0-9.nuµmshdwy]{0,24}") {
        let _ = text.parse::<Duration>();
        let _ = numeric.parse::<Duration>();
        for setting in all() {
            let _ = setting.kind.parse(&text);
        }
    }

    #[test]
    fn no_arguments_and_no_file_break_the_command_line(
        args in proptest::collection::vec(bad_flag(), 0..6),
        file in yaml_like(),
    ) {
        let mut args = args;
        let _ = parse(&args, &file).map_err(|errors| errors.to_string());
        args.insert(0, "-config.file=c.yaml".to_owned());
        args.insert(0, "-config.expand-env".to_owned());
        let _ = parse(&args, &file).map_err(|errors| errors.to_string());
    }
}
