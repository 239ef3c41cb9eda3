//! This implementation and real Go nodes in one cluster.
//!
//! Every wait is for something that a node has said. Nodes are quick to probe only where a failure is to be
//! found: on a busy machine, quick probes fail for other reasons.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/mod.rs"]
mod support;

mod classic;
mod classic_node;
mod encryption;
mod failure;
mod heartbeats;
mod join;
mod labels;
mod mixed;
mod ring;
mod tls;
mod wire;
mod zones;
