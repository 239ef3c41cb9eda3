//! A disk that fails and forgets as a seed decides.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use pyroscope_store::{Disk, DiskFile};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::inode::Inode;

/// A handle of the disk, for one life of a process: when the process is killed,
/// nothing that it still does has an effect.
#[derive(Clone, Debug)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    life: u64,
}

/// An open file of such a disk.
#[derive(Debug)]
pub(crate) struct FaultyFile {
    disk: FaultyDisk,
    inode: u64,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    life: u64,
    locked: Option<u64>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes to names that are not durable yet, in order.
    renames: Vec<Rename>,
    /// Chance of a fault in each operation.
    faults: f64,
    /// Bytes that fit.
    capacity: usize,
    /// Operations until the process is killed within one.
    fuse: Option<u32>,
    counts: Counts,
}

/// How often things went wrong, to see that a test tests them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) kills: u32,
    pub(crate) crashes: u32,
    pub(crate) write_errors: u32,
    pub(crate) sync_errors: u32,
    pub(crate) full: u32,
}

/// A name that begins or ceases to mean a file, or both at once.
#[derive(Clone, Debug)]
struct Rename {
    from: Option<PathBuf>,
    to: Option<(PathBuf, u64)>,
}

impl FaultyDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            life: 0,
            locked: None,
            inodes: BTreeMap::new(),
            next_inode: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            faults: 0.0,
            capacity: usize::MAX,
            fuse: None,
            counts: Counts::default(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            life: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Sets the chance of a fault in each operation.
    pub(crate) fn set_faults(&self, chance: f64) {
        self.lock().faults = chance;
    }

    /// Leaves room for this many more bytes.
    pub(crate) fn set_room(&self, bytes: usize) {
        let mut state = self.lock();
        state.capacity = state.used().saturating_add(bytes);
    }

    /// Kills the process within one of its next operations.
    pub(crate) fn light_fuse(&self, operations: u32) {
        self.lock().fuse = Some(operations);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().life != self.life
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Kills the process, if it lives, and returns the disk for its next life:
    /// what was written is in the page cache.
    pub(crate) fn kill(self) -> Self {
        let mut state = self.lock();
        if state.life == self.life {
            state.kill();
        }
        state.fuse = None;
        let life = state.life;
        drop(state);
        Self { life, ..self }
    }

    /// Cuts the power: what was not synced is there in part.
    pub(crate) fn crash(self) -> Self {
        let next = self.kill();
        next.lock().crash();
        next
    }

    /// Begins an operation, or fails it.
    fn operate(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.lock();
        if state.life != self.life {
            return Err(io::Error::other("the process was killed"));
        }
        let chance = state.faults;
        let fault = state.random.random_bool(chance);
        Ok((state, fault))
    }
}

impl State {
    fn used(&self) -> usize {
        let sizes = self
            .names
            .values()
            .map(|inode| self.inodes[inode].cached.len());
        sizes.sum()
    }

    fn kill(&mut self) {
        self.life += 1;
        self.locked = None;
        self.counts.kills += 1;
    }

    fn crash(&mut self) {
        self.counts.crashes += 1;
        let chance = [0.0, 1.0, 0.5][self.random.random_range(0..3)];
        for rename in std::mem::take(&mut self.renames) {
            if self.random.random_bool(chance) {
                rename.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        self.inodes
            .retain(|inode, _| self.names.values().any(|named| named == inode));
        for inode in self.inodes.values_mut() {
            inode.crash(&mut self.random);
        }
    }

    /// Counts an operation, and tells whether the process is killed in it.
    fn burns(&mut self) -> bool {
        match &mut self.fuse {
            Some(0) => {
                self.kill();
                self.fuse = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn rename(&mut self, rename: Rename) {
        rename.apply(&mut self.names);
        self.renames.push(rename);
    }

    /// Changes names, if the disk and the process's life let it.
    fn try_rename(&mut self, rename: Rename, fault: bool) -> io::Result<()> {
        let burns = self.burns();
        // An operation that fails may have had its effect.
        if !(fault || burns) || self.random.random_bool(0.5) {
            self.rename(rename);
        }
        match fault || burns {
            true => Err(io::Error::other("the name was not changed, or was")),
            false => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let found = self.names.get(path).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Rename {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), *inode);
        }
    }

    fn is_in(&self, directory: &Path) -> bool {
        let to = self.to.as_ref().map(|(to, _)| to);
        let path = self.from.as_ref().or(to);
        path.and_then(|path| path.parent()) == Some(directory)
    }
}

/// Keeps the directory of a process to itself, as long as the process lives.
#[derive(Debug)]
pub(crate) struct FaultyLock(FaultyDisk);

impl Drop for FaultyLock {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.locked == Some(self.0.life) {
            state.locked = None;
        }
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;
    type Lock = FaultyLock;

    fn lock(&self, _: &Path) -> io::Result<Option<FaultyLock>> {
        let mut state = self.operate()?.0;
        let is_free = state.locked.is_none();
        if is_free {
            state.locked = Some(self.life);
        }
        Ok(is_free.then(|| FaultyLock(self.clone())))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        self.operate().map(drop)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.operate()?.0;
        let inside = state
            .names
            .keys()
            .filter(|path| path.parent() == Some(directory));
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok(inside.map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        let (mut state, fault) = self.operate()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        let rename = Rename {
            from: None,
            to: Some((path.to_owned(), inode)),
        };
        state.try_rename(rename, fault)?;
        drop(state);
        Ok(FaultyFile {
            disk: self.clone(),
            inode,
        })
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        let inode = self.operate()?.0.find(path)?;
        Ok(FaultyFile {
            disk: self.clone(),
            inode,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, fault) = self.operate()?;
        let inode = state.find(from)?;
        let rename = Rename {
            from: Some(from.to_owned()),
            to: Some((to.to_owned(), inode)),
        };
        state.try_rename(rename, fault)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, fault) = self.operate()?;
        let inode = state.find(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let rename = Rename {
            from: None,
            to: Some((to.to_owned(), inode)),
        };
        state.try_rename(rename, fault)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, fault) = self.operate()?;
        state.find(path)?;
        let rename = Rename {
            from: Some(path.to_owned()),
            to: None,
        };
        state.try_rename(rename, fault)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let (mut state, fault) = self.operate()?;
        if fault || state.burns() {
            state.counts.sync_errors += 1;
            return Err(io::Error::other("the directory was not synced"));
        }
        let state = &mut *state;
        state.renames.retain(|rename| {
            let is_in = rename.is_in(path);
            if is_in {
                rename.apply(&mut state.durable_names);
            }
            !is_in
        });
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.operate()?.0;
        Ok(state.inodes[&self.inode].cached.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.operate()?.0;
        let most = into.len().min(state.random.random_range(1..100_000));
        let cached = &state.inodes[&self.inode].cached;
        let rest = cached.get(at as usize..).unwrap_or_default();
        let len = most.min(rest.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let (mut state, fault) = self.disk.operate()?;
        let room = state.capacity.saturating_sub(state.used());
        let old = state.inodes[&self.inode].cached.len();
        let fits = bytes.len().min((old + room).saturating_sub(at as usize));
        if fits == 0 {
            state.counts.full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let burns = state.burns();
        // Without any fault a write may still be short.
        let is_short = fault || burns || state.random.random_bool(0.1);
        let len = match is_short {
            true => state.random.random_range(1..=fits),
            false => fits,
        };
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.write(&bytes[..len], at as usize);
        if (fault && state.random.random_bool(0.7)) || burns {
            state.counts.write_errors += 1;
            return Err(io::Error::other("some of it was not written"));
        }
        Ok(len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let (mut state, fault) = self.disk.operate()?;
        if fault || state.burns() {
            return Err(io::Error::other("the file was not cut"));
        }
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.truncate(len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut guard, fault) = self.disk.operate()?;
        let state = &mut *guard;
        let burns = state.burns();
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        if fault {
            state.counts.sync_errors += 1;
            inode.sync_and_forget(&mut state.random);
            return Err(io::Error::other("something was not synced"));
        }
        if burns {
            // Killed before or after, the caller does not hear of it.
            if state.random.random_bool(0.5) {
                inode.sync();
            }
            return Err(io::Error::other("the process was killed"));
        }
        inode.sync();
        Ok(())
    }
}
