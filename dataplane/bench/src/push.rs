//! The write path: what storing a profile costs beside the least that any server
//! must do with it.

mod corpus;
mod disk;
mod load;
mod plan;
mod report;
mod servers;

pub use corpus::{Corpus, SERIES};
pub use load::{Latency, Pushed, Queried};
pub use plan::{Case, Isolation, Measured, Plan, Programs, Results};
pub use report::latest;
