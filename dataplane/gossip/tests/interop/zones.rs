//! Zone-aware routing: nodes speak within their zone, bridges with each other.

use pyroscope_gossip::{Config, ZoneAwareRouting, ZoneRole};

use crate::mixed::{active, config, go, joining, until_same};
use crate::support::*;

fn in_zone(name: &str, zone: &str, role: ZoneRole) -> Config {
    Config {
        zone_aware_routing: Some(ZoneAwareRouting {
            zone: zone.to_owned(),
            role,
        }),
        ..config(name)
    }
}

/// Two zones, each with a bridge and a member of either kind, crosswise.
#[tokio::test(flavor = "multi_thread")]
async fn zones_of_both_kinds_converge() {
    let bridge = start(in_zone("rust-bridge", "a", ZoneRole::Bridge)).await;
    let seed = bridge.advertised().to_string();
    let (go_bridge, go_member) = tokio::join!(
        go(
            "go-bridge",
            &seed,
            &["-zone=b", "-role=bridge", "-name=go-bridge"]
        ),
        go(
            "go-member",
            &seed,
            &["-zone=a", "-role=member", "-name=go-member"]
        ),
    );
    let member = in_zone("rust-member", "b", ZoneRole::Member);
    let member = start(joining(member, go_bridge.address())).await;
    register(&member, active("rust-0", &[1]));
    let everyone = ["go-bridge", "go-member", "rust-0"];
    for go in [&go_bridge, &go_member] {
        until_same(go, &bridge, &everyone).await;
        until_same(go, &member, &everyone).await;
    }
    for rust in [&bridge, &member] {
        until_alive(rust, 4).await;
    }
    // Each reads role and zone of the other in its metadata.
    let seen = go_member.until_members(4).await;
    let meta = |name: &str| {
        let mut members = seen.members.iter();
        members
            .find(|(member, _)| member.starts_with(name))
            .unwrap()
            .1
            .meta
            .clone()
    };
    // Version 1, role, length of the zone, zone.
    let (of_bridge, of_member) = ("01020161", "01010162");
    assert_eq!(meta("rust-bridge"), of_bridge);
    assert_eq!(meta("rust-member"), of_member);
    assert_eq!(meta("go-bridge"), "01020162");
    assert_eq!(meta("go-member"), "01010161");
    // What one zone says last arrives in the other.
    unregister(&member, "rust-0");
    go_member.until_ids(&["go-bridge", "go-member"]).await;
}
