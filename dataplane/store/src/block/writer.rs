//! Writing a block, which is there as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::{BlockError, Fault};
use super::meta::{Description, FileMeta, META, Meta, Statistics};
use super::profiles::{ProfilesWriter, Row};
use super::series::{self, SERIES, Source};
use super::symbols;
use crate::head::SymbolView;

/// A block that is being written, in a directory that ends in `.tmp` until it is
/// whole.
pub(crate) struct BlockWriter {
    description: Description,
    root: PathBuf,
    staging: Staging,
    files: Vec<FileMeta>,
    statistics: Statistics,
    times: Option<(i64, i64)>,
    profiles: ProfilesWriter,
}

/// A directory that goes away unless it is kept.
struct Staging {
    path: PathBuf,
    is_kept: bool,
}

impl BlockWriter {
    /// Begins a block of profiles of sources, both in order, and of all the symbols
    /// that they refer to. It will be in a directory of its name under `root`.
    pub(crate) fn create(
        root: &Path,
        description: Description,
        symbols: &SymbolView,
        sources: Vec<Source>,
    ) -> Result<Self, BlockError> {
        let id = description.id.to_string();
        let fault = |fault: Fault| fault.of(&id, "its directory");
        if root.join(&id).exists() {
            return Err(fault(Fault::Refused("it is there already".to_owned())));
        }
        let staging = Staging::create(root, &id).map_err(|error| fault(error.into()))?;
        let files = symbols::write(&staging.path, symbols);
        let files = files.map_err(|(file, fault)| fault.of(&id, file))?;
        let statistics = Statistics {
            series: sources
                .iter()
                .map(|source| source.columns.len() as u64)
                .sum(),
            sources: sources.len() as u64,
            stacks: symbols.nodes.len() as u64 + 1,
            locations: symbols.locations.len() as u64,
            functions: symbols.functions.len() as u64,
            mappings: symbols.mappings.len() as u64,
            strings: symbols.strings.len() as u64,
            ..Statistics::default()
        };
        let profiles = ProfilesWriter::new(&staging.path, sources).map_err(fault)?;
        Ok(Self {
            description,
            root: root.to_owned(),
            staging,
            files,
            statistics,
            times: None,
            profiles,
        })
    }

    /// Adds a profile, which comes after those that were added.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), BlockError> {
        let (min, max) = self.times.unwrap_or((row.timestamp, row.timestamp));
        self.times = Some((min.min(row.timestamp), max.max(row.timestamp)));
        let pushed = self.profiles.push(row);
        pushed.map_err(|fault| fault.of(self.description.id, super::profiles::PROFILES))
    }

    /// Ends the block and makes it durable.
    pub(crate) fn finish(self) -> Result<Meta, BlockError> {
        let id = self.description.id;
        let empty = || BlockError::empty(&self.description);
        let times = self.times.ok_or_else(empty)?;
        let written = self.profiles.finish();
        let (profiles, placed, samples) =
            written.map_err(|fault| fault.of(id, super::profiles::PROFILES))?;
        let statistics = Statistics {
            profiles: profiles.rows,
            samples,
            ..self.statistics
        };
        let mut files = self.files;
        files.push(profiles);
        let series = series::write(&self.staging.path, &placed);
        files.push(series.map_err(|fault| fault.of(id, SERIES))?);
        let meta = Meta::new(&self.description, times, statistics, files);
        let published = self.staging.publish(&self.root, &meta);
        published.map_err(|error| Fault::from(error).of(id, "its directory"))?;
        Ok(meta)
    }
}

impl Staging {
    fn create(root: &Path, id: &str) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let path = root.join(format!("{id}.tmp"));
        // What a crash left.
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&path)?,
        }
        Ok(Self {
            path,
            is_kept: false,
        })
    }

    /// Gives the directory its name once everything in it is durable.
    fn publish(mut self, root: &Path, meta: &Meta) -> io::Result<()> {
        let mut file = File::create_new(self.path.join(META))?;
        file.write_all(&meta.encode())?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, root.join(meta.id()))?;
        self.is_kept = true;
        File::open(root)?.sync_all()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "half a block is left");
        }
    }
}
