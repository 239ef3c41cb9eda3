//! What the operator and the data plane say to each other: the configuration, ports,
//! ring names, the quorum rule and the reports a process serves about itself.

pub mod config;
pub mod duration;
mod nearest;
pub mod ports;
mod quorum;
pub mod ring_key;

pub use config::Config;
pub use duration::Duration;
pub use quorum::{quorum, tolerated_misses};
