//! How much a file may make its reader hold.

/// Bounds of what is read from one column chunk. What this program writes is within
/// those of [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the pages before compression, and of a file that is read whole.
    pub bytes: usize,
    /// Values, and as many levels, whatever they are compressed to.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            values: 1 << 26,
        }
    }
}

impl Limits {
    /// Returns what is left; `None` if it is not enough.
    pub(crate) fn less(self, bytes: usize, values: usize) -> Option<Self> {
        Some(Self {
            bytes: self.bytes.checked_sub(bytes)?,
            values: self.values.checked_sub(values)?,
        })
    }
}
