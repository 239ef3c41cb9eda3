//! What an ingester refuses of a push for good, on its way to the distributor;
//! pure.

use proto::rejection::v1;
use store::{PushError, RejectReason};
use tonic::{Code, Status};

use crate::rpc::{detail, status_with};

/// Most reasons that are told apart; pushes of a distributor have one or two.
const MAX_REASONS: usize = 32;

/// Answers a push that was not stored whole with the status that makes the caller
/// do the right thing: retry, slow down, or give up. It lists what is refused for
/// good, if that is all that is not stored. `series` tells the position of a
/// profile's series in the request.
pub(crate) fn answer(error: &PushError, series: impl Fn(usize) -> usize) -> Status {
    let text = error.to_string();
    if error.is_retryable() {
        return Status::unavailable(text);
    }
    let is_limited = error
        .rejected
        .iter()
        .any(|rejected| code(&rejected.reason) == Code::ResourceExhausted);
    let code = match is_limited {
        true => Code::ResourceExhausted,
        false => Code::InvalidArgument,
    };
    match list(error, series) {
        Some(refusals) => status_with(code, text, &refusals),
        None => Status::new(code, text),
    }
}

/// Returns the refused series of a push by their positions, each with what it alone
/// would be answered with; nothing when the error does not list them: then any may
/// be refused.
pub(crate) fn listed(status: &Status) -> Option<Vec<(usize, Status)>> {
    let refusals = detail::<v1::Refusals>(status)?.refusals;
    let listed = refusals.iter().flat_map(|refusal| {
        let status = Status::new(Code::from_i32(refusal.code), refusal.message.as_str());
        positions(&refusal.series).map(move |position| (position, status.clone()))
    });
    let listed: Vec<_> = listed.collect();
    (!listed.is_empty()).then_some(listed)
}

fn list(error: &PushError, series: impl Fn(usize) -> usize) -> Option<v1::Refusals> {
    let mut reasons: Vec<(Code, String, Vec<u8>)> = Vec::new();
    for rejected in &error.rejected {
        let (code, message) = (code(&rejected.reason), rejected.reason.to_string());
        let known = reasons
            .iter()
            .position(|(known, text, _)| *known == code && *text == message);
        let at = known.unwrap_or(reasons.len());
        if at == MAX_REASONS {
            return None;
        }
        if known.is_none() {
            reasons.push((code, message, Vec::new()));
        }
        set(&mut reasons[at].2, series(rejected.index));
    }
    let refusals = reasons.into_iter().map(|(code, message, series)| {
        let code = code as i32;
        v1::Refusal {
            series: series.into(),
            code,
            message,
        }
    });
    Some(v1::Refusals {
        refusals: refusals.collect(),
    })
}

fn code(reason: &RejectReason) -> Code {
    match reason {
        RejectReason::SeriesLimit { .. } => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    }
}

fn set(bits: &mut Vec<u8>, position: usize) {
    if bits.len() <= position / 8 {
        bits.resize(position / 8 + 1, 0);
    }
    bits[position / 8] |= 1 << (position % 8);
}

fn positions(bits: &[u8]) -> impl Iterator<Item = usize> {
    let of_byte = |(at, byte): (usize, &u8)| {
        let byte = *byte;
        (0..8)
            .filter(move |bit| byte >> bit & 1 == 1)
            .map(move |bit| 8 * at + bit)
    };
    bits.iter().enumerate().flat_map(of_byte)
}

#[cfg(test)]
mod tests {
    use profile::{Labels, PprofError};
    use store::Rejected;

    use super::*;

    fn error(reasons: impl IntoIterator<Item = (usize, RejectReason)>) -> PushError {
        let rejected = reasons.into_iter().map(|(index, reason)| Rejected {
            index,
            labels: Labels::default(),
            reason,
        });
        PushError {
            rejected: rejected.collect(),
            stored: 1,
        }
    }

    fn limit(index: usize) -> (usize, RejectReason) {
        let (active, limit) = (2, 2);
        (index, RejectReason::SeriesLimit { active, limit })
    }

    #[test]
    fn what_is_refused_is_listed_by_its_position() {
        let empty = (9, RejectReason::Invalid(PprofError::Empty));
        let status = answer(&error([limit(0), limit(7), limit(8), empty]), |at| 2 * at);
        assert_eq!(status.code(), Code::ResourceExhausted);
        let mut listed = listed(&status).unwrap();
        listed.sort_by_key(|(position, _)| *position);
        let told: Vec<_> = listed
            .iter()
            .map(|(position, status)| (*position, status.code()))
            .collect();
        let (limit, bad) = (Code::ResourceExhausted, Code::InvalidArgument);
        assert_eq!(told, [(0, limit), (14, limit), (16, limit), (18, bad)]);
        assert!(listed[0].1.message().starts_with("Maximum active series"));
    }

    #[test]
    fn what_may_be_stored_later_is_not_refused() {
        let status = answer(&error([limit(0), (1, RejectReason::Closed)]), |at| at);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(listed(&status).is_none());
    }

    #[test]
    fn thousands_fit_into_a_header() {
        let status = answer(&error((0..16_000).map(limit)), |at| at);
        assert!(status.details().len() < 2600, "{}", status.details().len());
        assert_eq!(listed(&status).unwrap().len(), 16_000);
    }

    #[test]
    fn too_many_reasons_are_not_listed() {
        let reasons = (0..=MAX_REASONS).map(|active| {
            let limit = 2;
            (active, RejectReason::SeriesLimit { active, limit })
        });
        let status = answer(&error(reasons), |at| at);
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(listed(&status).is_none());
        assert!(listed(&Status::resource_exhausted("of another make")).is_none());
    }
}
