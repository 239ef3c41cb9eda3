//! The hash ring: who owns which token, which instances hold a series, when a
//! write has its quorum, what becomes of replicas that miss it, and how an
//! instance enters and leaves.
//!
//! Everything here is a function of its arguments: the clock (Unix seconds, or
//! [`Now`]) and random numbers are passed in, and nothing does I/O. A driver
//! gossips the [`proto::ring::Desc`] that [`desc`] merges, keeps a [`Ring`]
//! built from it, and steps a [`Lifecycler`].

#![warn(missing_docs)]

pub mod batch;
pub mod desc;
pub mod peers;
pub mod token;
pub mod write;

mod auto_forget;
mod basic_lifecycler;
mod entry;
mod go_rand;
mod lifecycler;
mod op;
mod read_set;
mod readiness;
mod replication_set;
mod ring;
mod shuffle;
mod state;
mod status;

pub use auto_forget::{AutoForget, AutoForgetConfig, Verdict};
pub use basic_lifecycler::{BasicLifecycler, BasicLifecyclerConfig};
pub use batch::Batch;
pub use lifecycler::{Lifecycler, LifecyclerConfig, Now, Update};
pub use op::Op;
pub use read_set::ReadSet;
pub use readiness::NotReady;
pub use replication_set::{ReplicationSet, RingError};
pub use ring::{Instance, Ring, RingConfig};
pub use state::State;
pub use status::{Member, RingStatus};
