//! Zones in node metadata: `01 | role u8 | length u8 | zone`.

/// The only version of the format.
const VERSION: u8 = 1;
const MEMBER: u8 = 1;
const BRIDGE: u8 = 2;
/// Longest name of a zone, in bytes.
pub(crate) const MAX_ZONE: usize = 16;

/// The part that a node has in zone-aware routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Talks to its own zone.
    Member,
    /// Talks to its own zone and to the bridges of others.
    Bridge,
}

/// Where a node is, and its role there, for zone-aware routing.
///
/// With it, gossip and state exchanges stay within a zone, except for those between bridges. A node without a zone is
/// reached from everywhere. While some zone with members has no living bridge, everybody talks to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Zone {
    /// The name of the zone: 1 to 16 bytes.
    pub name: String,
    /// What the node does there.
    pub role: Role,
}

impl Zone {
    /// Encodes the metadata of a node in this zone.
    pub fn to_meta(&self) -> Vec<u8> {
        let role = match self.role {
            Role::Member => MEMBER,
            Role::Bridge => BRIDGE,
        };
        let name = &self.name.as_bytes()[..self.name.len().min(MAX_ZONE)];
        [&[VERSION, role, name.len() as u8], name].concat()
    }

    /// Decodes the metadata of a node; `None` if it names no zone.
    pub fn from_meta(meta: &[u8]) -> Option<Self> {
        let (name, role) = parse(meta)?;
        Some(Self {
            name: String::from_utf8(name.to_vec()).ok()?,
            role,
        })
    }
}

/// Splits metadata into the zone's name and the role; `None` if it names no zone.
pub(crate) fn parse(meta: &[u8]) -> Option<(&[u8], Role)> {
    let [VERSION, role, length, rest @ ..] = meta else {
        return None;
    };
    let name = rest
        .get(..usize::from(*length))
        .filter(|name| !name.is_empty())?;
    let role = match *role {
        BRIDGE => Role::Bridge,
        _ => Role::Member,
    };
    Some((name, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_written_and_read() {
        let zone = Zone {
            name: "eu-west-1a".to_owned(),
            role: Role::Bridge,
        };
        assert_eq!(zone.to_meta(), b"\x01\x02\x0Aeu-west-1a");
        assert_eq!(Zone::from_meta(&zone.to_meta()), Some(zone));
    }

    #[test]
    fn metadata_of_other_making_names_no_zone() {
        for meta in [
            &b""[..],
            b"\x01\x02",
            b"\x01\x02\x00",
            b"\x01\x02\x05abc",
            b"\x02\x01\x01a",
            b"m3",
        ] {
            assert_eq!(Zone::from_meta(meta), None, "{meta:?}");
        }
        let unknown_role = Zone::from_meta(b"\x01\x07\x01a");
        assert_eq!(unknown_role.map(|zone| zone.role), Some(Role::Member));
    }
}
