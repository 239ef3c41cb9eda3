//! The data plane: distributor, ingester and querier, and the process around
//! them.

mod admission;
pub mod cli;
mod clients;
mod distributor;
mod health;
mod http;
mod inflate;
mod ingester;
mod lifecycle;
mod overrides;
mod pages;
pub mod process;
mod querier;
mod refusals;
mod request_metrics;
mod ring_metrics;
mod ring_view;
mod rpc;
mod settings;
pub mod telemetry;
