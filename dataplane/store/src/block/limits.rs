//! How much a file may make its reader hold.

use std::sync::Arc;

use parking_lot::Mutex;

/// Bounds of what is read from a file at once. What this program writes is within
/// those of [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, as they are in the file and before they were compressed.
    pub bytes: usize,
    /// Values, and as many levels, whatever they were compressed to; and rows of a
    /// file.
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

/// What may be read yet of column chunks that are held together.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limits: Limits,
    left: Arc<Mutex<Limits>>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            left: Arc::new(Mutex::new(limits)),
        }
    }

    /// What there was at first.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Spends some; `None` if there is not enough.
    pub(crate) fn spend(&self, bytes: usize, values: usize) -> Option<()> {
        let mut left = self.left.lock();
        *left = Limits {
            bytes: left.bytes.checked_sub(bytes)?,
            values: left.values.checked_sub(values)?,
        };
        Some(())
    }
}
