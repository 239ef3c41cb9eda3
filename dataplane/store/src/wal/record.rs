//! Payload of a log record: one pushed profile.

use profile::{LabelError, Labels};

use super::format::MAX_PAYLOAD;

const KIND_PROFILE: u8 = 1;
const KIND_PADDING: u8 = 0;

/// Returns a payload of `len` bytes that stands for nothing: a repair fills with
/// it what a crash left out of a write.
pub(crate) fn padding(len: usize) -> Vec<u8> {
    vec![KIND_PADDING; len]
}

/// Tells whether a payload stands for nothing.
pub(crate) fn is_padding(payload: &[u8]) -> bool {
    payload.first().is_none_or(|kind| *kind == KIND_PADDING)
}

/// A pushed profile as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) tenant: &'a str,
    /// Labels as pushed, without those derived from the sample types.
    pub(crate) labels: Labels,
    pub(crate) id: [u8; 16],
    /// Unix milliseconds.
    pub(crate) timestamp: i64,
    /// The pprof byte for byte as received.
    pub(crate) raw: &'a [u8],
}

/// Why a profile cannot be written to the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The tenant name is too long.
    #[error("the tenant ID has {0} bytes, the limit is {max}", max = u16::MAX)]
    Tenant(usize),
    /// There are too many labels.
    #[error("the profile has {0} labels, the limit is {max}", max = u16::MAX)]
    Labels(usize),
    /// The record as a whole is too long.
    #[error("the profile and its labels have {0} bytes, the limit is {MAX_PAYLOAD}")]
    Record(usize),
}

/// Why a payload whose checksum is right cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the record has the unknown kind {0}")]
    Kind(u8),
    #[error("the record ends within its {0}")]
    Short(&'static str),
    #[error("the {0} of the record is not UTF-8")]
    Text(&'static str),
    #[error("the labels of the record are not valid: {0}")]
    Labels(#[from] LabelError),
}

impl<'a> Record<'a> {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let tenant_len =
            u16::try_from(self.tenant.len()).map_err(|_| EncodeError::Tenant(self.tenant.len()))?;
        let label_count =
            u16::try_from(self.labels.len()).map_err(|_| EncodeError::Labels(self.labels.len()))?;
        let len = self.encoded_len();
        if len > MAX_PAYLOAD {
            return Err(EncodeError::Record(len));
        }
        let mut into = Vec::with_capacity(len);
        into.push(KIND_PROFILE);
        into.extend_from_slice(&self.id);
        into.extend_from_slice(&self.timestamp.to_le_bytes());
        into.extend_from_slice(&tenant_len.to_le_bytes());
        into.extend_from_slice(self.tenant.as_bytes());
        into.extend_from_slice(&label_count.to_le_bytes());
        for text in self.labels.iter().flat_map(|(name, value)| [name, value]) {
            let len = u32::try_from(text.len()).expect("the whole record is at most MAX_PAYLOAD");
            into.extend_from_slice(&len.to_le_bytes());
            into.extend_from_slice(text.as_bytes());
        }
        into.extend_from_slice(self.raw);
        Ok(into)
    }

    fn encoded_len(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(n, v)| 8 + n.len() + v.len()).sum();
        1 + 16 + 8 + 2 + self.tenant.len() + 2 + labels + self.raw.len()
    }

    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor(payload);
        match rest.array::<1>("kind")? {
            [KIND_PROFILE] => {}
            [kind] => return Err(DecodeError::Kind(kind)),
        }
        let id = rest.array("identity")?;
        let timestamp = i64::from_le_bytes(rest.array("timestamp")?);
        let tenant_len = u16::from_le_bytes(rest.array("tenant")?);
        let tenant = rest.text(tenant_len.into(), "tenant")?;
        let label_count = u16::from_le_bytes(rest.array("labels")?);
        let mut labels = Vec::with_capacity(label_count.into());
        for _ in 0..label_count {
            labels.push((rest.label()?, rest.label()?));
        }
        let labels = Labels::new(labels)?;
        Ok(Self {
            tenant,
            labels,
            id,
            timestamp,
            raw: rest.0,
        })
    }
}

/// Takes fields off the front of a payload.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(DecodeError::Short(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, field)?);
        Ok(array)
    }

    fn text(&mut self, len: usize, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.take(len, field)?).map_err(|_| DecodeError::Text(field))
    }

    fn label(&mut self) -> Result<&'a str, DecodeError> {
        let len = u32::from_le_bytes(self.array("labels")?);
        self.text(len as usize, "labels")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_round_trip(
            tenant in ".{0,20}",
            pairs in prop::collection::btree_map("[a-z]{1,8}", ".{1,20}", 0..6),
            id: [u8; 16],
            timestamp: i64,
            raw in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let labels = Labels::new(pairs).unwrap();
            let record = Record { tenant: &tenant, labels, id, timestamp, raw: &raw };
            let payload = record.encode().unwrap();
            prop_assert_eq!(payload.len(), record.encoded_len());
            prop_assert_eq!(Record::decode(&payload).unwrap(), record);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = bytes;
            let _ = Record::decode(&bytes);
            if let Some(kind) = bytes.first_mut() {
                *kind = KIND_PROFILE;
            }
            let _ = Record::decode(&bytes);
        }
    }

    #[test]
    fn a_tenant_that_does_not_fit_is_refused() {
        let tenant = "t".repeat(1 << 16);
        let record = Record {
            tenant: &tenant,
            labels: Labels::default(),
            id: [0; 16],
            timestamp: 0,
            raw: b"",
        };
        assert_eq!(record.encode(), Err(EncodeError::Tenant(1 << 16)));
    }
}
