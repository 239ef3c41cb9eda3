//! The command line.

use std::collections::BTreeMap;
use std::io;

use pyroscope_contract::args::{self, Loaded, Request};
use pyroscope_contract::config::{LogLevel, Target};
use pyroscope_contract::{Config, Duration};

/// Files and environment variables that the command line may refer to.
#[derive(Default)]
struct World {
    files: BTreeMap<&'static str, &'static str>,
    env: BTreeMap<&'static str, &'static str>,
}

impl World {
    fn with_file(name: &'static str, text: &'static str) -> Self {
        Self {
            files: [(name, text)].into(),
            ..Self::default()
        }
    }

    fn parse(&self, args: &[&str]) -> Result<Request, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let env = |name: &str| self.env.get(name).map(ToString::to_string);
        let read = |path: &str| match self.files.get(path) {
            Some(text) => Ok(text.to_string()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        };
        args::parse(&args, &env, &read).map_err(|errors| errors.to_string())
    }

    fn load(&self, args: &[&str]) -> Loaded {
        match self.parse(args) {
            Ok(Request::Run(loaded)) => *loaded,
            other => panic!("{args:?}: {other:?}"),
        }
    }
}

fn config(args: &[&str]) -> Config {
    World::default().load(args).config
}

fn error(args: &[&str]) -> String {
    World::default()
        .parse(args)
        .expect_err("the arguments are taken")
}

#[test]
fn no_arguments_run_the_defaults() {
    assert_eq!(config(&[]), Config::default());
}

#[test]
fn flags_are_written_as_in_go() {
    let ways: [&[&str]; 4] = [
        &["-server.http-listen-port=80"],
        &["--server.http-listen-port=80"],
        &["-server.http-listen-port", "80"],
        &["--server.http-listen-port", "80"],
    ];
    for args in ways {
        assert_eq!(config(args).server.http_listen_port, 80, "{args:?}");
    }
    assert_eq!(
        config(&["-memberlist.cluster-label="])
            .memberlist
            .cluster_label,
        ""
    );
    assert_eq!(
        config(&["-memberlist.cluster-label", "a=b"])
            .memberlist
            .cluster_label,
        "a=b"
    );
    assert_eq!(
        config(&["-memberlist.cluster-label", "-x"])
            .memberlist
            .cluster_label,
        "-x"
    );
}

#[test]
fn bools_need_no_value() {
    let on: [&[&str]; 4] = [
        &["-auth.multitenancy-enabled"],
        &["-auth.multitenancy-enabled=true"],
        &["--auth.multitenancy-enabled=1"],
        &["-auth.multitenancy-enabled=T", "-target=all"],
    ];
    for args in on {
        assert!(config(args).multitenancy_enabled, "{args:?}");
    }
    assert!(
        !config(&["-memberlist.compression-enabled=false"])
            .memberlist
            .compression_enabled
    );
    assert_eq!(
        error(&["-auth.multitenancy-enabled", "false"]),
        "unexpected argument \"false\"; to give -auth.multitenancy-enabled a value write \
         -auth.multitenancy-enabled=<bool>"
    );
}

#[test]
fn lists_add_up_and_take_commas_and_all_else_is_what_came_last() {
    let config = config(&[
        "-memberlist.join=a, b",
        "-memberlist.join",
        "c",
        "-target=querier",
        "-target=ingester",
    ]);
    assert_eq!(config.memberlist.join_members, ["a", "b", "c"]);
    assert_eq!(config.target.iter().collect::<Vec<_>>(), [Target::Ingester]);
}

#[test]
fn flags_win_over_later_files_win_over_earlier_files() {
    let world = World {
        files: [
            (
                "a.yaml",
                "memberlist: {join_members: [a], cluster_label: a}\nserver: {log_level: warn}",
            ),
            ("b.yaml", "memberlist: {cluster_label: b}\ntarget: querier"),
        ]
        .into(),
        ..World::default()
    };
    let config = world
        .load(&[
            "-target=ingester",
            "-config.file=a.yaml,b.yaml",
            "-memberlist.join=c",
        ])
        .config;
    assert_eq!(config.memberlist.join_members, ["c"]);
    assert_eq!(config.memberlist.cluster_label, "b");
    assert_eq!(config.server.log_level, LogLevel::Warn);
    assert_eq!(config.target.to_string(), "ingester");
}

#[test]
fn the_environment_is_expanded_only_when_asked_for() {
    let mut world = World::with_file(
        "c.yaml",
        "memberlist: {cluster_label: \"${LABEL}\", node_name: '${NAME:one}', \
         advertise_addr: '${ADDR:-::1}', join_members: ['$${x}', '${NONE}']}\n\
         limits: {reject_older_than: ${OLD}}",
    );
    world.env = [("LABEL", "x"), ("OLD", "2h"), ("NAME", "")].into();
    let memberlist = world
        .load(&["-config.file=c.yaml", "-config.expand-env"])
        .config;
    assert_eq!(
        memberlist.limits.reject_older_than,
        Duration::from_secs(7200)
    );
    let memberlist = memberlist.memberlist;
    assert_eq!(memberlist.cluster_label, "x");
    assert_eq!(memberlist.node_name, "one");
    assert_eq!(memberlist.advertise_addr, "::1");
    assert_eq!(memberlist.join_members, ["${x}"]);

    let world = World::with_file("c.yaml", "memberlist: {cluster_label: '${LABEL}'}");
    assert_eq!(
        world
            .load(&["-config.file=c.yaml"])
            .config
            .memberlist
            .cluster_label,
        "${LABEL}"
    );
    let world = World::with_file("c.yaml", "# ä\n  ä ${LABEL");
    assert_eq!(
        world
            .parse(&["-config.file=c.yaml", "-config.expand-env"])
            .unwrap_err(),
        "c.yaml:2:5: \"${\" without \"}\"; write $${ for the characters themselves"
    );
}

#[test]
fn questions_need_no_configuration() {
    let known = [
        ("-help", Request::Help),
        ("-h", Request::Help),
        ("--help-all", Request::HelpAll),
        ("-version", Request::Version),
        ("-modules", Request::Modules),
    ];
    for (flag, request) in known {
        let answer = World::default().parse(&["-config.file=missing.yaml", flag]);
        assert_eq!(answer, Ok(request), "{flag}");
    }
    assert!(matches!(
        World::default().parse(&["-version=false"]),
        Ok(Request::Run(_))
    ));
}

#[test]
fn verify_checks_and_does_not_run() {
    let world = World::with_file("c.yaml", "target: querier");
    let Ok(Request::Verify(loaded)) = world.parse(&["-config.verify", "-config.file=c.yaml"])
    else {
        panic!("a good file is refused");
    };
    assert_eq!(loaded.config.target.to_string(), "querier");
    assert!(world.parse(&["-config.verify", "-target=x"]).is_err());
}

#[test]
fn messages_name_the_flag_and_the_way_out() {
    let known: [(&[&str], &str); 14] = [
        (
            &["-server.http-listen-prot=1"],
            "unknown flag -server.http-listen-prot; did you mean -server.http-listen-port?",
        ),
        (
            &["--zzz", "value"],
            "unknown flag -zzz; -help-all lists every flag",
        ),
        (
            &["-target"],
            "flag -target needs a value; write -target=<list>",
        ),
        (&["run"], "unexpected argument \"run\""),
        (&["-"], "unexpected argument \"-\""),
        (&["---target=all"], "unexpected argument \"---target=all\""),
        (
            &["-distributor.replication-factor=three"],
            "flag -distributor.replication-factor: \"three\" is not a whole number from 0 to 4294967295",
        ),
        (
            &["-memberlist.randomize-node-name=yes"],
            "flag -memberlist.randomize-node-name: \"yes\" is not true or false",
        ),
        (
            &["-compactor.deletion-delay=x"],
            "flag -compactor.deletion-delay: \"x\" is not a duration: a number is missing or malformed; write for example 30s, 1h30m or 0",
        ),
        (
            &["-server.proxy-protocol-enabled"],
            "flag -server.proxy-protocol-enabled: not supported yet; remove it or set it to \"false\"",
        ),
        (
            &["-storage.backend=swift"],
            "flag -storage.backend: \"swift\" is not supported yet; supported: filesystem, s3, gcs, azure",
        ),
        (
            &["-ring.store=consul"],
            "flag -ring.store: \"consul\" is not supported yet; supported: memberlist",
        ),
        (
            &["-target=query-frontend"],
            "flag -target: target \"query-frontend\" is not part of this version; targets are all, distributor, ingester, querier",
        ),
        (
            &["-config.file=c.yaml"],
            "cannot read configuration file c.yaml: no such file",
        ),
    ];
    for (args, message) in known {
        assert_eq!(error(args), message, "{args:?}");
    }
    let world = World::with_file("c.yaml", "server:\n  http_listen_prot: 1\n");
    assert_eq!(
        world
            .parse(&["-config.file", "c.yaml", "-targt=all"])
            .unwrap_err(),
        "unknown flag -targt; did you mean -target?\n\
         c.yaml:2:3: key server.http_listen_prot: unknown key; did you mean \
         \"server.http_listen_port\"?"
    );
}

#[test]
fn flags_of_the_original_without_a_meaning_are_taken_with_a_warning() {
    let loaded = World::default().load(&[
        "-architecture.storage=v1",
        "-write-path",
        "ingester",
        "-compactor.downsampler-enabled",
        "-memberlist.tls-enabled=false",
        "-server.path-prefix=",
        "-usage-stats.enabled=false",
        "-distributor.health-check-ingesters=false",
    ]);
    assert_eq!(loaded.config, Config::default());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "flag -architecture.storage has no effect in this version",
            "flag -write-path has no effect in this version",
            "flag -compactor.downsampler-enabled has no effect in this version",
            "flag -usage-stats.enabled has no effect in this version",
            "flag -distributor.health-check-ingesters has no effect in this version: ingesters are \
             always watched: one that fails or falls silent gets no pushes and is probed until it \
             is back",
        ]
    );
}
