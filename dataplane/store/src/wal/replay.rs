//! Reading the log back, and repairing it.

use std::fmt::Display;

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

/// Reads every segment in order, gives each intact record to `apply`, and
/// repairs what is damaged: a torn tail of the last segment is cut; a segment
/// that is damaged otherwise is put in quarantine and replaced by its intact
/// records.
pub(crate) fn replay<E: Display>(
    directory: &Directory,
    mut apply: impl FnMut(&Record<'_>) -> Result<Applied, E>,
) -> Result<ReplayReport, ReplayError> {
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
        for payload in &scan.payloads {
            let applied = Record::decode(&bytes[payload.clone()])
                .map_err(|error| error.to_string())
                .and_then(|record| apply(&record).map_err(|error| error.to_string()));
            report.records += 1;
            match applied {
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
        repair(
            directory,
            number,
            &bytes,
            scan,
            numbers.last() == Some(&number),
            &mut report,
        )?;
    }
    for corruption in &report.corruptions {
        warn!(%corruption, "log is damaged");
    }
    Ok(report)
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
