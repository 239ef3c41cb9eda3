//! A bucket behind a network: one attempt at each operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use md5::{Digest, Md5};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, PutPayload,
};

use super::answer;
use super::directory::too_large;
use super::http::{Receipt, is_outside};
use super::retry::Cause;
use super::{Depth, Object, Page, PageToken};

/// Memory that is taken for an object before it is there.
const MOST_AHEAD: u64 = 16 << 20;

/// What the library offers for every kind of store.
pub(super) trait Library: ObjectStore + MultipartStore + PaginatedListStore {}

impl<T: ObjectStore + MultipartStore + PaginatedListStore> Library for T {}

/// A bucket behind a network.
pub(super) struct Remote {
    library: Arc<dyn Library>,
    /// Whether the bucket is known to exist.
    is_known: AtomicBool,
}

/// Whether a store has shown that it received what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// Its checksum of the bytes is ours.
    Yes,
    /// It gave none, or one of another kind.
    No,
}

impl Confirmed {
    /// Returns the weaker of two.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::No,
        }
    }
}

/// A part that the store has.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) id: PartId,
    pub(super) confirmed: Confirmed,
}

impl Remote {
    pub(super) fn new(library: impl Library) -> Self {
        Self {
            library: Arc::new(library),
            is_known: AtomicBool::new(false),
        }
    }

    /// Reads a part of an object that begins within it, with the size of the whole; `None` if it
    /// begins beyond the end. A range is always asked for, so that the answer says how long the
    /// object is apart from how long the answer is.
    pub(super) async fn read(
        &self,
        key: &str,
        range: std::ops::Range<u64>,
        most: u64,
    ) -> Result<Option<(Bytes, u64)>, Cause> {
        let start = range.start;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let found = match self.library.get_opts(&path(key)?, options).await {
            Ok(found) => found,
            Err(error) => match answer::fault(&error) {
                fault if is_outside(fault) => return Ok(None),
                // Azurite answers with a range that ends before it begins.
                None if self.head(key).await?.size <= start => return Ok(None),
                _ => return Err(answer::cause(&error)),
            },
        };
        let size = found.meta.size;
        if size > most {
            return Err(too_large(size, most));
        }
        let length = found.range.end - found.range.start;
        let mut stream = found.into_stream();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| answer::cause(&error))?;
            if (bytes.len() + chunk.len()) as u64 > length {
                break;
            }
            if bytes.is_empty() && chunk.len() as u64 == length {
                return Ok(Some((chunk, size)));
            }
            if bytes.is_empty() {
                bytes.reserve(length.min(MOST_AHEAD) as usize);
            }
            bytes.extend_from_slice(&chunk);
        }
        match bytes.len() as u64 == length {
            true => Ok(Some((bytes.freeze(), size))),
            false => Err(Cause::Transient(format!(
                "the answer had not the {length} bytes that it announced"
            ))),
        }
    }

    /// Returns size and age of an object. An answer to HEAD does not say whether it is the object or
    /// the bucket that is not there, so the first time it is asked for in full.
    pub(super) async fn head(&self, key: &str) -> Result<Object, Cause> {
        let found = self.library.head(&path(key)?).await;
        let found = found
            .map(|meta| object(&meta))
            .map_err(|error| answer::cause(&error));
        if found == Err(Cause::NotFound) && !self.is_known.load(Ordering::Relaxed) {
            match Box::pin(self.read(key, 0..1, u64::MAX)).await {
                Ok(_) | Err(Cause::NotFound) => {}
                Err(cause) => return Err(cause),
            }
        }
        if let Ok(_) | Err(Cause::NotFound) = found {
            self.is_known.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Writes a small object at once.
    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<Confirmed, Cause> {
        let sum = Sum::of(&bytes);
        let payload = PutPayload::from(bytes);
        let put = self
            .library
            .put_opts(&path(key)?, payload, PutOptions::default())
            .await
            .map_err(|error| answer::cause(&error))?;
        let receipt = put.extensions.get::<Receipt>();
        let said = receipt.and_then(|receipt| receipt.md5.as_deref());
        Ok(sum.confirmed_by(put.e_tag.as_deref(), said))
    }

    /// Begins an object of many parts.
    pub(super) async fn begin(&self, key: &str) -> Result<String, Cause> {
        let begun = self.library.create_multipart(&path(key)?).await;
        begun.map_err(|error| answer::cause(&error))
    }

    /// Writes the part with this index.
    pub(super) async fn put_part(
        &self,
        key: &str,
        upload: &String,
        index: usize,
        bytes: Bytes,
    ) -> Result<Part, Cause> {
        let sum = Sum::of(&bytes);
        let id = self
            .library
            .put_part(&path(key)?, upload, index, bytes.into())
            .await
            .map_err(|error| answer::cause(&error))?;
        let confirmed = sum.confirmed_by(Some(&id.content_id), None);
        Ok(Part { id, confirmed })
    }

    /// Makes an object of its parts.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload: &String,
        parts: Vec<PartId>,
    ) -> Result<(), Cause> {
        let done = self
            .library
            .complete_multipart(&path(key)?, upload, parts)
            .await;
        done.map(drop).map_err(|error| answer::cause(&error))
    }

    /// Forgets the parts of an object that will not be.
    pub(super) async fn abort(&self, key: &str, upload: &String) -> Result<(), Cause> {
        let done = self.library.abort_multipart(&path(key)?, upload).await;
        done.map_err(|error| answer::cause(&error))
    }

    /// Deletes an object, if there is one.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Cause> {
        match self.library.delete(&path(key)?).await {
            Ok(()) => Ok(()),
            Err(error) => match answer::cause(&error) {
                Cause::NotFound => Ok(()),
                cause => Err(cause),
            },
        }
    }

    /// Lists a page of what is below a folder, which ends with a slash or is empty.
    pub(super) async fn list(
        &self,
        folder: &str,
        depth: Depth,
        token: Option<PageToken>,
        most: usize,
    ) -> Result<Page, Cause> {
        let options = PaginatedListOptions {
            delimiter: match depth {
                Depth::One => Some("/".into()),
                Depth::All => None,
            },
            max_keys: Some(most),
            page_token: token.map(|token| token.0),
            ..PaginatedListOptions::default()
        };
        let prefix = (!folder.is_empty()).then_some(folder);
        let found = self
            .library
            .list_paginated(prefix, options)
            .await
            .map_err(|error| answer::cause(&error))?;
        let folders = found.result.common_prefixes.iter();
        Ok(Page {
            objects: found.result.objects.iter().map(object).collect(),
            folders: folders.map(|folder| format!("{folder}/")).collect(),
            next: found.page_token.map(PageToken),
        })
    }
}

fn path(key: &str) -> Result<Path, Cause> {
    Path::parse(key).map_err(|error| Cause::Broken(error.to_string()))
}

fn object(meta: &ObjectMeta) -> Object {
    Object {
        key: meta.location.to_string(),
        size: meta.size,
        modified: SystemTime::from(meta.last_modified),
    }
}

/// The checksum that most stores give back.
#[derive(Clone, Copy, Debug)]
struct Sum([u8; 16]);

impl Sum {
    fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }

    /// Compares it with an entity tag, which with S3 and Google is often the MD5 in hex, and with
    /// an MD5 in base64.
    fn confirmed_by(&self, tag: Option<&str>, md5: Option<&str>) -> Confirmed {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let by_tag = tag.is_some_and(|tag| tag.trim_matches('"').eq_ignore_ascii_case(&hex));
        let by_md5 = md5.is_some_and(|md5| md5 == BASE64_STANDARD.encode(self.0));
        match by_tag || by_md5 {
            true => Confirmed::Yes,
            false => Confirmed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_received_is_confirmed_by_its_md5_alone() {
        let sum = Sum::of(b"abc");
        let (tag, md5) = (
            "\"900150983cd24fb0d6963f7d28e17f72\"",
            "kAFQmDzST7DWlj99KOF/cg==",
        );
        assert_eq!(sum.confirmed_by(Some(tag), None), Confirmed::Yes);
        assert_eq!(sum.confirmed_by(None, Some(md5)), Confirmed::Yes);
        assert_eq!(
            sum.confirmed_by(Some("\"0x8D\""), Some(md5)),
            Confirmed::Yes
        );
        let of_parts = "\"900150983cd24fb0d6963f7d28e17f72-2\"";
        assert_eq!(sum.confirmed_by(Some(of_parts), None), Confirmed::No);
        assert_eq!(sum.confirmed_by(None, None), Confirmed::No);
        assert_eq!(
            Sum::of(b"abd").confirmed_by(Some(tag), Some(md5)),
            Confirmed::No
        );
    }
}
