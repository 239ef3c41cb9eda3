//! What the end-to-end tests are made of: a real Kubernetes, an installed
//! operator, clusters under test, clients that know only the public API, and a
//! ledger that checks every acknowledged write by reading it back.
//!
//! The tests run where pod and service addresses can be reached, with
//! `KUBECONFIG` and `KUBECTL` set; `make e2e` sees to that.

pub mod cluster_under_test;
pub mod kubectl;
pub mod ledger;
pub mod operator;
pub mod pods;
pub mod pyroscope;
pub mod wait;
