//! The kinds of stores, as one: single attempts, each of which holds its place in the line until it
//! has really ended.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::RetryConfig;
use tokio::sync::OwnedSemaphorePermit;

use super::directory::Directory;
use super::error::OpenError;
use super::remote::{Confirmed, Remote};
use super::retry::Cause;
use super::settings::{Backend, Settings};
use super::{Depth, Environment, Object, Page, PageToken, azure, gcs, s3};

/// One of the kinds.
pub(super) enum Store {
    Directory(Arc<Directory>),
    Remote(Remote),
}

/// The right to one request; given back when dropped.
pub(super) type Permit = OwnedSemaphorePermit;

impl Store {
    /// Opens the store of these settings, without asking anything of it.
    pub(super) fn open(
        settings: &Settings,
        environment: &Environment<'_>,
    ) -> Result<Self, OpenError> {
        let patience = &settings.patience;
        let no_retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        Ok(match &settings.backend {
            Backend::Filesystem(path) => Self::Directory(Arc::new(Directory::open(path)?)),
            Backend::S3(s3) => {
                Self::Remote(Remote::new(s3::open(s3, patience, environment, no_retry)?))
            }
            Backend::Gcs(gcs) => Self::Remote(Remote::new(gcs::open(
                gcs,
                patience,
                environment,
                no_retry,
            )?)),
            Backend::Azure(azure) => Self::Remote(Remote::new(azure::open(
                azure,
                patience,
                environment,
                no_retry,
            )?)),
        })
    }

    /// Reads a part of an object that begins within it, with the size of the whole; `None` if it
    /// begins beyond the end.
    pub(super) async fn read(
        &self,
        permit: Permit,
        key: &str,
        range: Range<u64>,
        most: u64,
    ) -> Result<Option<(Bytes, u64)>, Cause> {
        match self {
            Self::Directory(directory) => {
                let key = key.to_owned();
                blocking(permit, directory, move |it| it.read(&key, range, most)).await
            }
            Self::Remote(remote) => remote.read(key, range, most).await,
        }
    }

    /// Returns size and age of an object.
    pub(super) async fn head(&self, permit: Permit, key: &str) -> Result<Object, Cause> {
        match self {
            Self::Directory(directory) => {
                let key = key.to_owned();
                blocking(permit, directory, move |it| it.head(&key)).await
            }
            Self::Remote(remote) => remote.head(key).await,
        }
    }

    /// Writes a small object at once.
    pub(super) async fn put(
        &self,
        permit: Permit,
        key: &str,
        bytes: Bytes,
    ) -> Result<Confirmed, Cause> {
        match self {
            Self::Directory(directory) => {
                let key = key.to_owned();
                let write =
                    move |it: &Directory| it.write(&key, &mut bytes.as_ref(), bytes.len() as u64);
                blocking(permit, directory, write).await?;
                Ok(Confirmed::Yes)
            }
            Self::Remote(remote) => remote.put(key, bytes).await,
        }
    }

    /// Deletes an object, if there is one.
    pub(super) async fn delete(&self, permit: Permit, key: &str) -> Result<(), Cause> {
        match self {
            Self::Directory(directory) => {
                let key = key.to_owned();
                blocking(permit, directory, move |it| it.delete(&key)).await
            }
            Self::Remote(remote) => remote.delete(key).await,
        }
    }

    /// Lists a page of what is below a folder, which ends with a slash or is empty.
    pub(super) async fn list(
        &self,
        permit: Permit,
        folder: &str,
        depth: Depth,
        token: Option<PageToken>,
        most: usize,
    ) -> Result<Page, Cause> {
        match self {
            Self::Directory(directory) => {
                let (folder, after) = (folder.to_owned(), token.unwrap_or_default().0);
                let list = move |it: &Directory| it.list(&folder, depth, &after, most);
                blocking(permit, directory, list).await
            }
            Self::Remote(remote) => remote.list(folder, depth, token, most).await,
        }
    }
}

/// Copies a file into a directory.
pub(super) async fn copy(
    permit: Permit,
    directory: &Arc<Directory>,
    key: &str,
    file: Arc<File>,
    size: u64,
) -> Result<(), Cause> {
    let key = key.to_owned();
    let write = move |it: &Directory| {
        use std::io::{Seek, SeekFrom};
        let mut file = file.as_ref();
        file.seek(SeekFrom::Start(0))
            .map_err(|error| Cause::Transient(error.to_string()))?;
        it.write(&key, &mut file, size)
    };
    blocking(permit, directory, write).await
}

/// Does something with the disk where it holds up nobody. A disk that hangs keeps the permit.
async fn blocking<T: Send + 'static>(
    permit: Permit,
    directory: &Arc<Directory>,
    work: impl FnOnce(&Directory) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    let directory = Arc::clone(directory);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&directory)
    });
    match done.await {
        Ok(result) => result,
        Err(error) => Err(Cause::Transient(format!("its work was abandoned: {error}"))),
    }
}
