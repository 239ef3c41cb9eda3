//! Gossip and ring: the same cluster of single processes, once of this
//! project's nodes and once of dskit's.

mod compare;
mod phase;

pub use compare::{Comparison, Plan, Results, Sides};
pub use phase::{Converged, Detected, Phase, Run, Steady};
