//! What distributors say of profiles, beside which they travel.

use bytes::Bytes;
use profile::pprof::{self, Limits, View};
use store::Digest;

/// The profile that every digest is said to be of.
fn raw() -> Vec<u8> {
    let profile = crate::targets::profiles::pprof_seeds().into_iter();
    let readable = profile.filter(|raw| digest(raw).is_some());
    readable.max_by_key(Vec::len).unwrap_or_default()
}

fn digest(raw: &[u8]) -> Option<Digest> {
    let limits = Limits::default();
    let mut view = View::default();
    view.decode(raw, limits.uncompressed_bytes).ok()?;
    view.validate(&limits).ok()?;
    view.normalise(&limits);
    (!view.is_empty()).then(|| Digest::of(&view, raw, 7))
}

/// A digest in protobuf.
pub(crate) fn check(data: &[u8]) {
    thread_local! {
        static RAW: Vec<u8> = raw();
    }
    RAW.with(|raw| {
        let Some(digest) = Digest::decode(Bytes::copy_from_slice(data), raw) else {
            return;
        };
        assert!(digest.size() <= 8 * data.len());
        let again = Digest::decode(digest.encode().into(), raw);
        assert_eq!(
            again,
            Some(digest),
            "what was taken is written and read again"
        );
    });
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let example = raw();
    let digest = digest(&example).expect("an example can be digested");
    assert!(
        pprof::claimed_bytes(&example) > 0,
        "an example is not empty"
    );
    vec![digest.encode()]
}
