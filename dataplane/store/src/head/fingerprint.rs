//! Hashes of stacks, by which known ones are found without looking at their
//! symbols.

use profile::pprof::{Location, View};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Hash of all that a pprof says of a string, a symbol or a stack.
///
/// 128 bits make accidents impossible in practice; a secret seed keeps those who
/// push from looking for collisions, which could only mislead their own tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    low: u64,
    high: u64,
}

impl std::hash::Hash for Fingerprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

impl Fingerprint {
    /// Returns the hash as it travels, in little endian.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let both = u128::from(self.high) << 64 | u128::from(self.low);
        both.to_le_bytes()
    }

    /// Reads a hash as it travels.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self {
            low: both as u64,
            high: (both >> 64) as u64,
        }
    }

    fn seed(seed: u64) -> Self {
        Self {
            low: seed ^ ODD[1],
            high: seed.rotate_left(32) ^ ODD[0],
        }
    }

    fn of_text(text: &[u8], seed: u64) -> Self {
        let hash = xxh3_128_with_seed(text, seed);
        Self {
            low: hash as u64,
            high: (hash >> 64) as u64,
        }
    }

    #[inline]
    fn add(&mut self, other: Self) {
        self.low = (self.low ^ other.low).wrapping_mul(ODD[0]).rotate_left(29);
        self.high = (self.high ^ other.high)
            .wrapping_mul(ODD[1])
            .rotate_left(31);
    }

    #[inline]
    fn add_number(&mut self, number: u64) {
        self.add(Self {
            low: number,
            high: number,
        });
    }
}

/// Returns the hash of the stack of each sample of a normalised view.
pub(crate) fn of_stacks(view: &View, seed: u64) -> Vec<Fingerprint> {
    let strings: Vec<Fingerprint> = (0..view.string_count() as i64)
        .map(|at| Fingerprint::of_text(view.text(at), seed))
        .collect();
    let none = Fingerprint::seed(seed);
    let string = |index: i64| {
        let at = usize::try_from(index).ok();
        at.and_then(|at| strings.get(at)).copied().unwrap_or(none)
    };
    let functions: Vec<Fingerprint> = view
        .functions()
        .iter()
        .map(|function| {
            let mut hash = none;
            hash.add(string(function.name));
            hash.add(string(function.system_name));
            hash.add(string(function.filename));
            hash.add_number(function.start_line as u64);
            hash
        })
        .collect();
    let mappings: Vec<Fingerprint> = view
        .mappings()
        .iter()
        .map(|mapping| {
            let mut hash = none;
            hash.add(string(mapping.filename));
            hash.add(string(mapping.build_id));
            hash.add_number(mapping.memory_start);
            hash.add_number(mapping.memory_limit);
            hash.add_number(mapping.file_offset);
            let flags = [
                mapping.has_functions,
                mapping.has_filenames,
                mapping.has_line_numbers,
                mapping.has_inline_frames,
            ];
            hash.add_number(
                flags
                    .iter()
                    .fold(1, |bits, flag| bits << 1 | u64::from(*flag)),
            );
            hash
        })
        .collect();
    let location = |location: &Location| {
        let mut hash = none;
        hash.add(location.mapping.map_or(none, |at| mappings[at as usize]));
        hash.add_number(location.address);
        let lines = view.lines(location);
        hash.add_number((lines.len() as u64) << 1 | u64::from(location.is_folded));
        for line in lines {
            // A function that does not exist is in no stack that counts.
            let function = functions.get(line.function as usize);
            hash.add(function.copied().unwrap_or(none));
            hash.add_number(line.line as u64);
        }
        hash
    };
    let locations: Vec<Fingerprint> = view.locations().iter().map(location).collect();
    view.samples()
        .map(|sample| {
            let mut hash = none;
            for at in sample.stack {
                hash.add(locations[*at as usize]);
            }
            hash.add_number(sample.stack.len() as u64);
            hash
        })
        .collect()
}
