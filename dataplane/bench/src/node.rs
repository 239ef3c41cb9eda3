//! What the programs that run one node each understand and say.
//!
//! A node takes `--index`, `--nodes`, `--addr`, `--port` and `--join`, then one
//! command per line on standard input, and prints one [`Event`] per line, as
//! JSON, on standard output. Nodes notice themselves when something happens, so
//! that nothing has to ask them meanwhile. A node ends, like in a crash, when
//! its standard input does.
//!
//! | Command | Effect |
//! |---|---|
//! | `start` | gossips and registers an instance: [`Kind::Started`]; observes all |
//! | `observe all`, `ring`, `members` or `nothing` | looks only at that: [`Kind::Observing`] |
//! | `add ID` | puts another instance into the ring: [`Kind::Adding`] |
//! | `remove PREFIX` | takes the instances with such ids out of the ring |
//! | `counters` | prints its metrics: [`Kind::Counters`] |

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Start of the ids of instances whose spreading is measured; nodes announce
/// the first sight of those ([`Kind::Seen`]).
pub const VALUE_PREFIX: &str = "value-";

/// Something that happened on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Number of the node.
    pub node: usize,
    /// What happened.
    pub event: Kind,
    /// When, by the machine's wall clock, in Unix nanoseconds.
    pub at: i64,
    /// The instance or member that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Values of [`Kind::Counters`], by the names of the metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
}

/// What can happen on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The process runs and waits for `start`.
    Ready,
    /// It gossips, and has asked its seeds to join them.
    Started,
    /// It knows all members and as many ACTIVE instances.
    Converged,
    /// It now looks at what it was told to.
    Observing,
    /// It is about to add an instance.
    Adding,
    /// It sees such an instance for the first time.
    Seen,
    /// A member is dead, or has left.
    Lost,
    /// Its metrics.
    Counters,
}

impl Event {
    /// Returns an event of this moment.
    pub fn now(node: usize, event: Kind) -> Self {
        Self {
            node,
            event,
            at: unix_nanos(),
            id: None,
            counters: BTreeMap::new(),
        }
    }
}

/// Returns the wall clock in Unix nanoseconds.
pub fn unix_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
        })
}

/// Returns the name of a node, which is also the id of its instance. Both
/// sides use it, so that names cost the same.
pub fn name(index: usize) -> String {
    format!("node-{index:03}")
}
