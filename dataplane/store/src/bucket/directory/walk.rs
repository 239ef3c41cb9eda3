//! Pages of the keys in a directory, in the order of the keys.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::WRITING;
use crate::bucket::{Depth, Object, Page, PageToken};

/// Lists a page of what is below a folder.
pub(super) fn page(
    path: &Path,
    folder: &str,
    depth: Depth,
    after: &str,
    most: usize,
) -> io::Result<Page> {
    let mut walk = Walk {
        depth,
        after,
        most,
        page: Page::default(),
        last: None,
    };
    walk.folder(path, folder)?;
    Ok(walk.page)
}

struct Walk<'a> {
    depth: Depth,
    after: &'a str,
    most: usize,
    page: Page,
    /// What the page ends with, so far.
    last: Option<String>,
}

/// Whether a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    On,
    Full,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, folder: &str) -> io::Result<Next> {
        for (name, entry) in entries(path, folder.is_empty())? {
            let key = format!("{folder}{name}");
            let next = match (name.ends_with('/'), self.depth) {
                (false, _) => self.file(key, &entry)?,
                (true, Depth::One) => self.level(key, &entry)?,
                (true, Depth::All) if self.is_past(&key) => Next::On,
                (true, Depth::All) => self.folder(&entry.path(), &key)?,
            };
            if next == Next::Full {
                return Ok(Next::Full);
            }
        }
        Ok(Next::On)
    }

    /// Returns whether every key below a folder was on an earlier page.
    fn is_past(&self, folder: &str) -> bool {
        folder < self.after && !self.after.starts_with(folder)
    }

    fn file(&mut self, key: String, entry: &DirEntry) -> io::Result<Next> {
        if key.as_str() <= self.after {
            return Ok(Next::On);
        }
        let Some(meta) = unless_gone(entry.metadata())? else {
            return Ok(Next::On);
        };
        if self.is_full() {
            return Ok(Next::Full);
        }
        self.last = Some(key.clone());
        self.page.objects.push(Object {
            key,
            size: meta.len(),
            modified: meta.modified()?,
        });
        Ok(Next::On)
    }

    fn level(&mut self, folder: String, entry: &DirEntry) -> io::Result<Next> {
        // Without an object it is nothing: other stores have no empty folders either.
        if folder.as_str() <= self.after || !has_object(&entry.path())? {
            return Ok(Next::On);
        }
        if self.is_full() {
            return Ok(Next::Full);
        }
        self.last = Some(folder.clone());
        self.page.folders.push(folder);
        Ok(Next::On)
    }

    /// Returns whether the page is full, in which case there is another.
    fn is_full(&mut self) -> bool {
        let is_full = self.page.objects.len() + self.page.folders.len() >= self.most;
        if is_full {
            self.page.next = self.last.take().map(PageToken);
        }
        is_full
    }
}

/// Returns what is in a directory in the order of its keys: names of folders end with a slash.
/// Symbolic links and names that are not Unicode are no objects.
fn entries(path: &Path, is_root: bool) -> io::Result<Vec<(String, DirEntry)>> {
    let mut found = Vec::new();
    for entry in unless_gone(fs::read_dir(path))?.into_iter().flatten() {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else {
            continue;
        };
        let Some(kind) = unless_gone(entry.file_type())? else {
            continue;
        };
        if kind.is_dir() {
            if is_root && name == WRITING {
                continue;
            }
            name.push('/');
        } else if !kind.is_file() {
            continue;
        }
        found.push((name, entry));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn has_object(path: &Path) -> io::Result<bool> {
    for (name, entry) in entries(path, false)? {
        if !name.ends_with('/') || has_object(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns nothing for what was deleted meanwhile.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if super::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
