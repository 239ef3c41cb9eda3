//! Compares parts of the data plane with the Go originals, side by side on one
//! machine: [`gossip`] runs clusters of single processes of either kind.
//!
//! Nothing here is shipped. Nodes are driven over pipes ([`node`]); what they
//! cost is read from the kernel ([`procfs`]).

#![warn(missing_docs)]

pub mod gossip;
pub mod isolation;
pub mod machine;
pub mod node;
pub mod procfs;
pub mod report;

mod cluster;
mod statistics;

pub use cluster::Launch;
