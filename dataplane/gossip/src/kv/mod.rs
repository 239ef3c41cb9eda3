//! The replicated key-value store of dskit.
//!
//! [`Store`] is pure: messages and time go in, changes come out. [`Kv`] is its
//! handle for the components of a process. Peers exchange two things, both
//! made of `KeyValuePair`s: *user messages* carry one change each, and the
//! *full state* in push/pulls carries every value whole.
//!
//! All values are ring descriptors. What a peer stores under another codec is
//! dropped and counted, as dskit does with codecs it does not know: without
//! the codec there is no telling a change from a repetition, and relaying
//! repetitions would never end.

mod codec;
mod handle;
mod shared;
mod store;

pub use codec::{CodecError, RING_DESC};
pub use handle::{CasError, Kv};
pub(crate) use shared::Shared;
pub use store::{EntryStatus, ReceiveError, Retention, Snapshot, Store, StoreError, Update};
