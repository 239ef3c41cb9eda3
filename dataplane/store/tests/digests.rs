//! Profiles that somebody else has read.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::sync::Arc;

use bytes::Bytes;
use fixture::{CPU, Opened, Stack, TENANT, cases, incoming, merge, open, pprof, push, request};
use profile::pprof::{Limits, View};
use proptest::prelude::*;
use proto::reader::v1::MergeFormat;
use pyroscope_store::{Digest, IncomingProfile};

const DIGESTED: &str = "pyroscope_head_digested_profiles_total";

fn digest(raw: &[u8], key: u64) -> Digest {
    let mut view = View::default();
    view.decode(raw, 1 << 20).unwrap();
    view.normalise(&Limits::default());
    Digest::of(&view, raw, key)
}

/// A profile as a distributor sends it.
fn sent(n: u64, stacks: &[Stack<'_>], key: u64) -> IncomingProfile {
    let incoming = incoming("app", n, &pprof(1000 + n as i64, stacks));
    let encoded = digest(&incoming.raw, key).encode();
    let digest = Digest::decode(encoded.into(), &incoming.raw).unwrap();
    IncomingProfile {
        digest: Some(Arc::new(digest)),
        ..incoming
    }
}

fn tree(opened: &Opened) -> Bytes {
    let all = request(CPU, "{}");
    merge(&opened.database, TENANT, all, MergeFormat::Tree)
}

const FIRST: [Stack<'_>; 2] = [(&["main", "a"], [1, 10]), (&["main", "b"], [2, 20])];
const SAME_STACKS: [Stack<'_>; 2] = [(&["main", "b"], [3, 30]), (&["main", "a"], [4, 40])];
const ANOTHER: [Stack<'_>; 2] = [(&["main", "a"], [5, 50]), (&["main", "c"], [6, 60])];

/// Pushes profiles under a key, and says how many were not read.
async fn push_under(opened: &Opened, key: u64, profiles: &[(u64, &[Stack<'_>])]) -> f64 {
    let before = opened.metric(DIGESTED);
    for (n, stacks) in profiles {
        push(&opened.database, vec![sent(*n, stacks, key)])
            .await
            .unwrap();
    }
    opened.metric(DIGESTED) - before
}

#[tokio::test]
async fn a_profile_of_known_stacks_is_not_read_and_counts_like_any_other() {
    let (temp, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (opened, read) = (open(temp.path()), open(plain.path()));
    let key = opened.database.digest_key().get();
    let profiles: [(u64, &[Stack<'_>]); 4] =
        [(1, &FIRST), (2, &SAME_STACKS), (3, &ANOTHER), (4, &FIRST)];
    assert_eq!(push_under(&opened, key, &profiles).await, 2.0);
    for (n, stacks) in profiles {
        let profile = incoming("app", n, &pprof(1000 + n as i64, stacks));
        push(&read.database, vec![profile]).await.unwrap();
    }
    assert_eq!(opened.ids(), read.ids());
    assert_eq!(tree(&opened), tree(&read));
    let bytes = opened.database.head_bytes();
    assert_eq!(bytes, read.database.head_bytes());
    opened.database.shutdown().await;
    let again = open(temp.path());
    assert_eq!(tree(&again), tree(&read));
    assert_eq!(again.database.head_bytes(), bytes);
}

#[tokio::test]
async fn what_is_hashed_under_another_key_is_read_until_the_keys_agree() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let own = opened.database.digest_key().get();
    let profiles: [(u64, &[Stack<'_>]); 2] = [(1, &FIRST), (2, &FIRST)];
    assert_eq!(push_under(&opened, own / 2, &profiles).await, 0.0);
    opened.database.digest_key().agree(own / 2);
    // The first is read once more: its hashes are new.
    let profiles: [(u64, &[Stack<'_>]); 3] = [(3, &FIRST), (4, &FIRST), (5, &SAME_STACKS)];
    assert_eq!(push_under(&opened, own / 2, &profiles).await, 2.0);
    assert_eq!(push_under(&opened, own, &[(6, &FIRST)]).await, 0.0);
    opened.database.digest_key().agree(own);
    opened.database.digest_key().agree(0);
    assert_eq!(opened.database.digest_key().get(), own / 2);
    let plain = tempfile::tempdir().unwrap();
    let read = open(plain.path());
    for n in [1, 2, 3, 4, 6] {
        let profile = incoming("app", n, &pprof(1000 + n as i64, &FIRST));
        push(&read.database, vec![profile]).await.unwrap();
    }
    let profile = incoming("app", 5, &pprof(1005, &SAME_STACKS));
    push(&read.database, vec![profile]).await.unwrap();
    assert_eq!(opened.ids(), read.ids());
    assert_eq!(tree(&opened), tree(&read));
    // No stack is stored, or charged for, twice.
    assert_eq!(opened.database.head_bytes(), read.database.head_bytes());
}

#[test]
fn a_digest_is_one_of_its_bytes_only() {
    let raw = incoming("app", 1, &pprof(1000, &FIRST)).raw;
    let digest = digest(&raw, 7);
    let encoded = Bytes::from(digest.encode());
    assert_eq!(Digest::decode(encoded.clone(), &raw), Some(digest));
    assert_eq!(Digest::decode(encoded.clone(), &raw[1..]), None);
    for len in 0..encoded.len() {
        assert_eq!(Digest::decode(encoded.slice(..len), &raw), None, "{len}");
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// What arrives may be anything. What is taken is a digest.
    #[test]
    fn broken_digests_are_none_or_whole(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let raw = incoming("app", 1, &pprof(1000, &SAME_STACKS)).raw;
        let mut encoded = digest(&raw, 7).encode();
        let at = at.index(encoded.len());
        encoded[at] = byte;
        if cut {
            encoded.truncate(at);
        }
        if let Some(digest) = Digest::decode(encoded.into(), &raw) {
            let again = Digest::decode(digest.encode().into(), &raw);
            prop_assert_eq!(again, Some(digest));
        }
    }
}
