//! What a view does, for profiles that are owned.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "this is test code, which clippy cannot tell"
)]

use pyroscope_profile::pprof::{Limits, View};
use pyroscope_profile::{Labels, PprofError, Profile};

pub(crate) fn validate(profile: &Profile, limits: &Limits) -> Result<(), PprofError> {
    View::of(profile).unwrap().validate(limits)
}

pub(crate) fn normalise(profile: &mut Profile, limits: &Limits) {
    let mut view = View::of(profile).unwrap();
    view.normalise(limits);
    *profile = view.to_profile();
}

/// Normalises and splits.
pub(crate) fn split(profile: &Profile, labels: &Labels) -> Vec<(Labels, Profile)> {
    let mut view = View::of(profile).unwrap();
    view.normalise(&Limits::default());
    view.split_by_sample_labels(labels)
}
