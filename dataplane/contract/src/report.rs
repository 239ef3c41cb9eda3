//! What a process reports about itself over HTTP, for the operator and for people.

mod memberlist;
mod ring;

pub use memberlist::{Member, MemberlistReport, Message, Pair, StoreEntry};
pub use ring::{RingReport, Shard};
