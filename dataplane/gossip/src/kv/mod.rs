//! The replicated key-value store of dskit.
//!
//! [`Store`] is pure: messages and time go in, changes come out. [`Kv`] is its
//! handle for the components of a process. Peers exchange two things, both
//! made of `KeyValuePair`s: *user messages* carry one change each, and the
//! *full state* in push/pulls carries every value whole.
//!
//! A value is anything [`Mergeable`]; its codec says which. What a peer stores
//! under an unknown codec is dropped and counted, as in dskit: without the
//! codec there is no telling a change from a repetition, and relaying
//! repetitions would never end.
//!
//! Messages are merged in the order in which they arrive, under one lock, so
//! the per-key queues of dskit have no counterpart here.

mod beacons;
mod codec;
mod entry;
mod handle;
mod heartbeat;
mod history;
mod mergeable;
mod propagation;
mod replica;
mod ring_desc;
mod shared;
mod store;
mod tracking;
mod usage_stats;
mod versions;
mod watch;

/// What nodes with this store announce as the versions of their delegate
/// (lowest, highest, current): from 1 on they understand [`HEARTBEATS`], and
/// exchange full states when one does not fit.
pub const DELEGATE_VERSIONS: [u8; 3] = [0, 1, 0];

pub use codec::CodecError;
pub use entry::{EntryStatus, Update};
pub use handle::{CasError, Kv};
pub use heartbeat::{HEARTBEATS, digest};
pub use history::{Message, Messages};
pub use mergeable::{Codecs, Expansion, Mergeable};
pub use ring_desc::RING_DESC;
pub(crate) use shared::Shared;
pub use store::{ReceiveError, Retention, Snapshot, Store, StoreError};
pub use usage_stats::UsageStats;
pub use watch::{Closed, PrefixWatch, Watch};
