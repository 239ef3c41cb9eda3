//! The thread that appends to the log.

use std::io;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::LogError;
use super::format::{self, FRAME_LEN, Header};
use super::lock::Lock;
use super::segment::{Directory, Segment};
use crate::metrics::WalMetrics;

/// Appends are gathered into one write up to this many bytes.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// Payloads to append, all or none, and where to say so.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) done: oneshot::Sender<Result<(), LogError>>,
}

impl Append {
    fn framed_len(&self) -> usize {
        self.payloads
            .iter()
            .map(|payload| FRAME_LEN + payload.len())
            .sum()
    }
}

/// Appends what comes in a queue: everything that waits is written at once and
/// synced once (group commit).
///
/// An error fails the appends of that write and costs the segment: it is cut to
/// what was acknowledged and a new one is begun by the next append, so a page
/// cache that lost a write is never trusted again.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) directory: Directory,
    pub(super) segment_bytes: u64,
    /// Number of the next segment.
    pub(super) next: u64,
    pub(super) metrics: WalMetrics,
    /// Held until the last byte is written.
    pub(super) lock: Lock,
}

impl Writer {
    pub(super) fn spawn(self, queue: mpsc::Receiver<Append>) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("wal-writer".to_owned())
            .spawn(move || self.run(queue))
    }

    fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        let mut active = None;
        while let Some(first) = queue.blocking_recv() {
            let batch = gather(first, &mut queue);
            let result = self.commit(&mut active, &batch);
            if let Err(error) = &result {
                self.metrics.append_failures.inc();
                error!(error = %error, appends = batch.len(), "log append failed");
                self.abandon(&mut active);
            }
            for append in batch {
                // A receiver that is gone does not want to know.
                let _ = append.done.send(result.clone());
            }
        }
        drop(self.lock);
    }

    fn commit(&mut self, active: &mut Option<Segment>, batch: &[Append]) -> Result<(), LogError> {
        let len: usize = batch.iter().map(Append::framed_len).sum();
        let segment = self.segment_for(active, len as u64)?;
        let mut frames = Vec::with_capacity(len);
        for payload in batch.iter().flat_map(|append| &append.payloads) {
            format::write_frame(&mut frames, segment.header.sync, payload);
        }
        segment.append(&frames)?;
        self.metrics.fsyncs.inc();
        self.metrics.bytes.inc_by(len as i64);
        Ok(())
    }

    /// Returns a segment with room for `len` more bytes; a segment is never
    /// empty, so one write may exceed the size of a segment.
    fn segment_for<'a>(
        &mut self,
        active: &'a mut Option<Segment>,
        len: u64,
    ) -> Result<&'a mut Segment, LogError> {
        let full = |segment: &Segment| {
            !segment.is_empty() && segment.durable.saturating_add(len) > self.segment_bytes
        };
        match active.take() {
            Some(segment) if !full(&segment) => Ok(active.insert(segment)),
            _ => {
                let header = Header {
                    number: self.next,
                    sync: rand::random(),
                };
                let segment = Segment::create(&self.directory, header).inspect_err(|_| {
                    // What could not be removed either is left to replay.
                    if self.directory.segment_path(header.number).exists() {
                        self.next += 1;
                    }
                })?;
                info!(segment = self.next, "log segment begun");
                self.next += 1;
                self.metrics.segments.inc();
                self.metrics.bytes.inc_by(segment.durable as i64);
                Ok(active.insert(segment))
            }
        }
    }

    fn abandon(&mut self, active: &mut Option<Segment>) {
        let Some(segment) = active.take() else { return };
        let (number, empty) = (segment.header.number, segment.is_empty());
        let repaired = match empty {
            true => self.directory.remove(number),
            false => segment.abandon(),
        };
        match repaired {
            Ok(()) if empty => {
                self.next = number;
                self.metrics.segments.dec();
                self.metrics.bytes.dec_by(format::HEADER_LEN as i64);
            }
            Ok(()) => {}
            Err(error) => {
                warn!(segment = number, error = %error, "log segment not repaired; replay will")
            }
        }
    }
}

/// Takes what waits in the queue, up to the size of a batch.
fn gather(first: Append, queue: &mut mpsc::Receiver<Append>) -> Vec<Append> {
    let mut len = first.framed_len();
    let mut batch = vec![first];
    while len < MAX_BATCH_BYTES {
        let Ok(append) = queue.try_recv() else { break };
        len += append.framed_len();
        batch.push(append);
    }
    batch
}
