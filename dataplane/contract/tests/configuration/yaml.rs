//! Configuration files: what is read, what is refused and how it is said.

use pyroscope_contract::config::{CommaList, LogFormat, LogLevel, Target, Targets};
use pyroscope_contract::{Config, Duration};

fn read(yaml: &str) -> (Config, Vec<String>) {
    match Config::from_yaml(yaml) {
        Ok((config, warnings)) => (config, warnings.iter().map(ToString::to_string).collect()),
        Err(errors) => panic!("{yaml:?}: {errors}"),
    }
}

fn refused(yaml: &str) -> String {
    match Config::from_yaml(yaml) {
        Ok(_) => panic!("{yaml:?} is taken"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn an_empty_file_is_the_defaults() {
    let empty = [
        "",
        "\n",
        "{}",
        "# nothing\n",
        "---\n",
        "server:\n",
        "server: {}\n",
        "target:\n",
        "server: {log_level: null}",
    ];
    for yaml in empty {
        assert_eq!(read(yaml), (Config::default(), vec![]), "{yaml:?}");
    }
}

#[test]
fn keys_set_their_fields() {
    let (config, warnings) = read(
        "
target: distributor,querier
multitenancy_enabled: true
server: {http_listen_port: 80, log_level: debug, log_format: json}
memberlist:
  join_members:
    - dnssrv+_gossip._tcp.a.b.svc
    - 10.0.0.1:7946
  cluster_label: 123
  bind_addr: ' ::1 ,'
ingester:
  lifecycler:
    num_tokens: 512
    heartbeat_period: 20s
    ring:
      replication_factor: 3
      excluded_zones: [a, b]
      kvstore: {store: memberlist, prefix: mine/}
limits: {ingestion_rate_mb: 1.5, reject_older_than: 0}
",
    );
    assert_eq!(warnings, [] as [&str; 0]);
    let mut expected = Config {
        target: Targets::new([Target::Distributor, Target::Querier]),
        multitenancy_enabled: true,
        ..Config::default()
    };
    expected.server.http_listen_port = 80;
    expected.server.log_level = LogLevel::Debug;
    expected.server.log_format = LogFormat::Json;
    expected.memberlist.join_members = vec![
        "dnssrv+_gossip._tcp.a.b.svc".to_owned(),
        "10.0.0.1:7946".to_owned(),
    ];
    expected.memberlist.cluster_label = "123".to_owned();
    expected.memberlist.bind_addr = vec!["::1".to_owned()];
    expected.ingester.lifecycler.num_tokens = 512;
    expected.ingester.lifecycler.heartbeat_period = Duration::from_secs(20);
    expected.ingester.lifecycler.ring.replication_factor = 3;
    expected.ingester.lifecycler.ring.excluded_zones = CommaList::from("a,b");
    expected.ingester.lifecycler.ring.kvstore.prefix = "mine/".to_owned();
    expected.limits.ingestion_rate_mb = 1.5;
    expected.limits.reject_older_than = Duration::ZERO;
    assert_eq!(config, expected);
    assert_eq!(
        config.ingester.lifecycler.ring.kvstore.ingester_ring_key(),
        "mine/ring"
    );
}

#[test]
fn what_does_nothing_is_said_once() {
    let (config, warnings) = read(
        "compactor: {a: 1, b: [2]}\nstorage:\n  swift: {container_name: x}\npyroscopedb:\n  \
         max_block_duration: 1h\nserver:\n  cluster_validation: {label: x}\n",
    );
    assert_eq!(config, Config::default());
    assert_eq!(
        warnings,
        [
            "line 1, column 1: key compactor has no effect in this version",
            "line 3, column 3: key storage.swift has no effect in this version",
            "line 5, column 3: key pyroscopedb.max_block_duration has no effect in this version",
            "line 7, column 3: key server.cluster_validation has no effect in this version",
        ]
    );
}

#[test]
fn values_that_ask_for_nothing_are_taken() {
    let yaml = "memberlist: {tls_enabled: false}\nserver: {http_listen_network: tcp, \
                http_path_prefix: ''}\nlimits: {ingestion_relabeling_rules: []}\n";
    assert_eq!(read(yaml), (Config::default(), vec![]));
}

#[test]
fn messages_name_the_key_the_place_and_the_way_out() {
    let known = [
        (
            "memberlist:\n  join_member: [a]",
            "line 2, column 3: key memberlist.join_member: unknown key; did you mean \"memberlist.join_members\"?",
        ),
        (
            "servr: {}",
            "line 1, column 1: key servr: unknown key; did you mean \"server\"?",
        ),
        ("zzz: 1", "line 1, column 1: key zzz: unknown key"),
        (
            "num_tokens: 1",
            "line 1, column 1: key num_tokens: unknown key; did you mean \"ingester.lifecycler.num_tokens\"?",
        ),
        (
            "server: {http_listen_port: 70000}",
            "line 1, column 10: key server.http_listen_port: \"70000\" is not a whole number from 0 to 65535",
        ),
        (
            "server: 5",
            "line 1, column 1: key server: is a section of settings, not a value",
        ),
        (
            "server:\n  log_level: loud",
            "line 2, column 3: key server.log_level: \"loud\" is not one of debug, info, warn, error",
        ),
        (
            "server: {log_level: {a: b}}",
            "line 1, column 10: key server.log_level: takes a value of type string",
        ),
        (
            "ingester:\n  lifecycler:\n    num_tokens: [1]",
            "line 3, column 5: key ingester.lifecycler.num_tokens: takes a value of type int",
        ),
        (
            "limits: {reject_older_than: 5}",
            "line 1, column 10: key limits.reject_older_than: \"5\" is not a duration: a number has no known unit; units are ns, us, ms, s, m, h, d, w, y",
        ),
        (
            "limits: {ingestion_rate_mb: .nan}",
            "line 1, column 10: key limits.ingestion_rate_mb: \".nan\" is not a number of 0 or more",
        ),
        (
            "storage: {backend: cos}",
            "line 1, column 11: key storage.backend: \"cos\" is not supported yet; supported: filesystem, s3, gcs, azure",
        ),
        (
            "server: {proxy_protocol_enabled: true}",
            "line 1, column 10: key server.proxy_protocol_enabled: not supported yet; remove it or set it to \"false\"",
        ),
        (
            "limits: {ingestion_relabeling_rules: [{action: refund}]}",
            "line 1, column 10: key limits.ingestion_relabeling_rules: rule at pos 0: unknown relabel action \"refund\"",
        ),
        (
            "limits: {ingestion_relabeling_rules: [{action: drop}, {}]}",
            "line 1, column 10: key limits.ingestion_relabeling_rules: rule at pos 1 is not valid: relabel configuration for replace action requires 'target_label' value",
        ),
        (
            "target: all,store-gateway",
            "line 1, column 1: key target: target \"store-gateway\" is not part of this version; targets are all, distributor, ingester, querier",
        ),
        (
            "target: ingestr",
            "line 1, column 1: key target: unknown target \"ingestr\"; did you mean \"ingester\"?",
        ),
        (
            "target: ','",
            "line 1, column 1: key target: the list of targets is empty; targets are all, distributor, ingester, querier",
        ),
        (
            "- 1",
            "line 1, column 1: not a YAML mapping of settings: it is a single value or a list",
        ),
        (
            "a: [",
            "line 1, column 4: not a YAML mapping of settings: unclosed bracket '['",
        ),
        (
            "target: all\ntarget: all",
            "line 2, column 1: not a YAML mapping of settings: the key \"target\" is given twice",
        ),
        (
            "target: all\n foo: bar",
            "line 2, column 5: not a YAML mapping of settings: mapping values are not allowed in this context",
        ),
    ];
    for (yaml, message) in known {
        assert_eq!(refused(yaml), message, "{yaml:?}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let errors = refused("servr: {}\nserver: {log_level: x, log_format: y}\n");
    assert_eq!(errors.lines().count(), 3, "{errors}");
}

#[test]
fn deep_and_self_containing_documents_are_refused() {
    for open in ["[", "{a: "] {
        let message = refused(&open.repeat(100_000));
        assert!(message.contains("not a YAML mapping"), "{message}");
    }
    let nested = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect::<String>();
    assert!(refused(&nested).contains("not a YAML mapping"));
    assert!(refused("a: &a [*a]").contains("not a YAML mapping"));
    let bomb = (1..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        let below = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{below}, {below}, {below}, {below}, {below}, {below}]\n")
    });
    assert!(refused(&bomb).contains("not a YAML mapping"));
}

#[test]
fn minimal_yaml_has_what_differs_and_reads_back() {
    assert_eq!(Config::default().to_yaml_minimal().trim(), "{}");
    let mut config = Config::default();
    config.server.log_format = LogFormat::Json;
    config.ingester.lifecycler.ring.replication_factor = 3;
    config.memberlist.join_members = vec!["dnssrv+_gossip._tcp.a.b.svc.cluster.local".to_owned()];
    config.memberlist.cluster_label = "a.b".to_owned();
    assert_eq!(
        config.to_yaml_minimal(),
        "server:\n  log_format: json\ningester:\n  lifecycler:\n    ring:\n      \
         replication_factor: 3\nmemberlist:\n  cluster_label: a.b\n  join_members:\n  \
         - dnssrv+_gossip._tcp.a.b.svc.cluster.local\n"
    );
    assert_eq!(read(&config.to_yaml_minimal()), (config, vec![]));
}

#[test]
fn texts_that_look_like_something_else_read_back() {
    let texts = [
        "null",
        "~",
        "true",
        "no",
        "1",
        "1.0",
        "1e3",
        "0x10",
        "0o7",
        "1_000",
        ".nan",
        "2026-11-21",
        "- a",
        "#x",
        "a: b",
        " x ",
        "a\nb",
        "\n",
        "\t",
        "*a",
        "&a",
        "!t",
        "{}",
        "[",
        "'",
        "\"",
        "%x",
        "@x",
        "`",
        "ä",
        "\u{85}",
        "\u{2028}",
        "\0",
        "\u{feff}",
        "---",
        "?",
    ];
    for text in texts {
        let mut config = Config::default();
        config.memberlist.node_name = text.to_owned();
        config.pyroscopedb.data_path = text.repeat(100);
        for yaml in [config.to_yaml(), config.to_yaml_minimal()] {
            assert_eq!(read(&yaml), (config.clone(), vec![]), "{text:?}");
        }
    }
}
