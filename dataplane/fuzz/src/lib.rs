//! What must hold for every input that a stranger can send: decoders return, allocate within bounds, and
//! understand what they have themselves encoded.
//!
//! A [`Target`] is one decoder with its checks and with inputs to start from, most of them bytes that real Go
//! nodes have sent. `tests/seeds.rs` runs the checks on these in every test run; the binary `fuzz` lets libFuzzer
//! look for worse ones (`make fuzz`).

#![warn(missing_docs)]

mod seeds;
mod targets;

/// One decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Panics if something does not hold for this input.
    pub check: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target, in the order in which the recipe runs them.
pub const TARGETS: &[Target] = targets::ALL;

/// Finds a target.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
