//! What the user of the library decides about other nodes.

use std::fmt::Debug;

use crate::node::Node;

/// Decides whom a machine accepts. Every decision has a default, which is to accept.
///
/// The reason of a refusal is for the log. Called while the machine works: answer at once.
pub trait Policy: Debug + Send + Sync {
    /// Decides whether a node's record, new or newer than what is known, is taken over and gossiped on.
    ///
    /// # Errors
    /// If it is to be ignored: the reason.
    fn admit(&self, node: &Node) -> Result<(), String> {
        let _ = node;
        Ok(())
    }

    /// Decides whether this cluster and that of `nodes` become one. Asked only when somebody joins, on both sides.
    ///
    /// # Errors
    /// If nothing of the exchange is to be merged: the reason.
    fn merge(&self, nodes: &[Node]) -> Result<(), String> {
        let _ = nodes;
        Ok(())
    }
}
