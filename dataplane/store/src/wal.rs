//! The write-ahead log: `docs/wire/wal.md` has its bytes.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::WalMetrics;

mod format;
mod lock;
mod record;
mod replay;
mod scan;
mod segment;
mod writer;

pub(crate) use lock::{Lock, LockError};
pub use record::EncodeError;
pub(crate) use record::Record;
pub(crate) use replay::{Applied, ReplayError, replay};
pub(crate) use segment::Directory;

/// Why an append failed. Nothing of it was acknowledged; the log has repaired
/// itself or will with the next append, so the same append may be retried.
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
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct Wal {
    queue: Mutex<Option<mpsc::Sender<writer::Append>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Wal {
    /// Starts to append behind the segments that the directory has. The lock is
    /// held until the log is closed.
    pub(crate) fn start(
        directory: Directory,
        segment_bytes: u64,
        queue: usize,
        lock: Lock,
        metrics: WalMetrics,
    ) -> Result<Self, LogError> {
        let numbers = directory.segments()?;
        for &number in &numbers {
            let path = directory.segment_path(number);
            let inspected = fs::metadata(&path).map_err(segment::failed("inspect", &path))?;
            metrics.bytes.inc_by(inspected.len() as i64);
        }
        metrics.segments.set(numbers.len() as i64);
        let next = numbers.last().map_or(1, |last| last + 1);
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let writer = writer::Writer {
            directory,
            segment_bytes,
            next,
            metrics,
            lock,
        };
        let writer = writer.spawn(receiver).map_err(|source| LogError::Io {
            action: "start the thread that writes",
            path: PathBuf::from("wal"),
            source: Arc::new(source),
        })?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
        })
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
