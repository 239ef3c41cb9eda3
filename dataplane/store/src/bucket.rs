//! The user's own bucket, behind one small interface: a directory, S3, Google Cloud Storage or
//! Azure Blob Storage.
//!
//! ```text
//! Bucket ─▶ time, repetition, metrics ─▶ one attempt ─┬▶ Directory: files, synced and renamed
//!            (retry decides)                          └▶ Remote: object_store ─▶ Client: HTTP, TLS
//! ```
//!
//! What a caller gets is whole or an error: answers are compared with the length that they announce
//! apart from their own, and what was written is [verified](Bucket::put). Every operation ends
//! within its [time](Patience), and no more than a set number of requests are under way.

mod answer;
mod azure;
mod connect;
mod directory;
mod error;
mod gcs;
mod http;
mod key;
mod metrics;
mod remote;
mod retry;
mod s3;
mod settings;
mod store;
mod tls;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

pub use error::{Error, OpenError, Operation, Place};
use metrics::Metrics;
use retry::Cause;
pub use settings::{
    Azure, AzureAccess, Backend, Gcs, Http, Patience, S3, S3Encryption, S3Key, SecretString,
    Settings,
};
use store::{Permit, Store};

/// No store has larger objects.
const MOST_BYTES: u64 = 1 << 46;

/// Looks up a variable of the environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A bucket. Clones share it.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    store: Store,
    /// For people, as in `s3 bucket profiles`.
    name: Arc<str>,
    prefix: String,
    patience: Patience,
    line: Arc<Semaphore>,
    metrics: Metrics,
}

/// An object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key, without the bucket's prefix.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written last, by the store's clock.
    pub modified: SystemTime,
}

/// How much of a folder is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its objects, and the folders in it by name.
    One,
    /// All objects below it.
    All,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects.
    pub objects: Vec<Object>,
    /// Folders, each with a slash at its end; only with [`Depth::One`].
    pub folders: Vec<String>,
    /// Where the next page begins; `None` on the last. A page may be empty and not the last.
    pub next: Option<PageToken>,
}

/// Where a page begins. Only for the list that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageToken(String);

impl fmt::Debug for Bucket {
    // The client library prints secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.name).finish()
    }
}

impl Bucket {
    /// The most objects and folders of one page.
    pub const MOST_OF_PAGE: usize = 1000;

    /// Opens a bucket, without asking anything of a remote store, and registers its metrics.
    /// Credentials that the settings leave to the environment are looked up in `environment`.
    ///
    /// # Errors
    /// If no client can be made of the settings; see [`OpenError`].
    pub fn open(
        settings: &Settings,
        environment: &Environment<'_>,
        registry: &mut Registry,
    ) -> Result<Self, OpenError> {
        let (kind, name) = settings.backend.name();
        Ok(Self(Arc::new(Inner {
            store: Store::open(settings, environment)?,
            name: format!("{kind} bucket {name}").into(),
            prefix: settings.prefix.clone(),
            patience: settings.patience,
            line: Arc::new(Semaphore::new(
                settings.parallel.clamp(1, Semaphore::MAX_PERMITS),
            )),
            metrics: Metrics::register(&name, registry),
        })))
    }

    /// Returns the bucket's name for people, as in `s3 bucket profiles`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Reads a whole object of at most `most` bytes.
    ///
    /// # Errors
    /// See [`Error`]; a larger object is [`Error::Broken`] and is not read.
    pub async fn get(&self, key: &str, most: u64) -> Result<Bytes, Error> {
        self.measured(Operation::Get, async {
            let key = self.key(Operation::Get, key)?;
            let range = 0..most.min(MOST_BYTES) + 1;
            let found = self
                .attempts(Operation::Get, &key, |permit| {
                    self.0.store.read(permit, &key, range.clone(), most)
                })
                .await?;
            // A range that begins with the first byte lies outside of nothing but an empty object.
            let bytes = found.map(|(bytes, _)| bytes).unwrap_or_default();
            self.0.metrics.read(Operation::Get, bytes.len() as u64);
            Ok(bytes)
        })
        .await
    }

    /// Reads a part of an object, which must have all of it.
    ///
    /// # Errors
    /// See [`Error`]; an object that ends before the range does is [`Error::Broken`].
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.measured(Operation::GetRange, async {
            let key = self.key(Operation::GetRange, key)?;
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            let found = self
                .attempts(Operation::GetRange, &key, |permit| {
                    self.0.store.read(permit, &key, range.clone(), u64::MAX)
                })
                .await?;
            match found {
                Some((bytes, _)) if bytes.len() as u64 == range.end - range.start => {
                    self.0.metrics.read(Operation::GetRange, bytes.len() as u64);
                    Ok(bytes)
                }
                found => {
                    let size = found
                        .map(|(_, size)| format!(" of {size} bytes"))
                        .unwrap_or_default();
                    let reason = format!("the object{size} ends before bytes {range:?} do");
                    Err(self.error(Operation::GetRange, &key, Cause::Broken(reason)))
                }
            }
        })
        .await
    }

    /// Returns size and age of an object.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn head(&self, key: &str) -> Result<Object, Error> {
        self.measured(Operation::Head, self.look_at(Operation::Head, key))
            .await
    }

    /// Returns whether there is such an object.
    ///
    /// # Errors
    /// See [`Error`]; that it is not there is none.
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.measured(Operation::Exists, async {
            match self.look_at(Operation::Exists, key).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Deletes an object; that there is none is as well.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        self.measured(Operation::Delete, async {
            let key = self.key(Operation::Delete, key)?;
            self.attempts(Operation::Delete, &key, |permit| {
                self.0.store.delete(permit, &key)
            })
            .await
        })
        .await
    }

    /// Lists a page of what is below `folder`, which ends with a slash, or is empty for the whole
    /// bucket. The order within a page is that of the keys with most stores, but not with all.
    ///
    /// # Errors
    /// See [`Error`]. A folder that does not exist is empty.
    pub async fn list(
        &self,
        folder: &str,
        depth: Depth,
        from: Option<PageToken>,
    ) -> Result<Page, Error> {
        self.list_some(folder, depth, from, Self::MOST_OF_PAGE)
            .await
    }

    /// Lists a page of at most `most` objects and folders, like [`Self::list`].
    ///
    /// # Errors
    /// See [`Error`]. A folder that does not exist is empty.
    pub async fn list_some(
        &self,
        folder: &str,
        depth: Depth,
        from: Option<PageToken>,
        most: usize,
    ) -> Result<Page, Error> {
        let most = most.clamp(1, Self::MOST_OF_PAGE);
        self.measured(Operation::List, async {
            let full = self.folder(folder)?;
            let page = self
                .attempts(Operation::List, &full, |permit| {
                    self.0.store.list(permit, &full, depth, from.clone(), most)
                })
                .await?;
            Ok(self.without_prefix(page))
        })
        .await
    }

    async fn look_at(&self, operation: Operation, key: &str) -> Result<Object, Error> {
        let full = self.key(operation, key)?;
        let found = self
            .attempts(operation, &full, |permit| self.0.store.head(permit, &full))
            .await?;
        Ok(Object {
            key: key.to_owned(),
            ..found
        })
    }

    /// Returns a key with the bucket's prefix, if it is one.
    fn key(&self, operation: Operation, key: &str) -> Result<String, Error> {
        let full = key::join(&self.0.prefix, key);
        // The prefix counts, and a key that is wrong must not become right by it.
        match key::check(key).and_then(|()| key::check(&full)) {
            Ok(()) => Ok(full),
            Err(reason) => Err(self.error(operation, &full, Cause::Broken(reason))),
        }
    }

    /// Returns what the keys in a folder start with.
    fn folder(&self, folder: &str) -> Result<String, Error> {
        let full = match (folder, self.0.prefix.as_str()) {
            ("", "") => return Ok(String::new()),
            ("", prefix) => format!("{prefix}/"),
            (folder, prefix) => key::join(prefix, folder),
        };
        let checked = match full.strip_suffix('/') {
            Some(path) => key::check(path),
            None => Err("a folder ends with a slash".to_owned()),
        };
        match checked {
            Ok(()) => Ok(full),
            Err(reason) => Err(self.error(Operation::List, &full, Cause::Broken(reason))),
        }
    }

    fn without_prefix(&self, page: Page) -> Page {
        let own = |key: &str| key::strip(&self.0.prefix, key).map(str::to_owned);
        let objects = page.objects.into_iter().filter_map(|object| {
            let key = own(&object.key)?;
            Some(Object { key, ..object })
        });
        Page {
            objects: objects.collect(),
            folders: page.folders.iter().filter_map(|it| own(it)).collect(),
            next: page.next,
        }
    }

    /// Makes attempts until one succeeds, it makes no sense to go on, or the time is over.
    async fn attempts<T, F>(
        &self,
        operation: Operation,
        key: &str,
        mut attempt: impl FnMut(Permit) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let patience = &self.0.patience;
        let deadline = Instant::now() + patience.operation;
        let mut failed = 0;
        loop {
            let cause = match timeout_at(deadline, self.in_line(&mut attempt)).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(cause)) => cause,
                Err(_) => Cause::Transient(format!("it took longer than {:?}", patience.operation)),
            };
            failed += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(pause) = patience.pause(&cause, failed, left, rand::random()) else {
                return Err(self.error(operation, key, cause));
            };
            let word = cause.passes().unwrap_or_default();
            self.0.metrics.repeated(operation, word);
            tracing::debug!(
                operation = operation.name(),
                key,
                ?cause,
                ?pause,
                "request is repeated"
            );
            sleep(pause).await;
        }
    }

    /// Makes an attempt when it is its turn.
    async fn in_line<T, F>(&self, attempt: &mut impl FnMut(Permit) -> F) -> Result<T, Cause>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let permit = Arc::clone(&self.0.line).acquire_owned().await;
        let permit = permit.map_err(|_| Cause::Broken("the bucket is closed".to_owned()))?;
        attempt(permit).await
    }

    async fn measured<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let result = work.await;
        let took: Duration = began.elapsed();
        self.0.metrics.done(operation, &result, took);
        result
    }

    fn error(&self, operation: Operation, key: &str, cause: Cause) -> Error {
        let place = Place {
            operation,
            bucket: Arc::clone(&self.0.name),
            key: key.to_owned(),
        };
        Error::new(place, cause)
    }
}
