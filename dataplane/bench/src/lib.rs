//! Compares parts of the data plane on one machine: [`gossip`] with the Go
//! original, in clusters of single processes of either kind; [`push`] with the
//! least that a server must do.
//!
//! Nothing here is shipped. Nodes are driven over pipes ([`node`]); what they
//! cost is read from the kernel ([`procfs`]).

#![warn(missing_docs)]

pub mod gossip;
pub mod isolation;
pub mod machine;
pub mod node;
pub mod procfs;
pub mod push;
pub mod report;

mod cluster;
mod statistics;

pub use cluster::Launch;
