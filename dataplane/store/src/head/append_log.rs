//! A list that grows at its end and can be snapshot cheaply.

use std::sync::Arc;

/// Entries per sealed chunk: what a snapshot copies at most.
const CHUNK: usize = 1024;

/// An append-only list. Full chunks never change again and are shared with
/// snapshots, so readers need no lock while they resolve symbols.
#[derive(Debug)]
pub(crate) struct AppendLog<T> {
    sealed: Vec<Arc<[T]>>,
    open: Vec<T>,
}

/// The list as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot<T> {
    sealed: Vec<Arc<[T]>>,
    open: Vec<T>,
}

impl<T> Default for AppendLog<T> {
    fn default() -> Self {
        Self {
            sealed: Vec::new(),
            open: Vec::new(),
        }
    }
}

impl<T> Default for Snapshot<T> {
    fn default() -> Self {
        Self {
            sealed: Vec::new(),
            open: Vec::new(),
        }
    }
}

impl<T: Clone> AppendLog<T> {
    pub(crate) fn push(&mut self, entry: T) {
        self.open.push(entry);
        if self.open.len() == CHUNK {
            self.sealed.push(std::mem::take(&mut self.open).into());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sealed.len() * CHUNK + self.open.len()
    }

    pub(crate) fn snapshot(&self) -> Snapshot<T> {
        Snapshot {
            sealed: self.sealed.clone(),
            open: self.open.clone(),
        }
    }
}

impl<T> From<Vec<T>> for Snapshot<T> {
    fn from(entries: Vec<T>) -> Self {
        let mut entries = entries.into_iter();
        let mut sealed = Vec::with_capacity(entries.len() / CHUNK);
        while entries.len() >= CHUNK {
            sealed.push(entries.by_ref().take(CHUNK).collect());
        }
        Self {
            sealed,
            open: entries.collect(),
        }
    }
}

impl<T> Snapshot<T> {
    pub(crate) fn len(&self) -> usize {
        self.sealed.len() * CHUNK + self.open.len()
    }

    /// Returns the entry with an index that the list gave before the snapshot.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        match self.sealed.get(index / CHUNK) {
            Some(chunk) => chunk.get(index % CHUNK),
            None => self.open.get(index - self.sealed.len() * CHUNK),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.sealed
            .iter()
            .flat_map(|chunk| &**chunk)
            .chain(&self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_do_not_see_later_entries() {
        let mut log = AppendLog::default();
        for i in 0..3 * CHUNK + 5 {
            assert_eq!(log.len(), i);
            let snapshot = (i % 500 == 0).then(|| log.snapshot());
            log.push(i);
            if let Some(snapshot) = snapshot {
                assert_eq!(snapshot.get(i as u32), None);
                assert!((0..i).all(|k| snapshot.get(k as u32) == Some(&k)));
                assert!(snapshot.iter().copied().eq(0..i));
            }
        }
    }
}
