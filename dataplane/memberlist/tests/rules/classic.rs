//! What differs in the classic dialect.

use pyroscope_memberlist::{Compression, Dialect, StreamMessage};

use super::*;

fn classic(change: impl FnOnce(&mut Config)) -> Machine {
    let mut config = Config::lan("me", Address::v4([10, 0, 0, 1], 7946));
    change(&mut config);
    Machine::new(config, 7, NOW).expect("the config is valid")
}

#[test]
fn presets_are_those_of_the_original() {
    let address = Address::v4([10, 0, 0, 1], 7946);
    let dskit = Config::new("me", address);
    let [lan, wan, local] =
        [Config::lan, Config::wan, Config::local].map(|new| new("me".to_owned(), address));
    assert_eq!((dskit.dialect, dskit.stream_pings), (Dialect::Dskit, false));
    for config in [&lan, &wan, &local] {
        assert_eq!(
            (config.dialect, config.stream_pings),
            (Dialect::Classic, true)
        );
        assert_eq!(config.packet_budget, 1400);
    }
    let millis = |config: &Config| {
        [
            config.probe_interval,
            config.probe_timeout,
            config.gossip_interval,
            config.push_pull_interval,
            config.gossip_to_the_dead_time,
        ]
        .map(|duration| duration.as_millis())
    };
    assert_eq!(millis(&dskit), [5000, 2000, 200, 30_000, 30_000]);
    assert_eq!(millis(&lan), [1000, 500, 200, 30_000, 30_000]);
    assert_eq!(millis(&wan), [5000, 3000, 500, 60_000, 60_000]);
    assert_eq!(millis(&local), [1000, 200, 100, 15_000, 15_000]);
    let counts = |config: &Config| {
        (
            config.suspicion_mult,
            config.retransmit_mult,
            config.indirect_checks,
            config.gossip_nodes,
        )
    };
    assert_eq!(counts(&lan), (4, 4, 3, 3));
    assert_eq!(counts(&wan), (6, 4, 3, 4));
    assert_eq!(counts(&local), (3, 2, 1, 3));
}

#[test]
fn what_classic_peers_cannot_read_is_refused_in_the_config() {
    let address = Address::v4([10, 0, 0, 1], 7946);
    let mut snappy = Config::lan("me", address);
    snappy.compression = Some(Compression::Snappy);
    let mut jumbo = Config::lan("me", address);
    jumbo.packet_budget = 70_000;
    let mut tiny = Config::lan("me", address);
    tiny.packet_budget = 1000;
    for (config, field) in [
        (snappy, "compression"),
        (jumbo, "packet_budget"),
        (tiny, "packet_budget"),
    ] {
        let refused = Machine::new(config, 7, NOW)
            .map(|_| ())
            .map_err(|error| error.field);
        assert_eq!(refused, Err(field));
    }
}

#[test]
fn streams_are_always_compressed_and_packets_if_it_helps() {
    let mut machine = classic(|_| {});
    let stream = machine.user_stream(b"x").expect("it is short");
    assert_eq!(stream[0], 9, "compressed, though that makes it longer");
    let read = classic(|_| {}).request_reader().feed(&stream);
    assert_eq!(read, Ok(Some(StreamMessage::User("x".into()))));

    let mut dskit = super::machine();
    assert_eq!(dskit.user_stream(b"x").expect("it is short")[0], 8);
    accept(&mut machine, Message::Ping(Ping::default()));
    assert!(!sent(&mut machine).is_empty());
}

#[test]
fn a_label_where_none_may_be_is_refused() {
    let to = "10.0.0.2:7946".parse().expect("an address");
    let packet = |label: &str| {
        let mut sender = classic(|config| config.label = label.to_owned());
        assert_eq!(sender.send_best_effort(to, b"text"), Ok(()));
        match sender.poll_output() {
            Some(Output::Packet { payload, .. }) => payload,
            other => panic!("{other:?}"),
        }
    };
    for (own, verify, label, accepted) in [
        ("", true, "prod", false),
        ("prod", true, "", false),
        ("prod", true, "prod", true),
        ("prod", false, "prod", false),
        ("prod", false, "", true),
    ] {
        let mut receiver = classic(|config| {
            config.label = own.to_owned();
            config.verify_label = verify;
        });
        let result = receiver.handle_packet(NOW, "", &packet(label));
        assert_eq!(
            result.map_err(|error| error.kind()),
            if accepted { Ok(()) } else { Err("label") },
            "own {own:?} verified {verify} received {label:?}"
        );
    }
    let doubled = [&b"\xF4\x04prod"[..], &packet("prod")].concat();
    let mut receiver = classic(|config| config.label = "prod".to_owned());
    let refused = receiver.handle_packet(NOW, "", &doubled);
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err("unexpected_type")
    );
}
