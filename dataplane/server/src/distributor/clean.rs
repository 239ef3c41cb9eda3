//! The labels of pushed series before rules and limits apply to them; pure.

use profile::{
    LabelError, Labels,
    labels::{SERVICE_NAME, SESSION_ID},
};
use proto::types::v1::LabelPair;

use crate::overrides::Limits;

const UNKNOWN_SERVICE: &str = "unknown_service";

/// Length of a session ID: eight bytes in hexadecimal.
const SESSION_ID_CHARS: usize = 16;

/// Labels that are longer, in bytes, are checked before anything is made of them.
const MAX_UNCHECKED_BYTES: usize = 128 << 10;

/// Reads the labels of a series and completes them. Limits apply to what rules
/// make of them, so they are checked then, unless the labels are absurd.
///
/// # Errors
///
/// A name that is empty or occurs twice; a limit that absurd labels break.
pub(super) fn series_labels(pairs: Vec<LabelPair>, limits: &Limits) -> Result<Labels, LabelError> {
    let bytes: usize = pairs
        .iter()
        .map(|pair| pair.name.len() + pair.value.len())
        .sum();
    let labels = Labels::from_proto(pairs)?;
    if bytes > MAX_UNCHECKED_BYTES {
        limits.labels.check(&labels)?;
    }
    Ok(complete(labels, limits))
}

/// Adds the service name where it is missing, and leaves of the session ID what
/// the limits allow.
pub(super) fn complete(labels: Labels, limits: &Limits) -> Labels {
    let labels = limit_sessions(labels, limits.max_sessions_per_series);
    if labels.contains(SERVICE_NAME) {
        labels
    } else {
        labels.with(SERVICE_NAME, UNKNOWN_SERVICE)
    }
}

/// Maps the session to one of `max`, so that a series has no more of them; 0
/// means none.
fn limit_sessions(labels: Labels, max: u64) -> Labels {
    let Some(session) = labels.get(SESSION_ID) else {
        return labels;
    };
    let limited = parse_session(session)
        .and_then(|session| session.checked_rem(max))
        .map(format_session);
    labels.with(SESSION_ID, limited.as_deref().unwrap_or_default())
}

fn parse_session(text: &str) -> Option<u64> {
    let hexadecimal = text.len() == SESSION_ID_CHARS && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = hexadecimal.then(|| u64::from_str_radix(text, 16).ok())??;
    Some(number.swap_bytes())
}

/// Writes a session as clients do, the lowest byte first.
fn format_session(session: u64) -> String {
    format!("{:016x}", session.swap_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(session: &str, max: u64) -> Option<String> {
        let labels = Labels::new([(SESSION_ID, session), ("a", "b")]).unwrap();
        let limited = limit_sessions(labels, max);
        assert_eq!(limited.get("a"), Some("b"));
        limited.get(SESSION_ID).map(str::to_owned)
    }

    #[test]
    fn sessions_are_mapped_to_as_many_as_are_allowed() {
        assert_eq!(
            sessions("0400000000000000", 3).as_deref(),
            Some("0100000000000000")
        );
        assert_eq!(
            sessions("0400000000000000", 1).as_deref(),
            Some("0000000000000000")
        );
        assert_eq!(sessions("0400000000000000", 0), None);
        assert_eq!(sessions("four", 3), None);
        assert_eq!(sessions("+400000000000000", 3), None);
    }

    #[test]
    fn absurd_labels_are_refused_before_they_are_repeated() {
        let limits = Limits::default();
        let pair = |value: String| LabelPair {
            name: "env".to_owned(),
            value,
        };
        let long = "x".repeat(MAX_UNCHECKED_BYTES);
        assert!(series_labels(vec![pair(long)], &limits).is_err());
        let labels = series_labels(vec![pair("x".repeat(5000))], &limits);
        assert!(labels.is_ok(), "rules may shorten or drop it yet");
    }

    #[test]
    fn a_service_without_a_name_gets_one() {
        let limits = Limits::default();
        let service = |pairs: &[(&str, &str)]| {
            let labels = Labels::new(pairs.iter().copied()).unwrap();
            complete(labels, &limits)
                .get(SERVICE_NAME)
                .map(str::to_owned)
        };
        assert_eq!(service(&[]).as_deref(), Some("unknown_service"));
        assert_eq!(service(&[(SERVICE_NAME, "a")]).as_deref(), Some("a"));
    }
}
