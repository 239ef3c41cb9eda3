//! Which profile each one of a growing counter is to be subtracted from; pure.
//!
//! A holder gives the growth since the profile before as far as it knows that one.
//! If it has missed it, its figure is of another span of time, and counts what the
//! profile before says a second time, or, when the counters began anew meanwhile,
//! too little. What is before is what any holder knows to be.

use std::collections::BTreeSet;

use proto::reader::v1::{Run, SelectResponse};
use rustc_hash::FxHashMap;

use super::assign::{KEY_BYTES, Key, keys};

/// Name and time of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// In Unix milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) key: Key,
}

/// What the values of a profile are subtracted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Nothing: they are no counters, or were given as growth.
    None,
    /// It is not known, so nothing is known of the growth.
    Unknown,
    /// The profile before.
    Profile(Named),
}

/// The bases of what holders name.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    /// Of the profiles of growing counters.
    of: FxHashMap<Key, Base>,
}

impl Bases {
    /// Finds them from what each holder has.
    pub(crate) fn new<'a>(held: impl IntoIterator<Item = &'a SelectResponse>) -> Self {
        let mut series: FxHashMap<u64, BTreeSet<Named>> = FxHashMap::default();
        for answer in held {
            let keys = answer.keys.as_chunks::<KEY_BYTES>().0;
            for run in &answer.runs {
                let known = series.entry(run.series).or_default();
                known.extend(before(run));
                let named = keys.iter().zip(&answer.timestamps);
                let named = named.skip(run.first as usize).take(run.count as usize);
                known.extend(named.map(|(&key, &timestamp)| Named { timestamp, key }));
            }
        }
        let mut of = FxHashMap::default();
        for profiles in series.into_values() {
            let mut base = Base::Unknown;
            for profile in profiles {
                of.insert(profile.key, base);
                base = Base::Profile(profile);
            }
        }
        Self { of }
    }

    /// Returns the base of a profile.
    pub(crate) fn of(&self, key: &Key) -> Base {
        self.of.get(key).copied().unwrap_or(Base::None)
    }
}

/// Iterates over the profiles of a holder: each with the base that its total has.
pub(crate) fn held(answer: &SelectResponse) -> impl Iterator<Item = (Named, Base)> + '_ {
    let mut runs = answer.runs.iter().filter(|run| run.count > 0).peekable();
    let mut before = Base::None;
    let named = keys(&answer.keys).zip(&answer.timestamps);
    (0_u32..).zip(named).map(move |(at, (key, &timestamp))| {
        let profile = Named { timestamp, key };
        let is_past = |run: &&Run| run.first.saturating_add(run.count) <= at;
        while runs.next_if(is_past).is_some() {}
        let base = match runs.peek() {
            Some(run) if run.first == at => self::before(run).map_or(Base::Unknown, Base::Profile),
            Some(run) if run.first < at => before,
            _ => Base::None,
        };
        before = Base::Profile(profile);
        (profile, base)
    })
}

/// Returns the profile before a run.
pub(crate) fn before(run: &Run) -> Option<Named> {
    let key = *run.base.as_array()?;
    let timestamp = run.base_timestamp;
    Some(Named { timestamp, key })
}
