//! Reading the log back, and repairing it.

use std::fmt::Display;

use tracing::{info, warn};

use super::chain::{self, Chain, Listed};
use super::directory::{Directory, failed};
use super::disk::{Disk, DiskFile};
use super::format::{HEADER_LEN, Header, HeaderError, Link};
use super::found::Found;
use super::record::Record;
use super::{OpenError, lanes, repair};
use crate::report::{Corruption, ReplayReport};

/// What came of a record that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Its profile is now in the head.
    New,
    /// Its profile was in the head already.
    Duplicate,
}

/// Where a log goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Number of the next segment.
    pub(super) next: u64,
    /// The last segment that there is.
    pub(super) previous: Option<Link>,
    pub(super) segments: usize,
    pub(super) bytes: u64,
}

/// A record on its way to be decoded.
struct Encoded {
    segment: u64,
    at: u64,
    payload: Vec<u8>,
}

/// A record that was decoded, or why it was not.
struct Decoded<T> {
    segment: u64,
    at: u64,
    len: usize,
    result: Result<T, String>,
}

/// Reads every segment in order, decodes its intact records with as many
/// threads as there are processors, gives what they hold to `apply`, in order,
/// and repairs what is damaged: a torn tail of the last segment is cut; a
/// segment that is damaged otherwise is put in quarantine and replaced by its
/// intact records. What was applied is durable when this returns.
pub(super) fn replay<D: Disk, T: Send, E: Display>(
    directory: &Directory<D>,
    decode: impl Fn(&Record<'_>) -> Result<T, E> + Sync,
    mut apply: impl FnMut(T) -> Applied,
) -> Result<(ReplayReport, Tail), OpenError> {
    let numbers = directory.segments()?;
    let chain = chain::chain(&list(directory, &numbers)?);
    let mut report = ReplayReport {
        segments: numbers.len(),
        ..ReplayReport::default()
    };
    let counted = |decoded: Decoded<T>| {
        report.records += 1;
        match decoded.result.map(&mut apply) {
            Ok(Applied::New) => report.profiles += 1,
            Ok(Applied::Duplicate) => report.duplicates += 1,
            Err(reason) => report.corruptions.push(Corruption {
                segment: decoded.segment,
                offset: decoded.at,
                bytes: decoded.len as u64,
                reason,
                quarantined: None,
            }),
        }
    };
    let found = lanes::in_order(
        |encoded| decoded(encoded, &decode),
        counted,
        |lanes| read(directory, &chain, |record, size| lanes.submit(record, size)),
    )?;
    let mut tail = repair_all(directory, &chain, &found, &mut report)?;
    tail.next = numbers.last().map_or(1, |last| last + 1);
    for corruption in &report.corruptions {
        warn!(%corruption, "log is damaged");
    }
    Ok((report, tail))
}

/// Reads the headers of segments. A version that this program does not read
/// ends it before anything is changed.
fn list<D: Disk>(directory: &Directory<D>, numbers: &[u64]) -> Result<Vec<Listed>, OpenError> {
    let header = |&number: &u64| {
        let path = directory.segment_path(number);
        let (file, size) = directory.open(number)?;
        let mut bytes = [0; HEADER_LEN];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) => return Err(failed("read", &path)(error).into()),
            }
        }
        let header = Header::decode(&bytes[..filled], number);
        if let Err(error @ HeaderError::Version(_)) = header {
            return Err(OpenError::Version { path, error });
        }
        let torn = header.is_err() && size <= HEADER_LEN as u64;
        Ok(Listed {
            number,
            header,
            torn,
        })
    };
    numbers.iter().map(header).collect()
}

fn decoded<T, E: Display>(
    encoded: Encoded,
    decode: impl Fn(&Record<'_>) -> Result<T, E>,
) -> Decoded<T> {
    let result = Record::decode(&encoded.payload)
        .map_err(|error| error.to_string())
        .and_then(|record| decode(&record).map_err(|error| error.to_string()));
    Decoded {
        segment: encoded.segment,
        at: encoded.at,
        len: encoded.payload.len(),
        result,
    }
}

fn read<D: Disk>(
    directory: &Directory<D>,
    chain: &Chain,
    mut submit: impl FnMut(Encoded, usize),
) -> Result<Vec<Found>, OpenError> {
    let read_one = |chained: &chain::Chained| {
        let segment = chained.number;
        let (file, size) = directory.open(segment)?;
        let found = Found::read(&file, size, chained, |at, payload| {
            let payload = payload.to_vec();
            let size = payload.len();
            let record = Encoded {
                segment,
                at,
                payload,
            };
            submit(record, size);
        });
        let path = directory.segment_path(segment);
        Ok(found.map_err(failed("read", &path))?)
    };
    chain.segments.iter().map(read_one).collect()
}

fn repair_all<D: Disk>(
    directory: &Directory<D>,
    chain: &Chain,
    found: &[Found],
    report: &mut ReplayReport,
) -> Result<Tail, OpenError> {
    for link in &chain.missing {
        // One without records may have been removed.
        if link.end > HEADER_LEN as u64 {
            report.corruptions.push(Corruption {
                segment: link.number,
                offset: 0,
                bytes: link.end,
                reason: "the segment is missing".to_owned(),
                quarantined: None,
            });
        }
    }
    let mut tail = Tail::default();
    for (chained, found) in chain.segments.iter().zip(found) {
        let repaired = repair::repair(directory, chained, found, tail.previous)?;
        tail.previous = Some(repaired.link);
        tail.segments += 1;
        tail.bytes += repaired.link.end;
        report.quarantined += u64::from(repaired.quarantined.is_some());
        let torn = found.torn_bytes();
        report.torn_bytes += torn;
        if torn > 0 {
            info!(
                segment = chained.number,
                bytes = torn,
                kept = ?repaired.quarantined,
                "torn write cut from the log"
            );
        }
        let corruptions = found.corrupt.iter().map(|hurt| Corruption {
            segment: chained.number,
            offset: hurt.at,
            bytes: hurt.len,
            reason: hurt.reason.clone(),
            quarantined: repaired.quarantined.clone(),
        });
        report.corruptions.extend(corruptions);
    }
    for &stray in &chain.strays {
        repair::remove_stray(directory, stray);
    }
    Ok(tail)
}
