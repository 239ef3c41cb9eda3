//! Reading the log back, and repairing it.

use std::fmt::Display;
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use tracing::{info, warn};

use super::LogError;
use super::format::{Header, HeaderError};
use super::record::Record;
use super::scan::{self, Scan};
use super::segment::Directory;
use crate::report::{Corruption, ReplayReport};

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path}: {error}; use the version that wrote it, or a newer one", path = .path.display())]
    Version {
        path: std::path::PathBuf,
        error: HeaderError,
    },
}

/// What came of a record that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Its profile is now in the head.
    New,
    /// Its profile was in the head already.
    Duplicate,
}

/// Records that a thread decodes at a time.
const CHUNK: usize = 16;

/// Reads every segment in order, decodes its intact records with as many
/// threads as there are processors, gives what they hold to `apply`, in order,
/// and repairs what is damaged: a torn tail of the last segment is cut; a
/// segment that is damaged otherwise is put in quarantine and replaced by its
/// intact records.
pub(crate) fn replay<T: Send, E: Display>(
    directory: &Directory,
    decode: impl Fn(&Record<'_>) -> Result<T, E> + Sync,
    mut apply: impl FnMut(T) -> Applied,
) -> Result<ReplayReport, ReplayError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let numbers = directory.segments()?;
    let mut report = ReplayReport {
        segments: numbers.len(),
        ..ReplayReport::default()
    };
    report.corruptions.extend(missing(&numbers));
    for &number in &numbers {
        let bytes = directory.read(number)?;
        let path = directory.segment_path(number);
        let scan =
            scan::scan(&bytes, number).map_err(|error| ReplayError::Version { path, error })?;
        for payloads in scan.payloads.chunks(CHUNK * threads) {
            let records = decoded(&bytes, payloads, &decode);
            for (payload, record) in payloads.iter().zip(records) {
                report.records += 1;
                match record.map(&mut apply) {
                    Ok(Applied::New) => report.profiles += 1,
                    Ok(Applied::Duplicate) => report.duplicates += 1,
                    Err(reason) => report.corruptions.push(Corruption {
                        segment: number,
                        offset: payload.start as u64,
                        bytes: payload.len() as u64,
                        reason,
                        quarantined: None,
                    }),
                }
            }
        }
        let last = numbers.last() == Some(&number);
        repair(directory, number, &bytes, scan, last, &mut report)?;
    }
    for corruption in &report.corruptions {
        warn!(%corruption, "log is damaged");
    }
    Ok(report)
}

/// Decodes records, each chunk by a thread of its own.
fn decoded<T: Send, E: Display>(
    bytes: &[u8],
    payloads: &[Range<usize>],
    decode: &(impl Fn(&Record<'_>) -> Result<T, E> + Sync),
) -> Vec<Result<T, String>> {
    let one = |payload: &Range<usize>| {
        let record = Record::decode(&bytes[payload.clone()]).map_err(|error| error.to_string())?;
        decode(&record).map_err(|error| error.to_string())
    };
    let one = &one;
    thread::scope(|scope| {
        let chunks = payloads.chunks(CHUNK);
        let threads: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || chunk.iter().map(one).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Segments are only ever removed from the front, so a gap is a loss.
fn missing(numbers: &[u64]) -> impl Iterator<Item = Corruption> {
    let gaps = numbers.windows(2).filter(|pair| pair[1] - pair[0] > 1);
    gaps.map(|pair| Corruption {
        segment: pair[0] + 1,
        offset: 0,
        bytes: 0,
        reason: format!(
            "{} segments from here on are missing",
            pair[1] - pair[0] - 1
        ),
        quarantined: None,
    })
}

fn repair(
    directory: &Directory,
    number: u64,
    bytes: &[u8],
    scan: Scan,
    last: bool,
    report: &mut ReplayReport,
) -> Result<(), LogError> {
    let mut damages = scan.damages;
    let mut cut = false;
    match scan.tail {
        Some(tail) if tail.torn && last => {
            report.torn_bytes += tail.damage.len as u64;
            info!(
                segment = number,
                bytes = tail.damage.len,
                "torn write cut from the log"
            );
            cut = true;
        }
        Some(tail) => damages.push(tail.damage),
        None => {}
    }
    if damages.is_empty() {
        return match (cut, scan.end) {
            (false, _) => Ok(()),
            (true, 0) => directory.remove(number),
            (true, end) => directory.truncate(number, end as u64),
        };
    }
    let header = Header {
        number,
        sync: rand::random(),
    };
    let intact = scan.payloads.iter().map(|payload| &bytes[payload.clone()]);
    // Without space for the repair the log is still good to read, and to append
    // to: appends begin a segment of their own.
    let kept = directory.replace(header, intact);
    if let Err(error) = &kept {
        warn!(segment = number, error = %error, "damaged log segment not repaired; the next start will try");
    }
    let kept = kept.ok();
    report
        .corruptions
        .extend(damages.into_iter().map(|damage| Corruption {
            segment: number,
            offset: damage.at as u64,
            bytes: damage.len as u64,
            reason: damage.reason,
            quarantined: kept.clone(),
        }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::format;
    use super::super::segment::Segment;
    use super::*;
    use profile::Labels;

    #[test]
    fn records_are_applied_in_order_and_those_not_understood_reported() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(temp.path().join("wal")).unwrap();
        let header = Header {
            number: 1,
            sync: 42,
        };
        let mut segment = Segment::create(&directory, header).unwrap();
        let mut frames = Vec::new();
        for n in 0..500_u64 {
            let record = Record {
                tenant: "t",
                labels: Labels::default(),
                id: [0; 16],
                timestamp: 0,
                raw: &n.to_le_bytes(),
            };
            format::write_frame(&mut frames, header.sync, &record.encode().unwrap());
        }
        format::write_frame(&mut frames, header.sync, b"\xffno kind");
        segment.append(&frames).unwrap();

        let decode = |record: &Record<'_>| match record.raw {
            [7, ..] => Err("seven"),
            raw => Ok(u64::from_le_bytes(raw.try_into().unwrap())),
        };
        for _ in 0..2 {
            let mut applied = Vec::new();
            let report = replay(&directory, decode, |n| {
                applied.push(n);
                Applied::New
            });
            let report = report.unwrap();
            let expected: Vec<u64> = (0..500).filter(|n| n % 256 != 7).collect();
            assert_eq!(applied, expected);
            assert_eq!((report.records, report.profiles), (501, 498));
            let reasons: Vec<&str> = report
                .corruptions
                .iter()
                .map(|found| found.reason.as_str())
                .collect();
            assert_eq!(
                reasons,
                ["seven", "seven", "the record has the unknown kind 255"]
            );
            assert!(
                report
                    .corruptions
                    .iter()
                    .all(|found| found.quarantined.is_none())
            );
        }
    }
}
