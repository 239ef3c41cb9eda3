//! Which holder merges which profile; pure.
//!
//! Replicas make several holders name the same profile. Each profile is
//! assigned to exactly one of them, and to another one when that fails.
//!
//! Of growing counters a holder can merge what has a base that it has as well. If
//! nobody has both, the values of each are got from whoever has them.

use std::collections::BTreeSet;

use bytes::Bytes;
use proto::reader::v1::SelectResponse;
use rustc_hash::{FxHashMap, FxHashSet};

use super::growth::{self, Base, Bases, Named};

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
    timestamp: i64,
    base: Base,
    /// The holders, by number, that have it and its base.
    holders: Vec<usize>,
    /// The holders that have it and lack its base.
    without_base: Vec<usize>,
}

/// A profile and its base, which no holder has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Apart {
    /// The profile, and a holder of it.
    pub(crate) profile: (Named, usize),
    /// Its base, and a holder of that.
    pub(crate) base: (Named, usize),
}

/// The profiles of a query, and who still has to merge which.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    open: FxHashMap<Key, Found>,
    failed: BTreeSet<usize>,
}

impl Assignment {
    /// Starts with what each holder said it has, and the bases of that.
    pub(crate) fn new<'a>(
        held: impl IntoIterator<Item = &'a SelectResponse>,
        bases: &Bases,
    ) -> Self {
        let mut open: FxHashMap<Key, Found> = FxHashMap::default();
        for (holder, answer) in held.into_iter().enumerate() {
            for (Named { timestamp, key }, known) in growth::held(answer) {
                let base = bases.of(&key);
                if base == Base::Unknown {
                    continue;
                }
                let found = open.entry(key).or_insert_with(|| Found {
                    timestamp,
                    base,
                    holders: Vec::new(),
                    without_base: Vec::new(),
                });
                let holders = match known == base {
                    true => &mut found.holders,
                    false => &mut found.without_base,
                };
                if holders.last() != Some(&holder) {
                    holders.push(holder);
                }
            }
        }
        Self {
            open,
            failed: BTreeSet::new(),
        }
    }

    /// Leaves out all profiles but these.
    pub(crate) fn only(mut self, wanted: &FxHashSet<Key>) -> Self {
        self.open.retain(|key, _| wanted.contains(key));
        self
    }

    /// Returns the bases of open profiles as a holder is asked for them.
    pub(crate) fn bases(&self, given: &[Key]) -> Bytes {
        let base = |key: &Key| match self.open.get(key)?.base {
            Base::Profile(base) => Some(base.key),
            Base::None | Base::Unknown => None,
        };
        if given.iter().all(|key| base(key).is_none()) {
            return Bytes::new();
        }
        let bases = given.iter().map(|key| base(key).unwrap_or_default());
        bases.flatten().collect()
    }

    /// Finds profiles that no holder can merge but that two have, they and their
    /// bases, among what each of the holders that did not fail said it has.
    pub(crate) fn apart<'a>(
        &self,
        held: impl IntoIterator<Item = &'a SelectResponse>,
    ) -> Vec<Apart> {
        let mut wanted: FxHashMap<Key, Option<usize>> = FxHashMap::default();
        let alone = self.open.iter().filter_map(|(key, found)| {
            let Base::Profile(base) = found.base else {
                return None;
            };
            let holder = found
                .without_base
                .first()
                .filter(|_| found.holders.is_empty())?;
            let timestamp = found.timestamp;
            Some((
                Named {
                    timestamp,
                    key: *key,
                },
                *holder,
                base,
            ))
        });
        let alone: Vec<_> = alone.collect();
        wanted.extend(alone.iter().map(|(_, _, base)| (base.key, None)));
        for (holder, answer) in held.into_iter().enumerate() {
            if alone.is_empty() || self.failed.contains(&holder) {
                continue;
            }
            let before = answer.runs.iter().filter_map(growth::before);
            for key in keys(&answer.keys).chain(before.map(|base| base.key)) {
                if let Some(wanted) = wanted.get_mut(&key) {
                    *wanted = Some(holder);
                }
            }
        }
        let pairs = alone.into_iter().filter_map(|(profile, holder, base)| {
            let of_base = wanted.get(&base.key).copied().flatten()?;
            Some(Apart {
                profile: (profile, holder),
                base: (base, of_base),
            })
        });
        pairs.collect()
    }

    /// Records that a profile is merged.
    pub(crate) fn done(&mut self, key: &Key) {
        self.open.remove(key);
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
    /// acknowledged. But growth that was found with or since such a one does not
    /// add up with what is left: that stays without a holder.
    pub(crate) fn look_again(mut self, again: Self) -> Self {
        self.open.retain(|key, before| {
            before.holders.clear();
            before.without_base.clear();
            before.base != Base::None || again.open.contains_key(key)
        });
        for (key, found) in again.open {
            if let Some(before) = self.open.get_mut(&key)
                && before.base == found.base
            {
                *before = found;
            }
        }
        self.failed.clear();
        self
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
        self.failed.insert(holder);
        for found in self.open.values_mut() {
            found.holders.retain(|&other| other != holder);
            found.without_base.retain(|&other| other != holder);
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
    use proto::reader::v1::Run;

    use super::*;

    const A: Key = [1; KEY_BYTES];
    const B: Key = [2; KEY_BYTES];
    const C: Key = [3; KEY_BYTES];

    /// What a holder says that has these profiles.
    fn held(profiles: &[Key]) -> SelectResponse {
        SelectResponse {
            keys: profiles.concat().into(),
            timestamps: profiles.iter().map(|key| key[0].into()).collect(),
            ..SelectResponse::default()
        }
    }

    /// The same, of a counter, with what is before.
    fn growing(base: Option<Key>, profiles: &[Key]) -> SelectResponse {
        let run = Run {
            count: profiles.len() as u32,
            base_timestamp: base.map_or(0, |key| key[0].into()),
            base: base.iter().flatten().copied().collect(),
            ..Run::default()
        };
        SelectResponse {
            runs: vec![run],
            ..held(profiles)
        }
    }

    fn assignment(held: &[&SelectResponse]) -> Assignment {
        let held = held.iter().copied();
        Assignment::new(held.clone(), &Bases::new(held))
    }

    fn all(round: &[(usize, Vec<Key>)]) -> Vec<Key> {
        let mut keys: Vec<Key> = round.iter().flat_map(|(_, keys)| keys.clone()).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_replicated_profile_is_merged_once() {
        let both = held(&[A, B]);
        let open = assignment(&[&both, &both, &both]);
        assert_eq!(all(&open.next_round()), [A, B]);
    }

    #[test]
    fn another_holder_steps_in_for_one_that_fails() {
        let only = held(&[A]);
        let mut open = assignment(&[&only, &only]);
        let first = open.next_round()[0].0;
        open.failed(first);
        let second = open.next_round();
        assert_eq!(second, [(1 - first, vec![A])]);
        open.merged(1 - first, &[A], &FxHashSet::default());
        assert!(open.is_done());
    }

    #[test]
    fn a_profile_without_a_holder_stays_open_until_all_say_what_they_have() {
        let (only_a, only_b) = (held(&[A]), held(&[B]));
        let mut open = assignment(&[&only_a]);
        open.merged(0, &[A], &[A].into_iter().collect());
        assert!(!open.is_done());
        assert_eq!(open.next_round(), []);
        let mut found = assignment(&[&only_a]);
        found.failed(0);
        let found = found.look_again(assignment(&[&only_b, &held(&[A, B])]));
        assert_eq!(found.next_round(), [(1, vec![A])], "B was never open");
        let again = assignment(&[&only_b]);
        assert!(open.look_again(again).is_done());
    }

    #[test]
    fn a_holder_is_waited_for_when_no_other_has_its_profiles() {
        let (both, only) = (held(&[A, B]), held(&[A]));
        let mut open = assignment(&[&both, &only]);
        assert!(open.can_do_without(0, &[A]));
        assert!(!open.can_do_without(0, &[A, B]));
        open.failed(1);
        assert!(!open.can_do_without(0, &[A]));
    }

    #[test]
    fn a_holder_that_names_a_profile_twice_merges_it_once() {
        let open = assignment(&[&held(&[A, A])]);
        assert_eq!(all(&open.next_round()), [A]);
    }

    #[test]
    fn a_holder_that_lacks_the_profile_before_does_not_merge_the_growth_since() {
        let (lacking, whole) = (growing(Some(A), &[C]), growing(Some(A), &[B, C]));
        for answers in [[&lacking, &whole, &whole], [&whole, &lacking, &whole]] {
            let mut open = assignment(&answers);
            let lacking = answers.iter().position(|it| it.keys.len() == 16).unwrap();
            let round = open.next_round();
            assert_eq!(all(&round), [B, C]);
            assert!(round.iter().all(|(holder, _)| *holder != lacking));
            assert_eq!(open.bases(&[C, B]), [B, A].concat());
            assert_eq!(open.apart(answers), []);
            // Only who lacks it is left: growth that is found then is of another span.
            open.merged(0, &[B], &FxHashSet::default());
            (0..3)
                .filter(|it| *it != lacking)
                .for_each(|it| open.failed(it));
            assert_eq!(open.apart(answers), []);
            let open = open.look_again(assignment(&[answers[lacking]]));
            assert_eq!(open.next_round(), []);
            assert!(!open.is_done());
        }
    }

    #[test]
    fn a_profile_and_its_base_may_be_apart() {
        let (first, second) = (growing(Some(A), &[B]), growing(Some(A), &[C]));
        let answers = [&first, &second];
        let mut open = assignment(&answers);
        assert_eq!(open.next_round(), [(0, vec![B])]);
        let named = |key: Key| Named {
            timestamp: key[0].into(),
            key,
        };
        let apart = Apart {
            profile: (named(C), 1),
            base: (named(B), 0),
        };
        assert_eq!(open.apart(answers), [apart]);
        open.failed(0);
        assert_eq!(open.apart(answers), []);
        // What is before the range counts, also where nothing is in it.
        let (idle, late) = (growing(Some(B), &[]), growing(Some(A), &[C]));
        assert_eq!(assignment(&[&late, &idle]).apart([&late, &idle]).len(), 1);
        let alone = assignment(&[&growing(None, &[A]), &growing(None, &[B])]);
        assert_eq!(alone.remaining(), 1, "of the first it is not known");
    }

    #[test]
    fn work_is_spread_over_the_holders() {
        let profiles: Vec<Key> = (0..100).map(|n| [n; KEY_BYTES]).collect();
        let all = held(&profiles);
        let round = assignment(&[&all, &all]).next_round();
        assert!(round.iter().all(|(_, keys)| keys.len() == 50));
    }
}
