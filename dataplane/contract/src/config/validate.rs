//! Rules over several settings, and bounds that their kinds do not express.

use std::net::IpAddr;

use super::relabel::{RelabelRule, check_rules, check_sample_type_rules};
use super::{Config, Duration, Memberlist, Target};
use crate::error::{Error, Errors};
use crate::settings;

/// Longest cluster label; its length is one byte on the wire.
const MOST_LABEL_BYTES: usize = 255;
/// Longest zone for routing gossip; it travels with the record of each node.
const MOST_ROUTED_ZONE_BYTES: usize = 16;
/// A ring with more tokens a member is slower and no more even.
const MOST_TOKENS: usize = 1 << 14;
/// No deployment keeps more copies; each write waits for a majority of them.
const MOST_REPLICAS: usize = 64;
/// What the limits call a MB.
const BYTES_IN_MB: f64 = 1024.0 * 1024.0;
/// Less refuses nearly every write; it is perhaps a number of megabytes.
const LEAST_HEAD_BYTES: u64 = 1 << 20;

impl Config {
    /// Checks everything that the types of the fields do not; returns all that is wrong.
    pub fn validate(&self) -> Result<(), Errors> {
        let mut rules = Rules::default();
        self.check_ports(&mut rules);
        self.check_ring(&mut rules);
        self.check_stores(&mut rules);
        self.check_memberlist(&mut rules);
        self.check_limits(&mut rules);
        Errors::unless_any(rules.errors, ())
    }

    fn check_ports(&self, rules: &mut Rules) {
        let (http, gossip) = (self.server.http_listen_port, self.memberlist.bind_port);
        rules.require(http != gossip || http == 0, "memberlist.bind_port", || {
            format!("{gossip} is the port of -server.http-listen-port too; they must differ")
        });
    }

    fn check_ring(&self, rules: &mut Rules) {
        let lifecycler = &self.ingester.lifecycler;
        let ring = &lifecycler.ring;
        rules.range(
            "ingester.lifecycler.ring.replication_factor",
            ring.replication_factor,
            1,
            MOST_REPLICAS,
        );
        rules.range(
            "ingester.lifecycler.num_tokens",
            lifecycler.num_tokens,
            1,
            MOST_TOKENS,
        );
        self.check_auto_forget(rules);
        let (period, timeout) = (lifecycler.heartbeat_period, ring.heartbeat_timeout);
        rules.require(
            timeout.is_zero() || period < timeout,
            "ingester.lifecycler.ring.heartbeat_timeout",
            || {
                format!(
                    "{timeout} must be longer than -ingester.heartbeat-period, which is {period}"
                )
            },
        );
        rules.require(
            timeout.is_zero() || !period.is_zero(),
            "ingester.lifecycler.heartbeat_period",
            || format!("without heartbeats the ingester counts as unhealthy after {timeout}; set -ring.heartbeat-timeout=0 too"),
        );
        rules.require(
            !ring.zone_awareness_enabled
                || !lifecycler.availability_zone.is_empty()
                || !self.target.runs(Target::Ingester),
            "ingester.lifecycler.availability_zone",
            || "must be set on ingesters when -distributor.zone-awareness-enabled is".to_owned(),
        );
    }

    fn check_auto_forget(&self, rules: &mut Rules) {
        let ring = &self.ingester.lifecycler.ring;
        let is_on = self.ingester.auto_forget_unhealthy_periods > 0;
        let path = "ingester.auto_forget_unhealthy_periods";
        rules.require(!is_on || ring.replication_factor >= 3, path, || {
            format!(
                "with -distributor.replication-factor={} a write quorum tolerates no missing ingester, so none would ever be forgotten",
                ring.replication_factor
            )
        });
        rules.require(!is_on || !ring.heartbeat_timeout.is_zero(), path, || {
            "counts heartbeat timeouts, and -ring.heartbeat-timeout is 0".to_owned()
        });
    }

    fn check_distributor_ring(&self, rules: &mut Rules) {
        let ring = &self.distributor.ring;
        rules.choice("distributor.ring.kvstore.store", &ring.kvstore.store);
        let (period, timeout) = (ring.heartbeat_period, ring.heartbeat_timeout);
        rules.require(
            timeout.is_zero() || (!period.is_zero() && period < timeout),
            "distributor.ring.heartbeat_timeout",
            || {
                format!(
                    "{timeout} must be longer than -distributor.ring.heartbeat-period, which is {period} and must not be 0 then"
                )
            },
        );
    }

    fn check_stores(&self, rules: &mut Rules) {
        let store = &self.ingester.lifecycler.ring.kvstore.store;
        rules.choice("ingester.lifecycler.ring.kvstore.store", store);
        self.check_distributor_ring(rules);
        self.storage.check(rules);
        rules.require(
            !self.pyroscopedb.data_path.is_empty(),
            "pyroscopedb.data_path",
            || "must not be empty".to_owned(),
        );
        let bytes = self.ingester.max_head_bytes;
        rules.require(bytes >= LEAST_HEAD_BYTES, "ingester.max_head_bytes", || {
            format!("{bytes} is too small; at least {LEAST_HEAD_BYTES}")
        });
    }

    fn check_memberlist(&self, rules: &mut Rules) {
        let memberlist = &self.memberlist;
        let label_bytes = memberlist.cluster_label.len();
        rules.require(
            label_bytes <= MOST_LABEL_BYTES,
            "memberlist.cluster_label",
            || format!("{label_bytes} bytes long; at most {MOST_LABEL_BYTES}"),
        );
        let (first, longest) = (memberlist.min_join_backoff, memberlist.max_join_backoff);
        rules.require(first <= longest, "memberlist.min_join_backoff", || {
            format!("{first} is longer than -memberlist.max-join-backoff, which is {longest}")
        });
        rules.positive("memberlist.gossip_interval", memberlist.gossip_interval);
        rules.positive("memberlist.stream_timeout", memberlist.stream_timeout);
        let counts = [
            ("memberlist.gossip_nodes", memberlist.gossip_nodes as usize),
            (
                "memberlist.retransmit_factor",
                memberlist.retransmit_factor as usize,
            ),
            (
                "memberlist.max_concurrent_writes",
                memberlist.max_concurrent_writes,
            ),
            (
                "memberlist.received_messages_queue_size",
                memberlist.received_messages_queue_size,
            ),
            (
                "memberlist.watch_prefix_buffer_size",
                memberlist.watch_prefix_buffer_size,
            ),
        ];
        for (path, count) in counts {
            rules.at_least_one(path, count);
        }
        for address in &memberlist.bind_addr {
            rules.ip("memberlist.bind_addr", address);
        }
        if !memberlist.advertise_addr.is_empty() {
            rules.ip("memberlist.advertise_addr", &memberlist.advertise_addr);
        }
        rules.choice(
            "memberlist.compression_algorithm",
            &memberlist.compression_algorithm,
        );
        memberlist.check_tls(rules);
        memberlist.check_zones(rules);
        memberlist.check_tracker(rules);
    }

    fn check_limits(&self, rules: &mut Rules) {
        let limits = &self.limits;
        let (default, most) = (
            limits.max_flamegraph_nodes_default,
            limits.max_flamegraph_nodes_max,
        );
        rules.require(default > 0, "limits.max_flamegraph_nodes_default", || {
            "must be at least 1".to_owned()
        });
        rules.require(
            most == 0 || default <= most,
            "limits.max_flamegraph_nodes_default",
            || format!("{default} is more than -querier.max-flamegraph-nodes-max, which is {most}"),
        );
        rules.require(
            limits.ingestion_rate_mb == 0.0 || limits.ingestion_burst_size_mb > 0.0,
            "limits.ingestion_burst_size_mb",
            || "must be more than 0 when -distributor.ingestion-rate-limit-mb is".to_owned(),
        );
        let position = "limits.ingestion_relabeling_default_rules_position";
        rules.choice(
            position,
            &limits.ingestion_relabeling_default_rules_position,
        );
        rules.relabel(
            "ingestion_relabeling_rules",
            &limits.ingestion_relabeling_rules,
        );
        let sample_types = &limits.sample_type_relabeling_rules;
        rules.relabel("sample_type_relabeling_rules", sample_types);
        if let Err(reason) = check_sample_type_rules(sample_types) {
            rules.require(false, "limits.sample_type_relabeling_rules", || reason);
        }
        rules.positive("runtime_config.period", self.runtime_config.period);
        rules.positive("distributor.pushtimeout", self.distributor.pushtimeout);
        self.check_request_limits(rules);
    }

    /// Limits that bound the memory of one request must be there.
    fn check_request_limits(&self, rules: &mut Rules) {
        let limits = &self.limits;
        let bounds = [
            ("max_label_name_length", limits.max_label_name_length),
            ("max_label_value_length", limits.max_label_value_length),
            (
                "max_label_names_per_series",
                limits.max_label_names_per_series,
            ),
            ("max_profile_size_bytes", limits.max_profile_size_bytes),
            (
                "max_profile_stacktrace_samples",
                limits.max_profile_stacktrace_samples,
            ),
            (
                "max_profile_stacktrace_sample_labels",
                limits.max_profile_stacktrace_sample_labels,
            ),
            (
                "max_profile_stacktrace_depth",
                limits.max_profile_stacktrace_depth,
            ),
            (
                "max_profile_symbol_value_length",
                limits.max_profile_symbol_value_length,
            ),
        ];
        for (key, bound) in bounds {
            rules.at_least_one(&format!("limits.{key}"), bound);
        }
        rules.require(
            limits.ingestion_body_limit_mb * BYTES_IN_MB >= 1.0,
            "limits.ingestion_body_limit_mb",
            || format!("{} is less than a byte", limits.ingestion_body_limit_mb),
        );
    }
}

impl Memberlist {
    fn check_tls(&self, rules: &mut Rules) {
        if !self.tls_enabled {
            return;
        }
        for (path, value) in [
            ("memberlist.tls_cert_path", &self.tls_cert_path),
            ("memberlist.tls_key_path", &self.tls_key_path),
        ] {
            rules.require(!value.is_empty(), path, || {
                "must be set when -memberlist.tls-enabled is".to_owned()
            });
        }
        let version = self.tls_min_version.as_str();
        rules.require(
            matches!(version, "" | "VersionTLS12" | "VersionTLS13"),
            "memberlist.tls_min_version",
            || format!("{version:?} is not spoken; use VersionTLS12 or VersionTLS13"),
        );
    }

    fn check_zones(&self, rules: &mut Rules) {
        let routing = &self.zone_aware_routing;
        rules.choice("memberlist.zone_aware_routing.role", &routing.role);
        let zone_bytes = routing.instance_availability_zone.len();
        rules.require(
            !routing.enabled || (1..=MOST_ROUTED_ZONE_BYTES).contains(&zone_bytes),
            "memberlist.zone_aware_routing.instance_availability_zone",
            || format!("must have 1 to {MOST_ROUTED_ZONE_BYTES} bytes when -memberlist.zone-aware-routing.enabled is set"),
        );
    }

    fn check_tracker(&self, rules: &mut Rules) {
        let tracker = &self.propagation_delay_tracker;
        if tracker.enabled {
            rules.positive(
                "memberlist.propagation_delay_tracker.beacon_interval",
                tracker.beacon_interval,
            );
            rules.positive(
                "memberlist.propagation_delay_tracker.beacon_lifetime",
                tracker.beacon_lifetime,
            );
        }
    }
}

/// Collects what is wrong; each rule names its setting by its place in the YAML file.
#[derive(Default)]
pub(super) struct Rules {
    errors: Vec<Error>,
}

impl Rules {
    pub(super) fn require(&mut self, holds: bool, path: &str, reason: impl FnOnce() -> String) {
        if !holds {
            self.errors.push(Error::Invalid {
                subject: subject(path),
                reason: reason(),
            });
        }
    }

    fn range(&mut self, path: &str, value: usize, least: usize, most: usize) {
        self.require((least..=most).contains(&value), path, || {
            format!("{value} must be from {least} to {most}")
        });
    }

    fn at_least_one(&mut self, path: &str, value: usize) {
        self.require(value > 0, path, || "must be at least 1".to_owned());
    }

    fn positive(&mut self, path: &str, value: Duration) {
        self.require(!value.is_zero(), path, || {
            "must be longer than 0".to_owned()
        });
    }

    fn ip(&mut self, path: &str, text: &str) {
        self.require(text.parse::<IpAddr>().is_ok(), path, || {
            format!("{text:?} is not an IP address")
        });
    }

    fn relabel(&mut self, key: &str, rules: &[RelabelRule]) {
        if let Err(reason) = check_rules(rules) {
            self.require(false, &format!("limits.{key}"), || reason);
        }
    }

    /// Checks a word that YAML and flags were checked for but a built struct was not.
    pub(super) fn choice(&mut self, path: &str, word: &str) {
        let problem = settings::by_path(path).and_then(|setting| setting.kind.parse(word).err());
        if let Some(problem) = problem {
            self.require(false, path, || problem.to_string());
        }
    }
}

fn subject(path: &str) -> String {
    match settings::by_path(path) {
        Some(setting) => format!("-{} ({path})", setting.flag),
        None => path.to_owned(),
    }
}
