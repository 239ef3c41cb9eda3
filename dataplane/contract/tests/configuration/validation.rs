//! Values that fit one by one but not together.

use pyroscope_contract::Config;

type Change = fn(&mut Config);

fn invalid(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::default();
    change(&mut config);
    let error = config.validate().expect_err("the configuration is valid");
    let read = Config::from_yaml(&config.to_yaml()).expect_err("the YAML is valid");
    // Wrong words are refused where they stand; all else by the same rule.
    let text = error.to_string();
    if !text.contains("not supported") && !text.contains("not one of") {
        assert_eq!(error, read);
    }
    error.to_string()
}

#[test]
fn defaults_are_valid() {
    assert_eq!(Config::default().validate(), Ok(()));
}

#[test]
fn replicas_and_tokens_have_bounds() {
    assert_eq!(
        invalid(|c| c.ingester.lifecycler.ring.replication_factor = 0),
        "-distributor.replication-factor (ingester.lifecycler.ring.replication_factor): \
         0 must be from 1 to 64"
    );
    assert_eq!(
        invalid(|c| c.ingester.lifecycler.num_tokens = 0),
        "-ingester.num-tokens (ingester.lifecycler.num_tokens): 0 must be from 1 to 16384"
    );
}

#[test]
fn an_ingester_must_send_heartbeats_before_they_expire() {
    assert_eq!(
        invalid(|c| c.ingester.lifecycler.heartbeat_period = "1m".parse().unwrap()),
        "-ring.heartbeat-timeout (ingester.lifecycler.ring.heartbeat_timeout): \
         1m0s must be longer than -ingester.heartbeat-period, which is 1m0s"
    );
    assert_eq!(
        invalid(|c| c.ingester.lifecycler.heartbeat_period = "0".parse().unwrap()),
        "-ingester.heartbeat-period (ingester.lifecycler.heartbeat_period): without heartbeats \
         the ingester counts as unhealthy after 1m0s; set -ring.heartbeat-timeout=0 too"
    );
    let mut never = Config::default();
    never.ingester.lifecycler.heartbeat_period = "0".parse().unwrap();
    never.ingester.lifecycler.ring.heartbeat_timeout = "0".parse().unwrap();
    assert_eq!(never.validate(), Ok(()));
}

#[test]
fn a_distributor_must_send_heartbeats_before_they_expire() {
    assert_eq!(
        invalid(|c| c.distributor.ring.heartbeat_period = "1m".parse().unwrap()),
        "-distributor.ring.heartbeat-timeout (distributor.ring.heartbeat_timeout): 1m0s must be \
         longer than -distributor.ring.heartbeat-period, which is 1m0s and must not be 0 then"
    );
    assert!(
        invalid(|c| c.distributor.ring.kvstore.store = "consul".to_owned())
            .contains("distributor.ring.kvstore.store")
    );
}

#[test]
fn forgetting_ingesters_needs_replicas_to_spare_and_a_timeout() {
    let forgets = |replicas: usize, timeout: &str| {
        let timeout = timeout.parse().unwrap();
        move |c: &mut Config| {
            c.ingester.auto_forget_unhealthy_periods = 4;
            c.ingester.lifecycler.ring.replication_factor = replicas;
            c.ingester.lifecycler.ring.heartbeat_timeout = timeout;
        }
    };
    for replicas in [1, 2] {
        let error = invalid(forgets(replicas, "1m"));
        assert!(error.contains("none would ever be forgotten"), "{error}");
    }
    assert!(invalid(forgets(3, "0")).contains("-ring.heartbeat-timeout is 0"));
    let mut fine = Config::default();
    forgets(3, "1m")(&mut fine);
    assert_eq!(fine.validate(), Ok(()));
}

#[test]
fn ports_must_differ_unless_the_system_chooses() {
    assert_eq!(
        invalid(|c| c.memberlist.bind_port = 4040),
        "-memberlist.bind-port (memberlist.bind_port): 4040 is the port of \
         -server.http-listen-port too; they must differ"
    );
    let mut free = Config::default();
    (free.memberlist.bind_port, free.server.http_listen_port) = (0, 0);
    assert_eq!(free.validate(), Ok(()));
}

#[test]
fn a_built_configuration_is_checked_for_words_too() {
    assert_eq!(
        invalid(|c| c.storage.backend = "cos".to_owned()),
        "-storage.backend (storage.backend): \"cos\" is not supported yet; supported: filesystem, \
         s3, gcs, azure"
    );
    assert_eq!(
        invalid(|c| c.ingester.lifecycler.ring.kvstore.store = "etcd".to_owned()),
        "-ring.store (ingester.lifecycler.ring.kvstore.store): \"etcd\" is not supported yet; \
         supported: memberlist"
    );
}

#[test]
fn the_rest_of_the_rules() {
    let broken: [(&str, Change); 18] = [
        ("256 bytes long; at most 255", |c| {
            c.memberlist.cluster_label = "x".repeat(256)
        }),
        (
            "2m0s is longer than -memberlist.max-join-backoff, which is 1m0s",
            |c| {
                c.memberlist.min_join_backoff = "2m".parse().unwrap();
            },
        ),
        ("must be longer than 0", |c| {
            c.memberlist.gossip_interval = "0".parse().unwrap()
        }),
        ("\"localhost\" is not an IP address", |c| {
            c.memberlist.bind_addr = vec!["localhost".to_owned()];
        }),
        ("must not be empty", |c| c.pyroscopedb.data_path.clear()),
        ("1024 is too small; at least 1048576", |c| {
            c.ingester.max_head_bytes = 1024
        }),
        (
            "9000 is more than -querier.max-flamegraph-nodes-max, which is 10",
            |c| {
                c.limits.max_flamegraph_nodes_max = 10;
                c.limits.max_flamegraph_nodes_default = 9000;
            },
        ),
        ("must be more than 0 when", |c| {
            c.limits.ingestion_burst_size_mb = 0.0
        }),
        ("must be at least 1", |c| {
            c.limits.max_profile_size_bytes = 0
        }),
        ("must be at least 1", |c| {
            c.limits.max_flamegraph_nodes_default = 0
        }),
        ("must be at least 1", |c| {
            c.memberlist.max_concurrent_writes = 0
        }),
        ("0 is less than a byte", |c| {
            c.limits.ingestion_body_limit_mb = 0.0
        }),
        ("must be set when -memberlist.tls-enabled is", |c| {
            c.memberlist.tls_enabled = true;
            c.memberlist.tls_cert_path = "cert.pem".to_owned();
        }),
        ("\"VersionTLS11\" is not spoken", |c| {
            c.memberlist.tls_enabled = true;
            c.memberlist.tls_cert_path = "cert.pem".to_owned();
            c.memberlist.tls_key_path = "key.pem".to_owned();
            c.memberlist.tls_min_version = "VersionTLS11".to_owned();
        }),
        ("\"lz4\" is not one of lzw, snappy", |c| {
            c.memberlist.compression_algorithm = "lz4".to_owned();
        }),
        ("must have 1 to 16 bytes", |c| {
            c.memberlist.zone_aware_routing.enabled = true;
        }),
        ("\"leader\" is not one of member, bridge", |c| {
            c.memberlist.zone_aware_routing.role = "leader".to_owned();
        }),
        ("must be set on ingesters when", |c| {
            c.ingester.lifecycler.ring.zone_awareness_enabled = true;
        }),
    ];
    for (reason, change) in broken {
        let error = invalid(change);
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
