//! Gossip: finds the other nodes and keeps a replicated key-value store.
//!
//! [`Gossip`] drives the membership machine of `memberlist` over dskit's TCP
//! transport and joins the seeds it is given; [`Kv`] is the store that it
//! replicates, in which components keep their rings. Both interoperate with
//! Go peers of Grafana's dskit (`tests/interop/`).
//!
//! Only the edges do I/O: [`kv::Store`] is pure, and so is the machine.

#![warn(missing_docs)]

pub mod kv;

mod advertise;
mod config;
mod delegate;
mod discovery;
mod driver;
mod error;
mod gossip;
mod join;
mod machine;
mod member;
mod memberlist;
mod metrics;
mod news;
mod refusals;
mod replication;
mod tls;
mod transport;

pub use self::memberlist::Memberlist;
pub use ::memberlist::{Broadcast, Node, Origin, Policy};
pub use config::{
    Compression, Config, Dialect, IncomingLimits, PropagationDelayTracker, ZoneAwareRouting,
    ZoneRole,
};
pub use delegate::{Delegate, MemberEvent, Request};
pub use error::{GossipError, SendError};
pub use gossip::Gossip;
pub use kv::{CasError, EntryStatus, Kv, PrefixWatch, Watch};
pub use member::{Member, MemberState};
pub use tls::{CipherSuites, TlsConfig, TlsError, TlsVersion};
pub use transport::Listeners;
