//! What the operator and the data plane say to each other: the configuration, ports,
//! ring names, the quorum rule and the reports a process serves about itself.

#![warn(missing_docs)]

pub mod args;
pub mod config;
pub mod duration;
pub mod error;
mod expand;
mod help;
pub mod kind;
mod layers;
mod nearest;
pub mod overrides;
pub mod ports;
mod quorum;
pub mod report;
pub mod ring_key;
pub mod settings;
mod yaml;

pub use config::Config;
pub use duration::Duration;
pub use help::{help, help_all, reference};
pub use quorum::{quorum, tolerated_misses};
