//! Blocks: profiles that have left the head, in files that anybody can read.
//!
//! ```text
//! head ──cut──▶ ┌───────────────────────────────────────────────┐
//!               │ meta.json   series   profiles                 │ ──▶ select, merge
//! blocks merge▶ │ strings ◀ functions, mappings ◀ locations ◀ stacks │
//!               └───────────────────────────────────────────────┘
//! ```
//!
//! A block is a directory of Parquet files and a `meta.json` that names them;
//! `docs/block-format.md` describes each. It is written as a whole or not at all, is
//! never changed, and depends on nothing but the profiles that are in it: the same
//! profiles make the same bytes.
//!
//! Nothing of what is read is believed: sizes are checked before room is made for
//! them, and what is damaged is an error that names the block and the file.

mod cut;
mod decode;
mod encode;
mod error;
mod files;
mod limits;
mod merge;
mod meta;
mod pages;
mod profiles;
mod query;
mod reader;
mod rows;
mod samples;
mod series;
mod symbols;
mod table;
#[cfg(test)]
mod tests;
mod thrift;
mod union;
mod verify;
mod writer;

pub(crate) use cut::write as cut;
pub use error::BlockError;
pub use files::{Directory, Files, Memory};
pub use limits::Limits;
pub use merge::merge;
pub use meta::{Description, FileMeta, Meta, Statistics, VERSION};
pub use query::BlockQueryError;
pub use reader::Block;
