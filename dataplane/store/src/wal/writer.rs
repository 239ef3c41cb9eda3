//! The thread that appends to the log.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::LogError;
use super::directory::Directory;
use super::disk::Disk;
use super::format::{self, FRAME_LEN, HEADER_LEN, Header, Link};
use super::segment::Segment;
use crate::metrics::WalMetrics;

/// Appends are gathered into one write up to this many bytes.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How long the first of several appends waits for the others. A write and its
/// sync cost as much processor time as reading several profiles, and nobody who
/// pushes notices two milliseconds.
const GATHER: Duration = Duration::from_millis(2);

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
/// synced once (group commit). While appends have company the next ones are
/// waited for; one that comes alone is not kept waiting.
///
/// An error fails the appends of that write and costs the segment: the next
/// append begins a new one, whose header says up to where the old one counts.
/// So a page cache that lost a write is never trusted again.
#[derive(Debug)]
pub(super) struct Writer<D: Disk> {
    pub(super) directory: Directory<D>,
    pub(super) segment_bytes: u64,
    /// Number of the next segment.
    pub(super) next: u64,
    /// The last segment with records that is not appended to any more.
    pub(super) previous: Option<Link>,
    /// Writes that failed since one succeeded.
    pub(super) failures: u64,
    pub(super) metrics: WalMetrics,
    /// Held until the last byte is written.
    pub(super) lock: D::Lock,
}

impl<D: Disk> Writer<D> {
    pub(super) fn spawn(self, queue: mpsc::Receiver<Append>) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("wal-writer".to_owned())
            .spawn(move || self.run(queue))
    }

    fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        let mut active = None;
        let mut frames = Vec::new();
        let mut batch = Vec::new();
        let mut has_company = false;
        while let Some(first) = queue.blocking_recv() {
            if has_company {
                thread::sleep(GATHER);
            }
            gather(first, &mut batch, &mut queue);
            let result = self.commit(&mut active, &batch, &mut frames);
            match &result {
                Ok(()) => self.works(),
                Err(error) => {
                    self.fails(error);
                    self.abandon(&mut active);
                }
            }
            has_company = batch.len() > 1 || !queue.is_empty();
            for append in batch.drain(..) {
                // A receiver that is gone does not want to know.
                let _ = append.done.send(result.clone());
            }
            frames.shrink_to(MAX_BATCH_BYTES);
        }
        self.finish(active, &mut frames);
        drop(self.lock);
    }

    fn commit(
        &mut self,
        active: &mut Option<Segment<D::File>>,
        batch: &[Append],
        frames: &mut Vec<u8>,
    ) -> Result<(), LogError> {
        let len: usize = batch.iter().map(Append::framed_len).sum();
        if u32::try_from(len).is_err() {
            return Err(LogError::TooLong(len));
        }
        let most = self.segment_bytes;
        let segment = self.segment_for(active, len as u64)?;
        frames.clear();
        frames.reserve(len);
        for payload in batch.iter().flat_map(|append| &append.payloads) {
            let back = frames.len() as u32;
            format::write_frame(frames, segment.header.sync, back, payload);
        }
        segment.append(frames, most)?;
        self.metrics.fsyncs.inc();
        self.metrics.bytes.inc_by(len as i64);
        Ok(())
    }

    /// Returns a segment with room for `len` more bytes; a segment is never
    /// empty, so one write may exceed the size of a segment.
    fn segment_for<'a>(
        &mut self,
        active: &'a mut Option<Segment<D::File>>,
        len: u64,
    ) -> Result<&'a mut Segment<D::File>, LogError> {
        let full = |segment: &Segment<D::File>| {
            !segment.is_empty() && segment.durable.saturating_add(len) > self.segment_bytes
        };
        match active.take() {
            Some(segment) if !full(&segment) => return Ok(active.insert(segment)),
            Some(segment) => self.leave(&segment),
            None => {}
        }
        let header = Header {
            number: self.next,
            sync: rand::random(),
            previous: self.previous,
            repaired_from: 0,
        };
        self.next += 1;
        let segment = Segment::create(&self.directory, header)?;
        info!(segment = header.number, "log segment begun");
        self.metrics.segments.inc();
        self.metrics.bytes.inc_by(segment.durable as i64);
        Ok(active.insert(segment))
    }

    /// A disk that is full fails every write: the first says so, the others count.
    fn fails(&mut self, error: &LogError) {
        self.metrics.append_failures.inc();
        self.failures += 1;
        if self.failures == 1 {
            error!(error = %error, "log append failed");
        }
    }

    fn works(&mut self) {
        if self.failures > 0 {
            info!(failures = self.failures, "log appends succeed again");
            self.failures = 0;
        }
    }

    /// Stops to append to a segment that has records.
    fn leave(&mut self, segment: &Segment<D::File>) {
        self.previous = Some(segment.link());
        if let Err(error) = segment.cut() {
            warn!(segment = segment.header.number, error = %error, "log segment keeps space that it does not use");
        }
    }

    /// Stops to append to a segment after an append to it failed.
    fn abandon(&mut self, active: &mut Option<Segment<D::File>>) {
        let Some(segment) = active.take() else { return };
        if !segment.is_empty() {
            return self.leave(&segment);
        }
        let number = segment.header.number;
        self.metrics.segments.dec();
        self.metrics.bytes.dec_by(HEADER_LEN as i64);
        if let Err(error) = self.directory.remove(number) {
            warn!(segment = number, error = %error, "empty log segment not removed; the next start will");
        }
    }

    /// Says in the log that all of it was synced, so that the next start need
    /// not take damage at its end for a write that was interrupted.
    fn finish(&mut self, active: Option<Segment<D::File>>, frames: &mut Vec<u8>) {
        let Some(mut segment) = active else { return };
        frames.clear();
        format::write_frame(frames, segment.header.sync, 0, &[]);
        let ended = segment.append(frames, 0).and_then(|()| segment.cut());
        if let Err(error) = ended {
            warn!(segment = segment.header.number, error = %error, "end of the log not marked");
        }
    }
}

/// Takes what waits in the queue into a batch, up to its size.
fn gather(first: Append, batch: &mut Vec<Append>, queue: &mut mpsc::Receiver<Append>) {
    let mut len = first.framed_len();
    batch.push(first);
    while len < MAX_BATCH_BYTES {
        let Ok(append) = queue.try_recv() else { break };
        len += append.framed_len();
        batch.push(append);
    }
}
