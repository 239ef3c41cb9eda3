//! What opening a database found in its log.

use std::fmt;
use std::path::PathBuf;

/// What [`Database::open`](crate::Database::open) read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayReport {
    /// Segments found.
    pub segments: usize,
    /// Intact records read, duplicates included.
    pub records: u64,
    /// Profiles now in the head.
    pub profiles: u64,
    /// Records of a profile that the head already had: a write that failed
    /// after it reached the disk, and was retried.
    pub duplicates: u64,
    /// Bytes cut from the end of the last segment: a write that a crash
    /// interrupted, and therefore never acknowledged.
    pub torn_bytes: u64,
    /// Damaged segments that were put aside and replaced by their intact records.
    pub quarantined: u64,
    /// Damage that a crash does not explain.
    pub corruptions: Vec<Corruption>,
    /// Time that replay took.
    pub seconds: f64,
}

/// A damaged part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Number of the segment.
    pub segment: u64,
    /// Where the damage begins in the segment, in bytes.
    pub offset: u64,
    /// Length of the damage in bytes.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
    /// Where the segment as found was put aside; `None` when it is still in
    /// the log.
    pub quarantined: Option<PathBuf>,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            offset,
            bytes,
            reason,
            ..
        } = self;
        write!(
            f,
            "segment {segment:08}: {bytes} bytes at offset {offset} are damaged: {reason}"
        )?;
        match &self.quarantined {
            Some(path) => write!(f, " (kept as {})", path.display()),
            None => Ok(()),
        }
    }
}
