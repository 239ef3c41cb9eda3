//! Profiles as values: labels and selectors, pprof, function-name trees, flame
//! graphs, merging, and the input formats of `/ingest`.
//!
//! Everything here is pure: no I/O, no clock, no randomness. What decodes bytes
//! or text from outside is bounded, returns typed errors and never panics.
//!
//! The path of a push is that of a [`pprof::View`]: decode, validate, normalise,
//! and split by sample labels where there are any. The path of a query:
//! [`Selector`] picks series, [`Tree`] or [`PprofMerge`] adds up their profiles.

#![warn(missing_docs)]

mod assembly;
pub mod call_site;
pub mod growth;
pub mod ingest;
pub mod labels;
pub mod merge;
pub mod otlp;
pub mod pprof;
pub mod profile_type;
mod quote;
pub mod selector;
mod stack;
pub mod time;
pub mod tree;

pub use call_site::CallSite;
pub use growth::growth;
pub use labels::{LabelError, LabelLimits, Labels};
pub use merge::PprofMerge;
pub use pprof::PprofError;
pub use profile_type::{ProfileType, ProfileTypeError};
pub use selector::{Selector, SelectorError};
pub use tree::{Tree, TreeError};

/// A pprof profile as the wire has it.
pub type Profile = proto::google::v1::Profile;
