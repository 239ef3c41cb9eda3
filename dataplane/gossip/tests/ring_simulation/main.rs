//! Rings in virtual time: machines, stores and lifecyclers of whole clusters, under faults that a seed decides.
//!
//! `SOAK_SEEDS=n` runs n stories of 32 instances and fewer of larger rings; a failure names its seed, and `SEED=s`
//! runs that one alone and prints its trace.

extern crate memberlist as pyroscope_memberlist;

#[allow(dead_code, reason = "each simulation uses its part of the network")]
#[path = "../../../memberlist/tests/network/mod.rs"]
mod network;

mod instance;
mod rings;
mod stories;
