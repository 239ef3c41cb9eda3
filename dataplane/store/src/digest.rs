//! What an ingester must know of a profile that somebody has read for it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use profile::ProfileType;
use profile::pprof::View;
use prost::Message as _;
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};
use proto::push::v1;
use xxhash_rust::xxh3::xxh3_64;

use crate::head::{Fingerprint, fingerprint};

/// Most columns of values; what has more is read.
const MAX_COLUMNS: usize = 128;

/// Separates the texts of a digest.
const END: char = '\0';

/// What a profile says but for its symbols: each stack is a hash. An ingester
/// that knows the stacks need not inflate and read the profile, which is most of
/// the work of storing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    key: u64,
    raw_hash: u64,
    time_nanos: i64,
    /// Type and unit of each column of values, and then of the period.
    types: Vec<(String, String)>,
    stacks: Vec<Fingerprint>,
    /// The columns of each sample.
    values: Vec<i64>,
}

/// The key under which a process hashes stacks. Those who push cannot know it,
/// so they cannot make two stacks with one hash.
///
/// Processes that exchange digests agree on the lowest of their keys.
#[derive(Debug)]
pub struct DigestKey(AtomicU64);

impl DigestKey {
    /// Creates a key from random bits.
    pub fn new(random: u64) -> Self {
        Self(AtomicU64::new(random))
    }

    /// Returns the key as it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns the key of another process; 0 is none.
    pub fn agree(&self, other: u64) {
        if other != 0 {
            self.0.fetch_min(other, Ordering::Relaxed);
        }
    }
}

impl Digest {
    /// Digests a normalised profile and the bytes that it was read from.
    pub fn of(view: &View, raw: &[u8], key: u64) -> Self {
        let texts = view.sample_types().chain([view.period_type()]);
        let mut values = Vec::with_capacity(view.sample_count() * view.sample_types().len());
        for sample in view.samples() {
            values.extend_from_slice(sample.values);
        }
        Self {
            key,
            raw_hash: xxh3_64(raw),
            time_nanos: view.time_nanos(),
            types: texts
                .map(|(of, unit)| (of.to_owned(), unit.to_owned()))
                .collect(),
            stacks: fingerprint::of_stacks(view, key),
            values,
        }
    }

    /// Writes the digest as it travels, a `push.v1.Digest`; empty if it cannot.
    pub fn encode(&self) -> Vec<u8> {
        let texts = self.types.iter().flat_map(|(of, unit)| [of, unit]);
        if texts.clone().any(|text| text.contains(END)) {
            return Vec::new();
        }
        let stacks = self.stacks.iter().flat_map(|stack| stack.to_bytes());
        let numbers = self.values.iter().map(|value| *value as u64);
        let mut values = Vec::with_capacity(numbers.clone().map(encoded_len_varint).sum());
        numbers.for_each(|number| encode_varint(number, &mut values));
        let message = v1::Digest {
            key: self.key,
            raw_hash: self.raw_hash,
            time_nanos: self.time_nanos,
            types: texts.flat_map(|text| text.chars().chain([END])).collect(),
            stacks: stacks.collect(),
            values: values.into(),
        };
        message.encode_to_vec()
    }

    /// Reads a digest of `raw` that somebody else made; `None` if it is none, or
    /// one of other bytes. Takes no more memory than eight times its length.
    pub fn decode(encoded: Bytes, raw: &[u8]) -> Option<Self> {
        let message = v1::Digest::decode(encoded).ok()?;
        let texts: Vec<&str> = message
            .types
            .split_terminator(END)
            .take(2 * MAX_COLUMNS + 3)
            .collect();
        let (pairs, []) = texts.as_chunks::<2>() else {
            return None;
        };
        let columns = pairs.len().checked_sub(1)?;
        let (stacks, []) = message.stacks.as_chunks::<16>() else {
            return None;
        };
        // Nobody sends a profile without samples; a digest without them is cut off.
        let is_possible = (1..=MAX_COLUMNS).contains(&columns)
            && !stacks.is_empty()
            && stacks.len().saturating_mul(columns) <= message.values.len()
            && message.raw_hash == xxh3_64(raw);
        if !is_possible {
            return None;
        }
        let values = values(&message.values, stacks.len() * columns)?;
        // Samples without a positive value are not stored.
        let counts = |sample: &[i64]| sample.iter().any(|value| *value > 0);
        values.chunks_exact(columns).all(counts).then(|| Self {
            key: message.key,
            raw_hash: message.raw_hash,
            time_nanos: message.time_nanos,
            types: pairs
                .iter()
                .map(|[of, unit]| ((*of).to_owned(), (*unit).to_owned()))
                .collect(),
            stacks: stacks
                .iter()
                .map(|bytes| Fingerprint::from_bytes(*bytes))
                .collect(),
            values,
        })
    }

    /// Size in memory, in bytes, which is about that of its encoding.
    pub fn size(&self) -> usize {
        size_of_val(&*self.stacks) + size_of_val(&*self.values)
    }

    /// Returns the key under which the stacks are hashed.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Time of the profile in Unix nanoseconds.
    pub(crate) fn time_nanos(&self) -> i64 {
        self.time_nanos
    }

    /// Number of columns of values.
    pub(crate) fn columns(&self) -> usize {
        self.types.len() - 1
    }

    /// The hash of the stack of each sample.
    pub(crate) fn stacks(&self) -> &[Fingerprint] {
        &self.stacks
    }

    /// The values of each sample, one per column.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &[i64]> {
        self.values.chunks_exact(self.columns().max(1))
    }

    /// The type of each column of a profile of this name.
    pub(crate) fn profile_types(&self, name: &str) -> Vec<ProfileType> {
        let Some(((period_type, period_unit), columns)) = self.types.split_last() else {
            return Vec::new();
        };
        let of = |(sample_type, sample_unit): &(String, String)| ProfileType {
            name: name.to_owned(),
            sample_type: sample_type.clone(),
            sample_unit: sample_unit.clone(),
            period_type: period_type.clone(),
            period_unit: period_unit.clone(),
            delta: false,
        };
        columns.iter().map(of).collect()
    }
}

/// Reads so many varints, each of which is a number of 63 bits.
fn values(mut bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(i64::try_from(decode_varint(&mut bytes).ok()?).ok()?);
    }
    bytes.is_empty().then_some(values)
}
