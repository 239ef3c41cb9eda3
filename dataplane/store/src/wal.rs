//! The write-ahead log: `docs/wire/wal.md` has its bytes.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::metrics::WalMetrics;
use crate::report::ReplayReport;

mod chain;
mod directory;
mod disk;
mod format;
mod found;
mod lanes;
mod reader;
mod record;
mod repair;
mod replay;
mod segment;
mod writer;

use directory::{Directory, failed};
pub use disk::{Disk, DiskFile, Os};
pub use record::EncodeError;
pub(crate) use record::Record;
pub(crate) use replay::Applied;

/// Why an append failed. Nothing of it was acknowledged; the log goes on in a
/// new segment, so the same append may be retried.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("could not {action} {path}: {source}; retry later", path = .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The append is longer than 4 GiB.
    #[error("{0} bytes are too much for one append to the log; push less at a time")]
    TooLong(usize),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path} is locked: another process uses this directory", path = .0.display())]
    Locked(PathBuf),
    #[error("{path}: {error}; use the version that wrote it, or a newer one", path = .path.display())]
    Version {
        path: PathBuf,
        error: format::HeaderError,
    },
}

/// How a log is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// A segment is ended before it grows beyond this many bytes, unless a
    /// single write is longer.
    pub(crate) segment_bytes: u64,
    /// Most appends that wait for the log to take them; others wait to wait.
    pub(crate) queue: usize,
}

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct Wal {
    queue: Mutex<Option<mpsc::Sender<writer::Append>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Wal {
    /// Opens the log of a directory, which is locked until the log is closed,
    /// and reads it back: several threads `decode` records, this one gives what
    /// they hold to `apply` in the order of the log. What was applied is
    /// durable when this returns. Blocks.
    pub(crate) fn open<D: Disk, T: Send, E: Display>(
        disk: D,
        directory: &Path,
        options: Options,
        metrics: WalMetrics,
        decode: impl Fn(&Record<'_>) -> Result<T, E> + Sync,
        apply: impl FnMut(T) -> Applied,
    ) -> Result<(Self, ReplayReport), OpenError> {
        let segments = Directory::create(disk.clone(), directory.join("wal"))?;
        let path = directory.join("LOCK");
        let lock = disk.lock(&path).map_err(failed("lock", &path))?;
        let lock = lock.ok_or(OpenError::Locked(path))?;

        let started = Instant::now();
        let (mut report, tail) = replay::replay(&segments, decode, apply)?;
        report.seconds = started.elapsed().as_secs_f64();
        metrics.replayed(&report);
        metrics.segments.set(tail.segments as i64);
        metrics.bytes.set(tail.bytes as i64);
        info!(
            segments = report.segments,
            profiles = report.profiles,
            seconds = report.seconds,
            torn_bytes = report.torn_bytes,
            corruptions = report.corruptions.len(),
            "log replayed"
        );

        let (sender, receiver) = mpsc::channel(options.queue.max(1));
        let writer = writer::Writer {
            directory: segments,
            segment_bytes: options.segment_bytes,
            next: tail.next,
            previous: tail.previous,
            failures: 0,
            metrics,
            lock,
        };
        let spawned = writer.spawn(receiver);
        let writer = spawned.map_err(failed("start the thread that writes", directory))?;
        let wal = Self {
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
        };
        Ok((wal, report))
    }

    /// Appends payloads and returns when they are on stable storage. Waits while
    /// the queue is full.
    pub(crate) async fn append(&self, payloads: Vec<Vec<u8>>) -> Result<(), LogError> {
        let queue = self.queue.lock().clone().ok_or(LogError::Closed)?;
        let (done, result) = oneshot::channel();
        let append = writer::Append { payloads, done };
        queue.send(append).await.map_err(|_| LogError::Closed)?;
        drop(queue);
        result.await.map_err(|_| LogError::Closed)?
    }

    /// Takes no more appends, and returns once those under way are done and the
    /// lock is released. Blocks.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().take());
        // Whoever comes second waits for the lock, and so for the writer.
        let mut writer = self.writer.lock();
        if writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the log writer panicked");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}
