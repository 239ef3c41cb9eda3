//! Which holder merges which profile; pure.
//!
//! Replicas make several holders name the same profile. Each profile is
//! assigned to exactly one of them, and to another one when that fails.
//!
//! Of counters that only grow, a holder gives the growth since the profile
//! before. One that lacks the profile before counts its growth twice, so of
//! holders that disagree those with the least total are right.

use proto::reader::v1::SelectResponse;
use rustc_hash::{FxHashMap, FxHashSet};

/// Bytes of a profile's identity.
pub(crate) const KEY_BYTES: usize = 16;

/// A profile's identity.
pub(crate) type Key = [u8; KEY_BYTES];

/// Splits concatenated keys; an incomplete last one is left out.
pub(crate) fn keys(bytes: &[u8]) -> impl Iterator<Item = Key> + '_ {
    bytes.as_chunks::<KEY_BYTES>().0.iter().copied()
}

/// A profile that is not merged yet.
#[derive(Debug)]
struct Found {
    /// The least total that a holder gave.
    total: i64,
    /// The holders, by number, that gave it.
    holders: Vec<usize>,
}

/// The profiles of a query, and who still has to merge which.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    open: FxHashMap<Key, Found>,
}

impl Assignment {
    /// Starts with what each holder said it has.
    pub(crate) fn new<'a>(held: impl IntoIterator<Item = &'a SelectResponse>) -> Self {
        let mut open: FxHashMap<Key, Found> = FxHashMap::default();
        for (holder, answer) in held.into_iter().enumerate() {
            for (key, &total) in keys(&answer.keys).zip(&answer.totals) {
                let found = open.entry(key).or_insert_with(|| Found {
                    total,
                    holders: Vec::new(),
                });
                if total < found.total {
                    found.total = total;
                    found.holders.clear();
                }
                if total == found.total && found.holders.last() != Some(&holder) {
                    found.holders.push(holder);
                }
            }
        }
        Self { open }
    }

    /// Returns whether every profile is merged.
    pub(crate) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// Gives every open profile that has a holder to one of them, evenly. The
    /// result has an entry per holder that has something to do.
    pub(crate) fn next_round(&self) -> Vec<(usize, Vec<Key>)> {
        let mut parts: FxHashMap<usize, Vec<Key>> = FxHashMap::default();
        for (key, found) in &self.open {
            let load = |holder: &&usize| parts.get(*holder).map_or(0, Vec::len);
            if let Some(&least) = found.holders.iter().min_by_key(load) {
                parts.entry(least).or_default().push(*key);
            }
        }
        parts.into_iter().collect()
    }

    /// Returns whether each of these profiles has a holder besides `holder`.
    pub(crate) fn can_do_without(&self, holder: usize, given: &[Key]) -> bool {
        let other = |key| {
            let found: Option<&Found> = self.open.get(key);
            found.is_none_or(|found| found.holders.iter().any(|&it| it != holder))
        };
        given.iter().all(other)
    }

    /// Starts over with the open profiles, after holders were asked again what
    /// they have; their numbers may be others now.
    ///
    /// A profile that nobody names any more was lost with the holder that had
    /// it. It is left out: the new answers are complete, so it was not
    /// acknowledged. One that is only named with a greater total stays without
    /// a holder.
    pub(crate) fn look_again<'a>(&mut self, held: impl IntoIterator<Item = &'a SelectResponse>) {
        let mut again = Self::new(held);
        again.open.retain(|key, found| match self.open.get(key) {
            Some(before) if before.total < found.total => {
                found.total = before.total;
                found.holders.clear();
                true
            }
            before => before.is_some(),
        });
        *self = again;
    }

    /// Returns how many profiles are not merged yet.
    pub(crate) fn remaining(&self) -> usize {
        self.open.len()
    }

    /// Records that `holder` merged `given`, but for those it no longer had.
    pub(crate) fn merged(&mut self, holder: usize, given: &[Key], missing: &FxHashSet<Key>) {
        for key in given {
            if missing.contains(key) {
                self.forget(holder, key);
            } else {
                self.open.remove(key);
            }
        }
    }

    /// Records that `holder` does not answer.
    pub(crate) fn failed(&mut self, holder: usize) {
        for found in self.open.values_mut() {
            found.holders.retain(|&other| other != holder);
        }
    }

    fn forget(&mut self, holder: usize, key: &Key) {
        if let Some(found) = self.open.get_mut(key) {
            found.holders.retain(|&other| other != holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = [1; KEY_BYTES];
    const B: Key = [2; KEY_BYTES];

    /// What a holder says that has these profiles, each with this total.
    fn held(profiles: &[(Key, i64)]) -> SelectResponse {
        let keys: Vec<u8> = profiles.iter().flat_map(|(key, _)| *key).collect();
        SelectResponse {
            keys: keys.into(),
            totals: profiles.iter().map(|(_, total)| *total).collect(),
            ..SelectResponse::default()
        }
    }

    fn all(round: &[(usize, Vec<Key>)]) -> Vec<Key> {
        let mut keys: Vec<Key> = round.iter().flat_map(|(_, keys)| keys.clone()).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_replicated_profile_is_merged_once() {
        let both = held(&[(A, 1), (B, 2)]);
        let assignment = Assignment::new([&both, &both, &both]);
        assert_eq!(all(&assignment.next_round()), [A, B]);
    }

    #[test]
    fn another_holder_steps_in_for_one_that_fails() {
        let only = held(&[(A, 1)]);
        let mut assignment = Assignment::new([&only, &only]);
        let first = assignment.next_round()[0].0;
        assignment.failed(first);
        let second = assignment.next_round();
        assert_eq!(second, [(1 - first, vec![A])]);
        assignment.merged(1 - first, &[A], &FxHashSet::default());
        assert!(assignment.is_done());
    }

    #[test]
    fn a_profile_without_a_holder_stays_open_until_all_say_what_they_have() {
        let (only_a, only_b) = (held(&[(A, 1)]), held(&[(B, 1)]));
        let mut assignment = Assignment::new([&only_a]);
        assignment.merged(0, &[A], &[A].into_iter().collect());
        assert!(!assignment.is_done());
        assert_eq!(assignment.next_round(), []);
        let mut found = Assignment::new([&only_a]);
        found.failed(0);
        found.look_again([&only_b, &held(&[(A, 1), (B, 1)])]);
        assert_eq!(found.next_round(), [(1, vec![A])], "B was never open");
        assignment.look_again([&only_b]);
        assert!(assignment.is_done());
    }

    #[test]
    fn a_holder_is_waited_for_when_no_other_has_its_profiles() {
        let (both, only) = (held(&[(A, 1), (B, 2)]), held(&[(A, 1)]));
        let mut assignment = Assignment::new([&both, &only]);
        assert!(assignment.can_do_without(0, &[A]));
        assert!(!assignment.can_do_without(0, &[A, B]));
        assignment.failed(1);
        assert!(!assignment.can_do_without(0, &[A]));
    }

    #[test]
    fn a_holder_that_names_a_profile_twice_merges_it_once() {
        let assignment = Assignment::new([&held(&[(A, 1), (A, 1)])]);
        assert_eq!(all(&assignment.next_round()), [A]);
    }

    #[test]
    fn a_holder_that_lacks_the_profile_before_does_not_merge_the_growth_since() {
        let (lacking, whole) = (held(&[(A, 9)]), held(&[(A, 5), (B, 4)]));
        for answers in [[&lacking, &whole, &whole], [&whole, &lacking, &whole]] {
            let mut assignment = Assignment::new(answers);
            let lacking = answers.iter().position(|it| it.totals == [9]).unwrap();
            assert!(assignment.next_round().iter().all(|(it, _)| *it != lacking));
            for holder in (0..3).filter(|it| *it != lacking) {
                assignment.failed(holder);
            }
            assignment.look_again([answers[lacking]]);
            assert_eq!(assignment.next_round(), []);
            assert!(!assignment.is_done(), "a greater total is not right");
        }
    }

    #[test]
    fn work_is_spread_over_the_holders() {
        let profiles: Vec<(Key, i64)> = (0..100).map(|n| ([n; KEY_BYTES], 1)).collect();
        let all = held(&profiles);
        let round = Assignment::new([&all, &all]).next_round();
        assert!(round.iter().all(|(_, keys)| keys.len() == 50));
    }
}
