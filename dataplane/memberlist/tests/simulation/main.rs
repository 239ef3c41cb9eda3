//! Clusters in virtual time, under faults that a seed decides.
//!
//! `SOAK_SEEDS=n` runs n stories of 32 nodes and fewer of larger clusters; a failure names its seed, and `SEED=s`
//! runs that one alone and prints its trace.

#[allow(dead_code, reason = "each simulation uses its part of the network")]
#[path = "../network/mod.rs"]
mod network;

mod cluster;
mod loss;
mod scenarios;
mod stories;
mod words;
