//! The label header: `F4 | length u8 | label`, before everything else.

use crate::config::Dialect;
use crate::error::WireError;
use crate::message::kind;

/// The label of this cluster and which others are accepted.
#[derive(Debug, Clone)]
pub(crate) struct LabelPolicy {
    pub(crate) label: String,
    pub(crate) verify: bool,
    pub(crate) dialect: Dialect,
}

impl LabelPolicy {
    /// Removes the header from `bytes` and checks the label in it.
    pub(crate) fn strip<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], WireError> {
        let (label, rest) = split(bytes)?;
        let expected = match (self.verify, self.dialect) {
            (true, _) => self.label.as_str(),
            (false, Dialect::Dskit) => return Ok(rest),
            // There, unverified means that somebody else took the label off: one that is left is a second one.
            (false, Dialect::Classic) => "",
        };
        if label != expected.as_bytes() {
            return Err(WireError::LabelMismatch {
                found: String::from_utf8_lossy(label).into_owned(),
                expected: expected.to_owned(),
            });
        }
        Ok(rest)
    }
}

/// Returns the header to put before outgoing bytes; empty without a label.
pub(crate) fn header(label: &str) -> Vec<u8> {
    if label.is_empty() {
        return Vec::new();
    }
    let len = u8::try_from(label.len()).expect("config allows labels of up to 255 bytes");
    [&[kind::HAS_LABEL, len], label.as_bytes()].concat()
}

/// Splits the label off packets and streams; it is empty if there is no header.
///
/// # Errors
/// If the header is cut short or announces an empty label.
pub fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let Some(header) = bytes.strip_prefix(&[kind::HAS_LABEL]) else {
        return Ok((&[], bytes));
    };
    let truncated = WireError::Truncated {
        what: "label header",
    };
    match header.split_first() {
        None => Err(truncated),
        Some((0, _)) => Err(WireError::Malformed {
            what: "label header",
            reason: "empty label",
        }),
        Some((&len, rest)) => rest.split_at_checked(usize::from(len)).ok_or(truncated),
    }
}
