//! A file with what is durable of it and what only the page cache has.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, rngs::StdRng};

/// What a disk writes wholly or not at all.
const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What reads see.
    pub(crate) cached: Vec<u8>,
    /// What is there after a crash for certain.
    durable: Vec<u8>,
    /// Contents that sectors had since they were durable. The system may have
    /// written any of them meanwhile, in any order.
    dirty: BTreeMap<usize, Vec<Sector>>,
    /// Lengths that the file had since it was durable.
    lens: Vec<usize>,
}

impl Inode {
    pub(crate) fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        let from = at.min(self.cached.len());
        if end > self.cached.len() {
            self.cached.resize(end, 0);
            self.lens.push(end);
        }
        self.cached[at..end].copy_from_slice(bytes);
        self.touch(from, end);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        let from = len.min(self.cached.len());
        let end = len.max(self.durable.len());
        self.cached.resize(len, 0);
        self.lens.push(len);
        self.touch(from, end);
    }

    fn touch(&mut self, from: usize, end: usize) {
        for number in from / SECTOR..end.div_ceil(SECTOR) {
            let now = sector(&self.cached, number);
            self.dirty.entry(number).or_default().push(now);
        }
    }

    pub(crate) fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for number in std::mem::take(&mut self.dirty).into_keys() {
            put(&mut self.durable, number, &sector(&self.cached, number));
        }
        self.lens.clear();
    }

    /// Fails to write some sectors and calls all of them clean, as Linux does:
    /// reads still see them, and the next sync has nothing to do.
    pub(crate) fn sync_and_forget(&mut self, random: &mut StdRng) {
        let cached = std::mem::take(&mut self.cached);
        self.crash(random);
        self.cached = cached;
    }

    /// Leaves what may be there after a crash.
    pub(crate) fn crash(&mut self, random: &mut StdRng) {
        // Nothing, everything, or something of what was not synced.
        let chance = *[0.0, 1.0, 0.5, 0.9].choose(random).unwrap();
        self.lens.push(self.durable.len());
        let len = match random.random_bool(chance) {
            true => *self.lens.choose(random).unwrap(),
            false => self.durable.len(),
        };
        self.durable.resize(len, 0);
        for (number, versions) in std::mem::take(&mut self.dirty) {
            if random.random_bool(chance) {
                let version = match chance == 1.0 {
                    true => versions.last().unwrap(),
                    false => versions.choose(random).unwrap(),
                };
                put(&mut self.durable, number, version);
            }
        }
        self.lens.clear();
        self.cached = self.durable.clone();
    }
}

fn sector(bytes: &[u8], number: usize) -> Sector {
    let mut sector = [0; SECTOR];
    let start = bytes.len().min(number * SECTOR);
    let end = bytes.len().min(start + SECTOR);
    sector[..end - start].copy_from_slice(&bytes[start..end]);
    sector
}

fn put(bytes: &mut [u8], number: usize, sector: &Sector) {
    let start = bytes.len().min(number * SECTOR);
    let end = bytes.len().min(start + SECTOR);
    bytes[start..end].copy_from_slice(&sector[..end - start]);
}
