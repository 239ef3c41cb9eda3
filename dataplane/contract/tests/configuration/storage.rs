//! Settings of long-term storage: what they say, what is refused, what is never shown.

use pyroscope_contract::Config;
use pyroscope_contract::args::{self, Request};
use pyroscope_contract::config::{S3, Secret};
use pyroscope_contract::error::Errors;

fn parse(flags: &[&str], file: &str) -> Result<(Config, Vec<String>), Errors> {
    let args: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    let parsed = args::parse(&args, &|_| None, &|_| Ok(file.to_owned()))?;
    let Request::Run(loaded) = parsed else {
        panic!("{flags:?} ask for something else");
    };
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    Ok((loaded.config, warnings))
}

fn error(flags: &[&str]) -> String {
    parse(flags, "")
        .expect_err("the settings are refused")
        .to_string()
}

const SECRETS: [&str; 5] = [
    "storage.s3.secret-access-key",
    "storage.gcs.service-account",
    "storage.azure.account-key",
    "storage.azure.connection-string",
    "storage.azure.client-secret",
];

#[test]
fn secrets_are_used_and_never_shown() {
    for flag in SECRETS {
        let (config, _) = parse(&[&format!("-{flag}=hunter2")], "").unwrap();
        let shown = [
            config.to_yaml(),
            config.to_yaml_minimal(),
            format!("{config:?}"),
            serde_json::to_string(&config).unwrap(),
        ];
        for shown in shown {
            assert!(!shown.contains("hunter2"), "{flag}: {shown}");
            assert!(shown.contains("********"), "{flag}: {shown}");
        }
    }
    let (config, _) = parse(&["-storage.s3.secret-access-key=hunter2"], "").unwrap();
    assert_eq!(config.storage.s3.secret_access_key.reveal(), "hunter2");
    assert!(!Config::default().to_yaml().contains('*'));
}

#[test]
fn what_is_shown_in_place_of_a_secret_is_none() {
    for flag in SECRETS {
        let error = error(&[&format!("-{flag}=********")]);
        assert!(error.contains("give the secret itself"), "{error}");
    }
}

#[test]
fn overrides_of_a_process_with_secrets_are_read() {
    let (config, _) = parse(
        &[
            "-storage.backend=gcs",
            "-storage.gcs.bucket-name=profiles",
            "-storage.gcs.service-account={}",
        ],
        "",
    )
    .unwrap();
    let text = "overrides: {acme: {max_label_name_length: 7}}";
    let files = [("o.yaml".to_owned(), text.to_owned())];
    let (overrides, _) = pyroscope_contract::overrides::parse(&files, &config).unwrap();
    assert_eq!(overrides["acme"].max_label_name_length, 7);
}

#[test]
fn the_keys_of_the_original_say_the_same_as_its_flags() {
    let yaml = "
storage:
  backend: s3
  prefix: a/b-1
  s3:
    endpoint: localhost:9000
    region: eu-west-2
    bucket_name: profiles
    access_key_id: key
    secret_access_key: secret
    insecure: true
    signature_version: v4
    force_path_style: true
    bucket_lookup_type: auto
    native_aws_auth_enabled: false
    sse: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: ''}
    http:
      idle_conn_timeout: 90s
      response_header_timeout: 3s
      insecure_skip_verify: true
      tls_handshake_timeout: 4s
      expect_continue_timeout: 1s
      max_idle_connections: 0
      max_idle_connections_per_host: 5
      max_connections_per_host: 6
  gcs: {bucket_name: g, http: {idle_conn_timeout: 1m}}
  azure: {account_name: a, container_name: c, max_retries: 9, az_tenant_id: t}
  cos: {bucket: b}
";
    let (by_key, warnings) = parse(&["-config.file=c.yaml"], yaml).unwrap();
    let by_flag = parse(
        &[
            "-storage.backend=s3",
            "-storage.prefix=a/b-1",
            "-storage.s3.endpoint=localhost:9000",
            "-storage.s3.region=eu-west-2",
            "-storage.s3.bucket-name=profiles",
            "-storage.s3.access-key-id=key",
            "-storage.s3.secret-access-key=secret",
            "-storage.s3.insecure",
            "-storage.s3.signature-version=v4",
            "-storage.s3.force-path-style",
            "-storage.s3.sse.type=SSE-KMS",
            "-storage.s3.sse.kms-key-id=k",
            "-storage.s3.http.idle-conn-timeout=90s",
            "-storage.s3.http.response-header-timeout=3s",
            "-storage.s3.http.insecure-skip-verify",
            "-storage.s3.tls-handshake-timeout=4s",
            "-storage.s3.max-idle-connections-per-host=5",
            "-storage.s3.max-connections-per-host=6",
            "-storage.gcs.bucket-name=g",
            "-storage.gcs.http.idle-conn-timeout=1m",
            "-storage.azure.account-name=a",
            "-storage.azure.container-name=c",
            "-storage.azure.max-retries=9",
            "-storage.azure.az-tenant-id=t",
        ],
        "",
    );
    assert_eq!(by_flag.unwrap(), (by_key.clone(), Vec::new()));
    assert_eq!(by_key.storage.key_prefix(), "a/b-1");
    assert_eq!(by_key.storage.s3.path_style(), Some(true));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("bodies are sent at once"));
    assert!(warnings[1].contains("-storage.s3.max-idle-connections-per-host counts"));
    assert!(warnings[2].contains("storage.cos has no effect"));
}

#[test]
fn a_backend_without_its_bucket_says_what_to_set() {
    for (backend, message) in [
        (
            "s3",
            "-storage.s3.bucket-name (storage.s3.bucket_name): must be set with -storage.backend=s3",
        ),
        (
            "gcs",
            "-storage.gcs.bucket-name (storage.gcs.bucket_name): must be set with -storage.backend=gcs",
        ),
        (
            "azure",
            "-storage.azure.container-name (storage.azure.container_name): must be set with -storage.backend=azure\n\
             -storage.azure.account-name (storage.azure.account_name): must be set with -storage.backend=azure, or -storage.azure.connection-string",
        ),
    ] {
        assert_eq!(error(&[&format!("-storage.backend={backend}")]), message);
    }
    assert_eq!(
        error(&["-storage.backend=ceph"]),
        "flag -storage.backend: \"ceph\" is not one of filesystem, s3, gcs, azure"
    );
}

#[test]
fn settings_of_other_backends_are_not_looked_at() {
    let flags = [
        "-storage.s3.access-key-id=x",
        "-storage.gcs.service-account=?",
    ];
    assert!(parse(&flags, "").is_ok());
}

#[test]
fn prefixes_are_names_with_slashes_between() {
    for good in ["a", "a/b", "a.b_c-1/2", "..."] {
        assert!(
            parse(&[&format!("-storage.prefix={good}")], "").is_ok(),
            "{good}"
        );
    }
    for bad in [
        "/", "/a", "a/", "a//b", ".", "../a", "a/./b", "a b", "ä", "a\\b", "a%2fb",
    ] {
        for flag in ["prefix", "storage-prefix"] {
            let error = error(&[&format!("-storage.{flag}={bad}")]);
            assert!(error.contains("must be names of letters"), "{bad}: {error}");
        }
    }
    let (older, _) = parse(&["-storage.storage-prefix=a"], "").unwrap();
    assert_eq!(older.storage.key_prefix(), "a");
    assert_eq!(
        error(&["-storage.storage-prefix=a", "-storage.prefix=b"]),
        "-storage.storage-prefix (storage.storage_prefix): \"a\" is not \"b\" of -storage.prefix; set only that"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let s3 = ["-storage.backend=s3", "-storage.s3.bucket-name=b"];
    let azure = [
        "-storage.backend=azure",
        "-storage.azure.container-name=c",
        "-storage.azure.account-name=a",
    ];
    let gcs = ["-storage.backend=gcs", "-storage.gcs.bucket-name=b"];
    let cases: [(&[&str], &[&str], &str); 14] = [
        (
            &s3,
            &["-storage.s3.endpoint=http://x"],
            "is not host or host:port",
        ),
        (&s3, &["-storage.s3.access-key-id=x"], "must be set both"),
        (
            &s3,
            &["-storage.s3.secret-access-key=x"],
            "must be set both",
        ),
        (
            &s3,
            &[
                "-storage.s3.access-key-id=x",
                "-storage.s3.secret-access-key=x",
                "-storage.s3.native-aws-auth-enabled",
            ],
            "remove -storage.s3.access-key-id",
        ),
        (
            &s3,
            &[
                "-storage.s3.force-path-style",
                "-storage.s3.bucket-lookup-type=virtual-hosted-style",
            ],
            "contradicts",
        ),
        (
            &s3,
            &["-storage.s3.sse.type=SSE-C"],
            "neither SSE-S3 nor SSE-KMS",
        ),
        (&s3, &["-storage.s3.sse.kms-key-id=k"], "SSE-KMS only"),
        (
            &s3,
            &["-storage.s3.signature-version=v2"],
            "or set it to \"v4\"",
        ),
        (
            &s3,
            &["-storage.s3.sse.kms-encryption-context={}"],
            "not supported yet",
        ),
        (&s3, &["-storage.s3.bucket-name=a/b"], "-storage.prefix"),
        (
            &azure,
            &["-storage.azure.client-secret=s"],
            "-storage.azure.az-tenant-id",
        ),
        (
            &azure,
            &[
                "-storage.azure.account-key=k",
                "-storage.azure.connection-string=s",
            ],
            "exclude each other",
        ),
        (
            &azure,
            &["-storage.azure.endpoint-suffix=https://x"],
            "end of a host name",
        ),
        (
            &gcs,
            &["-storage.gcs.service-account=/key.json"],
            "not its path",
        ),
    ];
    for (base, more, reason) in cases {
        assert!(parse(base, "").is_ok(), "{base:?}");
        let error = error(&[base, more].concat());
        assert!(error.contains(reason), "{more:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn where_the_bucket_stands_in_addresses() {
    let style = |force, lookup: &str| {
        S3 {
            force_path_style: force,
            bucket_lookup_type: lookup.to_owned(),
            secret_access_key: Secret::from("x"),
            ..S3::default()
        }
        .path_style()
    };
    assert_eq!(style(false, "auto"), None);
    assert_eq!(style(true, "auto"), Some(true));
    assert_eq!(style(false, "path-style"), Some(true));
    assert_eq!(style(false, "virtual-hosted-style"), Some(false));
}
