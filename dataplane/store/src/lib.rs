//! Profiles at rest in an ingester: a write-ahead log and a queryable head.
//!
//! ```text
//! push ─▶ decode, admit ─▶ log (group commit, fdatasync) ─▶ head ─▶ Ok
//!                                    │                       │
//! open ─▶ replay ────────────────────┘         select, merge ┘
//! ```
//!
//! [`Database::push`] returns `Ok` only after the log is on stable storage and
//! the head shows the profiles, so what was acknowledged survives a crash.
//! [`Database::open`] replays the log into the head and reports, never hides,
//! what it could not read.
//!
//! A [`block`] is what profiles become that leave the head, and a
//! [`bucket`] where they go. Deliberately absent for now: cutting blocks off the
//! head, uploads and truncation. The head and the log only grow, and a head that
//! has reached its budget refuses pushes with [`RejectReason::Full`].

#![warn(missing_docs)]

mod admission;
pub mod block;
pub mod bucket;
mod budget;
mod database;
mod digest;
mod finishing;
mod head;
mod ingest;
mod metrics;
mod push;
mod query;
mod report;
mod tenant;
mod wal;

pub use database::{Database, Options, StoreError};
pub use digest::{Digest, DigestKey};
pub use finishing::Finishing;
pub use push::{IncomingProfile, PushError, PushLimits, RejectReason, Rejected};
pub use query::{QueryError, TenantStats, TimeRange};
pub use report::{Corruption, ReplayReport};
pub use wal::{Disk, DiskFile, EncodeError, LogError, Os};
