//! Real servers, which come as packages: versitygw for S3 and Azurite for Azure. What every bucket
//! does, and what networks do to it, is checked with them as with the store of `bucket`. `make stores`
//! builds the servers and runs this.

#![allow(clippy::unwrap_used)]

mod azurite;
#[path = "../bucket/faults.rs"]
mod faults;
#[path = "../bucket/proxy.rs"]
mod proxy;
mod server;
#[path = "../bucket/suite.rs"]
mod suite;
#[path = "../bucket/target.rs"]
mod target;
mod versitygw;
