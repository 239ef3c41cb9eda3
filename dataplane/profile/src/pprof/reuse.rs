//! Views whose buffers are used again.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::View;

/// Most views that wait to be used again, and the most bytes that each may take.
const MAX_SPARE: usize = 16;
const MAX_SPARE_BYTES: usize = 1 << 20;

static SPARE: Mutex<Vec<View>> = Mutex::new(Vec::new());

/// A view that leaves its buffers to the next one: each profile needs some dozen
/// of them, which grow while it is read.
#[derive(Debug)]
pub struct ReusedView(View);

impl ReusedView {
    /// Returns a view to read a profile into.
    pub fn take() -> Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(spare.unwrap_or_default())
    }
}

impl Deref for ReusedView {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0
    }
}

impl DerefMut for ReusedView {
    fn deref_mut(&mut self) -> &mut View {
        &mut self.0
    }
}

impl Drop for ReusedView {
    fn drop(&mut self) {
        if !is_kept(&self.0) {
            return;
        }
        let view = std::mem::take(&mut self.0);
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.push(view);
        }
    }
}

/// Tells whether a view is small enough to wait for the next profile.
fn is_kept(view: &View) -> bool {
    view.capacity_bytes() <= MAX_SPARE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use crate::pprof::{Limits, encode_gzip};

    /// Each table takes eight bytes and more for one of the profile, whichever it is.
    #[test]
    fn views_that_grew_large_are_not_kept() {
        let many = || vec![1; 200_000];
        let comments = Profile {
            comment: many(),
            ..Profile::default()
        };
        let types = Profile {
            sample_type: vec![proto::google::v1::ValueType::default(); 200_000],
            ..Profile::default()
        };
        let values = Profile {
            sample: vec![proto::google::v1::Sample {
                value: many(),
                ..Default::default()
            }],
            ..Profile::default()
        };
        for (table, profile) in [("comments", comments), ("types", types), ("values", values)] {
            assert!(!is_kept(&View::of(&profile).unwrap()), "{table}");
        }
        assert!(is_kept(&View::of(&Profile::default()).unwrap()));
    }

    #[test]
    fn nothing_is_left_of_what_was_read_before() {
        let text = |text: &str| Profile {
            string_table: vec![String::new(), text.to_owned()],
            sample_type: vec![proto::google::v1::ValueType { r#type: 1, unit: 1 }],
            ..Profile::default()
        };
        let read = |profile: &Profile| {
            let mut view = ReusedView::take();
            view.decode(&encode_gzip(profile), 1 << 20).unwrap();
            view.normalise(&Limits::default());
            (view.string_count(), view.string(1).to_owned())
        };
        let (long, short) = (text(&"long".repeat(1000)), text("short"));
        for _ in 0..3 {
            assert_eq!(read(&long), (2, "long".repeat(1000)));
            assert_eq!(read(&short), (2, "short".to_owned()));
        }
        let mut view = ReusedView::take();
        view.decode(&encode_gzip(&long), 1 << 20).unwrap();
        view.decode(b"\x1f\x8bno gzip", 1 << 20).unwrap_err();
        view.decode(&encode_gzip(&short), 1 << 20).unwrap();
        assert_eq!(
            view.uncompressed_bytes(),
            crate::pprof::encode(&short).len()
        );
    }
}
