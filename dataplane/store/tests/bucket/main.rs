//! Buckets as their users meet them: a directory, and a store behind a network that fails in every
//! way it can. What real servers say to the same is in `bucket_servers`.

#![allow(clippy::unwrap_used)]

mod credentials;
mod directory;
mod fake_gcs;
mod faults;
mod gcs;
mod metrics;
mod opening;
mod proxy;
mod suite;
mod target;
mod tls;
