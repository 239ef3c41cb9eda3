//! How long the disk takes to make a write durable.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::load::Latency;

/// About what one push adds to a log.
const WRITE_BYTES: usize = 16 << 10;
const WRITES: usize = 300;

/// Appends to a file in `folder` as a write-ahead log does, and times the syncs.
///
/// # Errors
///
/// Fails when the folder does not take the file.
pub(super) fn probe(folder: &Path) -> Result<Latency> {
    let path = folder.join("fsync-probe");
    let mut file =
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let block = [0xa5; WRITE_BYTES];
    let mut seconds = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        file.write_all(&block)?;
        let started = Instant::now();
        file.sync_data()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    fs::remove_file(&path)?;
    Ok(Latency::of(seconds))
}
