//! Which of the segments in a directory are the log.

use super::format::{Header, HeaderError, Link};

/// A segment file in the directory.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) number: u64,
    pub(crate) header: Result<Header, HeaderError>,
    /// The file is what an interrupted creation leaves, so it never had a
    /// record.
    pub(crate) torn: bool,
}

/// The segments of the log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) segments: Vec<Chained>,
    /// Files in which nothing was acknowledged: of appends that failed.
    pub(crate) strays: Vec<u64>,
    /// Segments that their successors name and that are not there, while older
    /// ones are.
    pub(crate) missing: Vec<Link>,
}

/// A segment of the log.
#[derive(Clone, Debug)]
pub(crate) struct Chained {
    pub(crate) number: u64,
    pub(crate) header: Result<Header, HeaderError>,
    pub(crate) end: End,
}

/// What is known of where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is the last one: the log ends where its records do.
    Open,
    /// Its successor says so.
    Claimed(Link),
    /// Its successor is lost or damaged: it ends with the file.
    Unknown,
}

/// Follows the links from the last segment back.
///
/// Old segments are removed from the front, so a link that leads before all
/// that is there is no loss.
pub(crate) fn chain(listed: &[Listed]) -> Chain {
    let mut chain = Chain::default();
    let mut rest = listed;
    let mut end = End::Open;
    while let Some((segment, older)) = rest.split_last() {
        rest = older;
        if segment.torn && !matches!(end, End::Claimed(_)) {
            chain.strays.push(segment.number);
            continue;
        }
        chain.segments.push(Chained {
            number: segment.number,
            header: segment.header.clone(),
            end,
        });
        let Ok(header) = &segment.header else {
            end = End::Unknown;
            continue;
        };
        let before = header.previous.map_or(0, |link| link.number);
        while let Some((stray, older)) = rest.split_last()
            && stray.number > before
        {
            chain.strays.push(stray.number);
            rest = older;
        }
        let (Some(link), Some(next)) = (header.previous, rest.last()) else {
            break;
        };
        end = match next.number == link.number {
            true => End::Claimed(link),
            false => {
                chain.missing.push(link);
                End::Unknown
            }
        };
    }
    chain.segments.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(number: u64) -> Link {
        Link {
            number,
            sync: 0,
            end: 100,
        }
    }

    fn listed(number: u64, previous: u64) -> Listed {
        let header = Header {
            number,
            sync: 0,
            previous: (previous != 0).then(|| link(previous)),
            repaired_from: 0,
        };
        Listed {
            number,
            header: Ok(header),
            torn: false,
        }
    }

    fn unreadable(number: u64, torn: bool) -> Listed {
        Listed {
            number,
            header: Err(HeaderError::Damaged),
            torn,
        }
    }

    type Found = (Vec<(u64, End)>, Vec<u64>, Vec<u64>);

    fn found(segments: &[Listed]) -> Found {
        let chain = chain(segments);
        let ends = chain.segments.iter().map(|s| (s.number, s.end));
        let missing = chain.missing.iter().map(|link| link.number);
        (ends.collect(), chain.strays, missing.collect())
    }

    #[test]
    fn links_tell_where_segments_end_and_which_are_strays() {
        use End::{Claimed, Open, Unknown};
        assert_eq!(found(&[]), (vec![], vec![], vec![]));
        assert_eq!(
            found(&[listed(1, 0), listed(2, 1), listed(5, 2)]),
            (
                vec![(1, Claimed(link(1))), (2, Claimed(link(2))), (5, Open)],
                vec![],
                vec![]
            )
        );
        // Appends to 2 and 3 failed; the creation of 5 was interrupted.
        assert_eq!(
            found(&[
                listed(1, 0),
                listed(2, 1),
                unreadable(3, true),
                listed(4, 1),
                unreadable(5, true)
            ]),
            (
                vec![(1, Claimed(link(1))), (4, Open)],
                vec![5, 3, 2],
                vec![]
            )
        );
        // The front was removed.
        assert_eq!(
            found(&[listed(7, 6), listed(8, 7)]),
            (vec![(7, Claimed(link(7))), (8, Open)], vec![], vec![])
        );
        // 2 is missing.
        assert_eq!(
            found(&[listed(1, 0), listed(3, 2)]),
            (vec![(1, Unknown), (3, Open)], vec![], vec![2])
        );
        // The header of 2 is damaged.
        assert_eq!(
            found(&[listed(1, 0), unreadable(2, false), listed(3, 2)]),
            (
                vec![(1, Unknown), (2, Claimed(link(2))), (3, Open)],
                vec![],
                vec![]
            )
        );
        // What was acknowledged in 2 is gone, which is no torn creation.
        assert_eq!(
            found(&[listed(1, 0), unreadable(2, true), listed(3, 2)]).0[1],
            (2, Claimed(link(2)))
        );
        // The very first attempt failed.
        assert_eq!(
            found(&[listed(1, 0), listed(2, 0)]),
            (vec![(2, Open)], vec![1], vec![])
        );
    }
}
