//! Uploads: in parts when large, and verified before the caller may forget the source.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::multipart::PartId;
use tokio::time::timeout;

use super::error::Error;
use super::remote::{Confirmed, Remote};
use super::retry::Cause;
use super::store::{Store, copy};
use super::{Bucket, Operation};

/// Size of parts, and the most that is uploaded at once. S3 wants at least 5 MiB.
const PART: u64 = 8 << 20;
/// Parts of one upload at once: as many times [`PART`] are in memory.
const PARALLEL_PARTS: usize = 4;
/// S3 takes no more.
const MOST_PARTS: u64 = 10_000;

impl Bucket {
    /// Writes an object, over another if there is one, and returns when the store has shown that it
    /// has these bytes: by its checksum of them, or else by giving them back.
    ///
    /// # Errors
    /// See [`Error`]. The object may be there nevertheless, whole; it is safe to put it again.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.measured(Operation::Upload, async {
            let key = self.key(Operation::Upload, key)?;
            self.put_verified(&key, bytes.clone()).await?;
            self.0
                .metrics
                .uploaded(bytes.len() as u64, SystemTime::now());
            Ok(())
        })
        .await
    }

    /// Writes a file as an object, like [`Self::put`], and returns its size. The file must not
    /// change meanwhile.
    ///
    /// What is left of an upload in parts that was not finished, as the process ended or the store
    /// failed, is not visible as an object; let the bucket's lifecycle remove it.
    ///
    /// # Errors
    /// See [`Error`]. The object may be there nevertheless, whole; it is safe to upload it again.
    pub async fn upload(&self, key: &str, file: &Path) -> Result<u64, Error> {
        self.measured(Operation::Upload, async {
            let key = self.key(Operation::Upload, key)?;
            let source = Source::open(file).await;
            let source = source.map_err(|cause| self.error(Operation::Upload, &key, cause))?;
            self.upload_source(&key, &source).await?;
            self.0.metrics.uploaded(source.size, SystemTime::now());
            Ok(source.size)
        })
        .await
    }

    async fn upload_source(&self, key: &str, source: &Source) -> Result<(), Error> {
        match &self.0.store {
            Store::Directory(directory) => {
                self.attempts(Operation::Upload, key, |permit| {
                    copy(
                        permit,
                        directory,
                        key,
                        Arc::clone(&source.file),
                        source.size,
                    )
                })
                .await
            }
            Store::Remote(_) if source.size <= PART => {
                let bytes = source.read(0..source.size).await;
                let bytes = bytes.map_err(|cause| self.error(Operation::Upload, key, cause))?;
                self.put_verified(key, bytes).await
            }
            Store::Remote(remote) => self.upload_parts(remote, key, source).await,
        }
    }

    async fn put_verified(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        let confirmed = self
            .attempts(Operation::Upload, key, |permit| {
                self.0.store.put(permit, key, bytes.clone())
            })
            .await?;
        if confirmed == Confirmed::Yes {
            return Ok(());
        }
        let sum = crc32fast::hash(&bytes);
        if bytes.is_empty() {
            return self.check_size(key, 0).await;
        }
        self.check_range(key, 0..bytes.len() as u64, bytes.len() as u64, sum)
            .await
    }

    async fn upload_parts(&self, remote: &Remote, key: &str, source: &Source) -> Result<(), Error> {
        let upload = self
            .attempts(Operation::Upload, key, |permit| async {
                let _permit = permit;
                remote.begin(key).await
            })
            .await?;
        let result = self.put_parts(remote, key, source, &upload).await;
        if result.is_err() {
            let aborted = timeout(self.0.patience.stall, remote.abort(key, &upload)).await;
            if !matches!(aborted, Ok(Ok(()))) {
                tracing::debug!(key, "parts of a failed upload are left in the bucket");
            }
        }
        match result {
            // A lifecycle may have removed them.
            Err(Error::NotFound { .. }) => {
                let cause =
                    Cause::Transient("the store has lost the parts that were sent".to_owned());
                Err(self.error(Operation::Upload, key, cause))
            }
            result => result,
        }
    }

    async fn put_parts(
        &self,
        remote: &Remote,
        key: &str,
        source: &Source,
        upload: &String,
    ) -> Result<(), Error> {
        let parts: Vec<Sent> = stream::iter(source.parts().enumerate())
            .map(|(index, range)| self.put_part(remote, key, source, upload, index, range))
            .buffered(PARALLEL_PARTS)
            .try_collect()
            .await?;
        let ids: Vec<PartId> = parts.iter().map(|part| part.id.clone()).collect();
        let completed = self
            .attempts(Operation::Upload, key, |permit| {
                let ids = ids.clone();
                async move {
                    let _permit = permit;
                    remote.complete(key, upload, ids).await
                }
            })
            .await;
        let all = parts.iter().map(|part| part.confirmed);
        let confirmed = match completed {
            Ok(()) => all.fold(Confirmed::Yes, Confirmed::and),
            // An attempt may have succeeded without our learning of it: the next then finds nothing
            // to complete. What is there says which it was.
            Err(error) if error.is_not_found() => Confirmed::No,
            Err(error) => return Err(error),
        };
        self.check_size(key, source.size).await?;
        if confirmed == Confirmed::No {
            for part in parts {
                self.check_range(key, part.range, source.size, part.sum)
                    .await?;
            }
        }
        Ok(())
    }

    async fn put_part(
        &self,
        remote: &Remote,
        key: &str,
        source: &Source,
        upload: &String,
        index: usize,
        range: Range<u64>,
    ) -> Result<Sent, Error> {
        let bytes = source.read(range.clone()).await;
        let bytes = bytes.map_err(|cause| self.error(Operation::Upload, key, cause))?;
        let part = self
            .attempts(Operation::Upload, key, |permit| {
                let bytes = bytes.clone();
                async move {
                    let _permit = permit;
                    remote.put_part(key, upload, index, bytes).await
                }
            })
            .await?;
        Ok(Sent {
            id: part.id,
            confirmed: part.confirmed,
            sum: crc32fast::hash(&bytes),
            range,
        })
    }

    async fn check_size(&self, key: &str, size: u64) -> Result<(), Error> {
        let found = self
            .attempts(Operation::Upload, key, |permit| {
                self.0.store.head(permit, key)
            })
            .await?;
        match found.size == size {
            true => Ok(()),
            false => Err(self.different(key, &format!("{} bytes instead of {size}", found.size))),
        }
    }

    /// Reads a range again and compares it with what was sent.
    async fn check_range(
        &self,
        key: &str,
        range: Range<u64>,
        size: u64,
        sum: u32,
    ) -> Result<(), Error> {
        let found = self
            .attempts(Operation::Upload, key, |permit| {
                self.0.store.read(permit, key, range.clone(), u64::MAX)
            })
            .await?;
        match found {
            Some((bytes, whole)) if whole == size && crc32fast::hash(&bytes) == sum => Ok(()),
            _ => Err(self.different(key, "other bytes")),
        }
    }

    fn different(&self, key: &str, what: &str) -> Error {
        let cause = Cause::Transient(format!("the store has {what} than were sent"));
        self.error(Operation::Upload, key, cause)
    }
}

/// A part that was sent.
struct Sent {
    id: PartId,
    confirmed: Confirmed,
    sum: u32,
    range: Range<u64>,
}

/// A file that is uploaded.
struct Source {
    file: Arc<File>,
    size: u64,
}

impl Source {
    async fn open(path: &Path) -> Result<Self, Cause> {
        let wrong = |error: std::io::Error| {
            Cause::Broken(format!("cannot read {}: {error}", path.display()))
        };
        let file = tokio::fs::File::open(path).await.map_err(wrong)?;
        let meta = file.metadata().await.map_err(wrong)?;
        if !meta.is_file() {
            return Err(Cause::Broken(format!("{} is not a file", path.display())));
        }
        Ok(Self {
            file: Arc::new(file.into_std().await),
            size: meta.len(),
        })
    }

    /// Returns the ranges of the parts, all of which but the last are of one size.
    fn parts(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let (size, part) = (self.size, part_size(self.size));
        (0..size.div_ceil(part)).map(move |index| index * part..size.min((index + 1) * part))
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Cause> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let length = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok::<_, std::io::Error>(Bytes::from(bytes))
        });
        let read = read.await.map_err(std::io::Error::other).flatten();
        read.map_err(|error| Cause::Broken(format!("cannot read its source: {error}")))
    }
}

fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_no_more_than_stores_take_and_cover_the_whole() {
        for size in [
            PART + 1,
            3 * PART,
            100 * PART - 1,
            MOST_PARTS * PART + 1,
            1 << 42,
        ] {
            let part = part_size(size);
            let count = size.div_ceil(part);
            assert!(part >= PART && count <= MOST_PARTS, "{size}");
            assert!((count - 1) * part < size && count * part >= size, "{size}");
        }
    }
}
