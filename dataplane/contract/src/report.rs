//! What a process reports about itself over HTTP, for the operator and for people.

mod memberlist;
mod ring;
mod timestamp;

pub use memberlist::{Member, MemberlistReport, StoreEntry};
pub use ring::{RingReport, Shard};
pub use timestamp::rfc3339;
