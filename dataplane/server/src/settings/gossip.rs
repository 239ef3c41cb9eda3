//! What membership takes from the configuration.

use ::gossip::{Compression, PropagationDelayTracker, TlsConfig, ZoneAwareRouting};
use anyhow::Result;
use contract::{Config, config};

/// Returns the settings of membership.
///
/// # Errors
///
/// Names the setting that no node can work with.
pub(crate) fn gossip(config: &Config) -> Result<::gossip::Config> {
    let memberlist = &config.memberlist;
    Ok(::gossip::Config {
        node_name: memberlist.node_name.clone(),
        randomize_node_name: memberlist.randomize_node_name,
        advertise_addr: memberlist.advertise_addr.clone(),
        advertise_port: if memberlist.advertise_addr.is_empty() {
            0
        } else {
            memberlist.advertise_port
        },
        join: memberlist.join_members.clone(),
        rejoin_interval: memberlist.rejoin_interval.get(),
        rejoin_seeds: memberlist.rejoin_seed_nodes.clone(),
        min_join_backoff: memberlist.min_join_backoff.get(),
        max_join_backoff: memberlist.max_join_backoff.get(),
        max_join_retries: memberlist.max_join_retries,
        abort_if_fast_join_fails: memberlist.abort_if_cluster_fast_join_fails,
        abort_if_fast_join_fails_min_nodes: memberlist.abort_if_cluster_fast_join_fails_min_nodes
            as usize,
        abort_if_join_fails: memberlist.abort_if_cluster_join_fails,
        cluster_label: memberlist.cluster_label.clone(),
        cluster_label_verification_disabled: memberlist.cluster_label_verification_disabled,
        compression: compression(memberlist)?,
        tls: tls(memberlist)?,
        zone_aware_routing: zone_aware_routing(memberlist)?,
        transport_debug: memberlist.transport_debug,
        stream_timeout: memberlist.stream_timeout.get(),
        packet_dial_timeout: memberlist.packet_dial_timeout.get(),
        packet_write_timeout: memberlist.packet_write_timeout.get(),
        acquire_writer_timeout: memberlist.acquire_writer_timeout.get(),
        max_concurrent_writes: memberlist.max_concurrent_writes,
        received_messages_queue_size: memberlist.received_messages_queue_size,
        gossip_interval: memberlist.gossip_interval.get(),
        gossip_nodes: memberlist.gossip_nodes as usize,
        gossip_to_dead_nodes_time: memberlist.gossip_to_dead_nodes_time.get(),
        push_pull_interval: memberlist.pull_push_interval.get(),
        retransmit_factor: memberlist.retransmit_factor,
        dead_node_reclaim_time: memberlist.dead_node_reclaim_time.get(),
        notify_interval: memberlist.notify_interval.get(),
        message_history_buffer_bytes: memberlist.message_history_buffer_bytes,
        watch_prefix_buffer_size: memberlist.watch_prefix_buffer_size,
        propagation_delay_tracker: propagation_delay_tracker(memberlist),
        left_ingesters_timeout: memberlist.left_ingesters_timeout.get(),
        obsolete_entries_timeout: memberlist.obsolete_entries_timeout.get(),
        leave_timeout: memberlist.leave_timeout.get(),
        broadcast_timeout_on_shutdown: memberlist
            .broadcast_timeout_for_local_updates_on_shutdown
            .get(),
        ..::gossip::Config::default()
    })
}

fn compression(memberlist: &config::Memberlist) -> Result<Compression> {
    if !memberlist.compression_enabled {
        return Ok(Compression::None);
    }
    Ok(memberlist.compression_algorithm.parse()?)
}

fn tls(memberlist: &config::Memberlist) -> Result<Option<TlsConfig>> {
    if !memberlist.tls_enabled {
        return Ok(None);
    }
    Ok(Some(TlsConfig {
        cert_path: memberlist.tls_cert_path.clone().into(),
        key_path: memberlist.tls_key_path.clone().into(),
        ca_path: memberlist.tls_ca_path.clone().into(),
        server_name: memberlist.tls_server_name.clone(),
        insecure_skip_verify: memberlist.tls_insecure_skip_verify,
        cipher_suites: memberlist.tls_cipher_suites.parse()?,
        min_version: memberlist.tls_min_version.parse()?,
        ..TlsConfig::default()
    }))
}

fn zone_aware_routing(memberlist: &config::Memberlist) -> Result<Option<ZoneAwareRouting>> {
    let routing = &memberlist.zone_aware_routing;
    if !routing.enabled {
        return Ok(None);
    }
    Ok(Some(ZoneAwareRouting {
        zone: routing.instance_availability_zone.clone(),
        role: routing.role.parse()?,
    }))
}

fn propagation_delay_tracker(memberlist: &config::Memberlist) -> PropagationDelayTracker {
    let tracker = &memberlist.propagation_delay_tracker;
    PropagationDelayTracker {
        enabled: tracker.enabled,
        beacon_interval: tracker.beacon_interval.get(),
        beacon_lifetime: tracker.beacon_lifetime.get(),
        log_beacons_latency_longer_than: tracker.log_beacons_latency_longer_than.get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(yaml: &str) -> Result<::gossip::Config> {
        let (config, warnings) = Config::from_yaml(yaml).expect("the YAML is valid");
        assert!(warnings.is_empty(), "{warnings:?}");
        gossip(&config)
    }

    #[test]
    fn nothing_is_on_that_nobody_asked_for() {
        let config = mapped("{}").expect("the defaults work");
        assert!(config.tls.is_none() && config.zone_aware_routing.is_none());
        assert_eq!(config.compression, Compression::Lzw);
        assert!(!config.propagation_delay_tracker.enabled);
    }

    #[test]
    fn sections_are_carried_over() {
        let config = mapped(
            "memberlist:\n  tls_enabled: true\n  tls_cert_path: c\n  tls_key_path: k\n  \
             tls_min_version: VersionTLS13\n  compression_algorithm: snappy\n  \
             rejoin_seed_nodes: [a]\n  zone_aware_routing:\n    enabled: true\n    \
             instance_availability_zone: z\n    role: bridge\n",
        )
        .expect("the configuration works");
        let tls = config.tls.expect("TLS is on");
        assert_eq!(tls.min_version, ::gossip::TlsVersion::Tls13);
        assert_eq!(config.compression, Compression::Snappy);
        assert_eq!(config.rejoin_seeds, ["a"]);
        let routing = config.zone_aware_routing.expect("routing is on");
        assert_eq!(routing.role, ::gossip::ZoneRole::Bridge);
    }

    #[test]
    fn suites_that_nobody_knows_are_named() {
        let yaml = "memberlist: {tls_enabled: true, tls_cert_path: c, tls_key_path: k, \
                    tls_cipher_suites: TLS_X}";
        let error = mapped(yaml).expect_err("the suite is unknown").to_string();
        assert!(error.contains("TLS_X"), "{error}");
    }
}
