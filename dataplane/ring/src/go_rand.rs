use std::sync::OnceLock;

const LENGTH: usize = 607;
const TAP: usize = 273;
const SEED_MODULUS: i64 = (1 << 31) - 1;

/// The generator of Go's `math/rand` (version 1), bit for bit: an additive
/// lagged Fibonacci sequence.
///
/// Shuffle shards are drawn with it, and all readers and writers of a cluster
/// have to draw the same ones.
#[derive(Clone, Debug)]
pub(crate) struct GoRand {
    words: Vec<u64>,
    tap: usize,
    feed: usize,
}

impl GoRand {
    /// Starts the sequence of a seed.
    pub(crate) fn new(seed: i64) -> Self {
        let mut x = seed % SEED_MODULUS;
        if x < 0 {
            x += SEED_MODULUS;
        }
        if x == 0 {
            x = 89_482_311;
        }
        let mut next = || {
            x = x * 48_271 % SEED_MODULUS;
            x as u64
        };
        for _ in 0..20 {
            next();
        }
        let word = |cooked: &u64| (next() << 40) ^ (next() << 20) ^ next() ^ cooked;
        Self {
            words: table().iter().map(word).collect(),
            tap: 0,
            feed: LENGTH - TAP,
        }
    }

    /// Draws 64 bits.
    pub(crate) fn uint64(&mut self) -> u64 {
        self.tap = step_back(self.tap);
        self.feed = step_back(self.feed);
        let word = self.words[self.feed].wrapping_add(self.words[self.tap]);
        self.words[self.feed] = word;
        word
    }

    /// Draws 32 bits as Go's `Uint32` does: bits 31 to 62 of the 64.
    pub(crate) fn uint32(&mut self) -> u32 {
        (self.uint64() >> 31) as u32
    }
}

fn step_back(index: usize) -> usize {
    index.checked_sub(1).unwrap_or(LENGTH - 1)
}

/// The constants that are mixed into every seed.
fn table() -> &'static [u64] {
    static TABLE: OnceLock<Vec<u64>> = OnceLock::new();
    TABLE.get_or_init(|| {
        include_str!("../data/go-rand-table.txt")
            .lines()
            .map(|line| u64::from_str_radix(line, 16).expect("the table holds hexadecimal words"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Draws {
        seed: String,
        uint64_at: Vec<String>,
    }

    #[test]
    fn draws_what_go_draws() {
        let vectors: Vec<Draws> =
            serde_json::from_str(include_str!("../tests/vectors/go_rand.json")).unwrap();
        assert_eq!(vectors.len(), 8);
        for v in vectors {
            let mut random = GoRand::new(v.seed.parse().unwrap());
            let drawn: Vec<u64> = (0..1300).map(|_| random.uint64()).collect();
            for draw in &v.uint64_at {
                let (at, want) = draw.split_once(':').unwrap();
                let got = drawn[at.parse::<usize>().unwrap()];
                assert_eq!(got.to_string(), want, "seed {} draw {at}", v.seed);
            }
        }
    }
}
