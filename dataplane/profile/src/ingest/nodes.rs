//! The nodes that binary tries and trees are made of.
//!
//! Both formats are nodes depth first, each as name length, name, value and
//! number of children, numbers as unsigned varints; a node's children follow it.

use super::IngestError;

/// Reads one node after the other.
#[derive(Debug)]
pub(super) struct Nodes<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// A node without its children.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: u64,
    pub(super) children: u64,
}

impl<'b> Nodes<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of what is read next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Reads the next node.
    ///
    /// # Errors
    /// Bytes that end before the node does, or a number beyond 64 bits.
    pub(super) fn read(&mut self) -> Result<Node<'b>, IngestError> {
        let length = self.number()?;
        let rest = &self.bytes[self.at..];
        let name = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or_else(|| self.malformed("a name that is cut short"))?;
        self.at += name.len();
        Ok(Node {
            name,
            value: self.number()?,
            children: self.number()?,
        })
    }

    /// Returns the error that there is something wrong here.
    pub(super) fn malformed(&self, what: &str) -> IngestError {
        IngestError::Malformed(format!("{what} at byte {}", self.at))
    }

    fn number(&mut self) -> Result<u64, IngestError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(self.malformed("a number that is cut short"));
            };
            self.at += 1;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number that is too large"))
    }
}
