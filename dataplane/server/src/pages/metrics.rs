//! `/metrics`: what is measured, in the text form of OpenMetrics.

use std::fmt;

use prometheus_client::{encoding::text::encode, registry::Registry};

/// Names that Phlare, the predecessor, had with its own prefix: what they start
/// with here, and how much of that its prefix replaces.
const OF_PHLARE: [(&str, &str); 5] = [
    ("pyroscope_ring_", "pyroscope_"),
    ("pyroscope_member_", "pyroscope_"),
    ("pyroscope_lifecycler_", "pyroscope_"),
    ("pyroscope_memberlist_", "pyroscope_"),
    ("memberlist_", ""),
];

/// Writes every metric, and with `phlare_names` those of rings and gossip a
/// second time under the names of Phlare.
///
/// # Errors
///
/// Fails when a metric cannot be encoded.
pub(super) fn render(registry: &Registry, phlare_names: bool) -> Result<String, fmt::Error> {
    let mut body = String::new();
    encode(&mut body, registry)?;
    if phlare_names {
        let again = renamed(&body);
        let end = body.rfind("# EOF").unwrap_or(body.len());
        body.insert_str(end, &again);
    }
    Ok(body)
}

/// Repeats the lines of rings and gossip under the names of Phlare.
fn renamed(body: &str) -> String {
    body.lines().filter_map(rename).collect()
}

fn rename(line: &str) -> Option<String> {
    let descriptions = ["# HELP ", "# TYPE ", "# UNIT "];
    let head = descriptions
        .into_iter()
        .find(|head| line.starts_with(head))
        .unwrap_or("");
    let name = &line[head.len()..];
    let (_, prefix) = OF_PHLARE
        .iter()
        .find(|(start, _)| name.starts_with(start))?;
    Some(format!("{head}phlare_{}\n", &name[prefix.len()..]))
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn rings_and_gossip_are_repeated_and_nothing_else() {
        let mut registry = Registry::default();
        for name in [
            "pyroscope_ring_members",
            "memberlist_client_members",
            "pyroscope_wal",
        ] {
            registry.register(
                name,
                "Help of pyroscope_ring_members",
                Gauge::<i64>::default(),
            );
        }
        registry.register(
            "pyroscope_member_heartbeats",
            "Help",
            Counter::<u64>::default(),
        );
        let plain = render(&registry, false).unwrap();
        let both = render(&registry, true).unwrap();
        let (kept, added) = both.split_at(plain.len() - "# EOF\n".len());
        assert_eq!(format!("{kept}# EOF\n"), plain);
        assert_eq!(
            added,
            "# HELP phlare_ring_members Help of pyroscope_ring_members.\n\
             # TYPE phlare_ring_members gauge\n\
             phlare_ring_members 0\n\
             # HELP phlare_memberlist_client_members Help of pyroscope_ring_members.\n\
             # TYPE phlare_memberlist_client_members gauge\n\
             phlare_memberlist_client_members 0\n\
             # HELP phlare_member_heartbeats Help.\n\
             # TYPE phlare_member_heartbeats counter\n\
             phlare_member_heartbeats_total 0\n\
             # EOF\n"
        );
    }
}
