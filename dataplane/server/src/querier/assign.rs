//! Which holder merges which profile; pure.
//!
//! Replicas make several holders name the same profile. Each profile is
//! assigned to exactly one of them, and to another one when that fails.

use rustc_hash::{FxHashMap, FxHashSet};

/// Bytes of a profile's identity.
pub(crate) const KEY_BYTES: usize = 16;

/// A profile's identity.
pub(crate) type Key = [u8; KEY_BYTES];

/// Splits concatenated keys; an incomplete last one is left out.
pub(crate) fn keys(bytes: &[u8]) -> impl Iterator<Item = Key> + '_ {
    bytes.as_chunks::<KEY_BYTES>().0.iter().copied()
}

/// The profiles of a query, and who still has to merge which.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    /// Holders (by number) of every profile that is not merged yet.
    open: FxHashMap<Key, Vec<usize>>,
}

impl Assignment {
    /// Starts with what each holder said it has.
    pub(crate) fn new<'a>(held: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut open: FxHashMap<Key, Vec<usize>> = FxHashMap::default();
        for (holder, bytes) in held.into_iter().enumerate() {
            for key in keys(bytes) {
                let holders = open.entry(key).or_default();
                if holders.last() != Some(&holder) {
                    holders.push(holder);
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
        for (key, holders) in &self.open {
            let load = |holder: &&usize| parts.get(*holder).map_or(0, Vec::len);
            if let Some(&least) = holders.iter().min_by_key(load) {
                parts.entry(least).or_default().push(*key);
            }
        }
        parts.into_iter().collect()
    }

    /// Returns whether each of these profiles has a holder besides `holder`.
    pub(crate) fn can_do_without(&self, holder: usize, given: &[Key]) -> bool {
        let other = |key| {
            let holders: Option<&Vec<usize>> = self.open.get(key);
            holders.is_none_or(|holders| holders.iter().any(|&it| it != holder))
        };
        given.iter().all(other)
    }

    /// Starts over with the open profiles, after holders were asked again what
    /// they have; their numbers may be others now.
    ///
    /// A profile that nobody names any more was lost with the holder that had
    /// it. It is left out: the new answers are complete, so it was not
    /// acknowledged.
    pub(crate) fn look_again<'a>(&mut self, held: impl IntoIterator<Item = &'a [u8]>) {
        let mut again = Self::new(held);
        again.open.retain(|key, _| self.open.contains_key(key));
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
        for holders in self.open.values_mut() {
            holders.retain(|&other| other != holder);
        }
    }

    fn forget(&mut self, holder: usize, key: &Key) {
        if let Some(holders) = self.open.get_mut(key) {
            holders.retain(|&other| other != holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = [1; KEY_BYTES];
    const B: Key = [2; KEY_BYTES];

    fn all(round: &[(usize, Vec<Key>)]) -> Vec<Key> {
        let mut keys: Vec<Key> = round.iter().flat_map(|(_, keys)| keys.clone()).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_replicated_profile_is_merged_once() {
        let both = [A, B].concat();
        let assignment = Assignment::new([both.as_slice(), &both, &both]);
        assert_eq!(all(&assignment.next_round()), [A, B]);
    }

    #[test]
    fn another_holder_steps_in_for_one_that_fails() {
        let mut assignment = Assignment::new([A.as_slice(), &A]);
        let first = assignment.next_round()[0].0;
        assignment.failed(first);
        let second = assignment.next_round();
        assert_eq!(second, [(1 - first, vec![A])]);
        assignment.merged(1 - first, &[A], &FxHashSet::default());
        assert!(assignment.is_done());
    }

    #[test]
    fn a_profile_without_a_holder_stays_open_until_all_say_what_they_have() {
        let mut assignment = Assignment::new([A.as_slice()]);
        assignment.merged(0, &[A], &[A].into_iter().collect());
        assert!(!assignment.is_done());
        assert_eq!(assignment.next_round(), []);
        let mut found = Assignment::new([A.as_slice()]);
        found.failed(0);
        found.look_again([B.as_slice(), &[A, B].concat()]);
        assert_eq!(found.next_round(), [(1, vec![A])], "B was never open");
        assignment.look_again([B.as_slice()]);
        assert!(assignment.is_done());
    }

    #[test]
    fn a_holder_is_waited_for_when_no_other_has_its_profiles() {
        let both = [A, B].concat();
        let mut assignment = Assignment::new([both.as_slice(), &A]);
        assert!(assignment.can_do_without(0, &[A]));
        assert!(!assignment.can_do_without(0, &[A, B]));
        assignment.failed(1);
        assert!(!assignment.can_do_without(0, &[A]));
    }

    #[test]
    fn a_holder_that_names_a_profile_twice_merges_it_once() {
        let twice = [A, A].concat();
        let assignment = Assignment::new([twice.as_slice()]);
        assert_eq!(all(&assignment.next_round()), [A]);
    }

    #[test]
    fn work_is_spread_over_the_holders() {
        let keys: Vec<u8> = (0..100u8).flat_map(|n| [n; KEY_BYTES]).collect();
        let round = Assignment::new([keys.as_slice(), &keys]).next_round();
        assert!(round.iter().all(|(_, keys)| keys.len() == 50));
    }
}
