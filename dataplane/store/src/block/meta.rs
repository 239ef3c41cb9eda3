//! `meta.json`: what a block is, and of which files it is made.

use std::fmt::Write as _;
use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::error::BlockError;

/// Version of the format that is written, and the highest that is read.
pub const VERSION: u64 = 1;

/// Name of the file.
pub(crate) const META: &str = "meta.json";

/// What tells blocks from whatever else has a `meta.json`.
const FORMAT: &str = "pyroscope-block";

/// Longest `meta.json` that is read, in bytes.
pub(crate) const MAX_META_BYTES: u64 = 16 << 20;

/// What there is to know of a block before any other of its files is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    format: String,
    version: u64,
    /// SHA-256 of `meta.json` with zeros in the place of these digits.
    sha256: String,
    id: String,
    /// Whose profiles they are.
    pub tenant: String,
    /// Time of the oldest profile in Unix milliseconds.
    pub min_time: i64,
    /// Time of the newest profile in Unix milliseconds.
    pub max_time: i64,
    /// How often profiles of the block were merged from other blocks; 1 is never.
    pub level: u32,
    /// Names of the blocks that it was merged from.
    pub parents: Vec<String>,
    /// Counts the changes of the replication factor that the writer knew of.
    pub replication_epoch: u64,
    /// Program, version and instance that wrote it.
    pub creator: String,
    /// How much there is.
    pub statistics: Statistics,
    /// Every other file.
    pub files: Vec<FileMeta>,
}

/// How much a block has of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Rows of `profiles.parquet`.
    pub profiles: u64,
    /// Rows of `series.parquet`.
    pub series: u64,
    /// Label sets and lists of sample types.
    pub sources: u64,
    /// Stacks of all profiles.
    pub samples: u64,
    /// Rows of `stacks.parquet`.
    pub stacks: u64,
    /// Rows of `locations.parquet`.
    pub locations: u64,
    /// Rows of `functions.parquet`.
    pub functions: u64,
    /// Rows of `mappings.parquet`.
    pub mappings: u64,
    /// Rows of `strings.parquet`.
    pub strings: u64,
}

/// A file of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Its name in the directory of the block.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
    /// Length of the Parquet footer at its end, with the eight bytes that say so.
    pub footer_length: u64,
    /// CRC-32 of that footer.
    pub footer_crc32: u32,
}

/// What a writer is told of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The block's name.
    pub id: Ulid,
    /// Whose profiles they are.
    pub tenant: String,
    /// As [`Meta::level`].
    pub level: u32,
    /// As [`Meta::parents`].
    pub parents: Vec<Ulid>,
    /// As [`Meta::replication_epoch`].
    pub replication_epoch: u64,
    /// As [`Meta::creator`].
    pub creator: String,
}

/// As much of `meta.json` as every version has.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
}

impl Meta {
    pub(crate) fn new(
        description: &Description,
        times: (i64, i64),
        statistics: Statistics,
        files: Vec<FileMeta>,
    ) -> Self {
        let mut meta = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            sha256: "0".repeat(64),
            id: description.id.to_string(),
            tenant: description.tenant.clone(),
            min_time: times.0,
            max_time: times.1,
            level: description.level,
            parents: description.parents.iter().map(Ulid::to_string).collect(),
            replication_epoch: description.replication_epoch,
            creator: description.creator.clone(),
            statistics,
            files,
        };
        meta.sha256 = sha256(meta.text().as_bytes());
        meta
    }

    /// The block's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the file of a name.
    pub fn file(&self, name: &str) -> Option<&FileMeta> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Length of all files but `meta.json` itself, in bytes.
    pub fn length(&self) -> u64 {
        let lengths = self.files.iter().map(|file| file.length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Returns the bytes of `meta.json`.
    pub fn encode(&self) -> Vec<u8> {
        self.text().into_bytes()
    }

    /// Reads the `meta.json` of the block of a name. Fields that are not known are
    /// ignored.
    ///
    /// # Errors
    /// It is damaged, of something else, of another block, or of a newer version.
    pub fn decode(block: &str, bytes: &[u8]) -> Result<Self, BlockError> {
        let damaged = |reason: String| BlockError::Damaged {
            block: block.to_owned(),
            file: META.to_owned(),
            reason,
        };
        let foreign = |reason: String| BlockError::Foreign {
            block: block.to_owned(),
            reason,
        };
        let text = str::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let header = Header::deserialize(&value)
            .map_err(|_| foreign("it has no format and version".to_owned()))?;
        if header.format != FORMAT {
            return Err(foreign(format!("its format is {:?}", header.format)));
        }
        if header.version > VERSION {
            return Err(BlockError::Version {
                block: block.to_owned(),
                version: header.version,
            });
        }
        let meta = Self::deserialize(&value).map_err(|error| damaged(error.to_string()))?;
        if meta.sha256.len() != 64 || sha256_without(text, &meta.sha256) != meta.sha256 {
            return Err(damaged("its checksum is another one".to_owned()));
        }
        if meta.id != block {
            return Err(foreign(format!("it is of block {}", meta.id)));
        }
        let is_ulid = |id: &String| Ulid::from_str(id).is_ok();
        let are_names = is_ulid(&meta.id) && meta.parents.iter().all(is_ulid);
        match are_names {
            true => Ok(meta),
            false => Err(damaged("a name of a block is no ULID".to_owned())),
        }
    }

    fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it is made of texts and numbers");
        text.push('\n');
        text
    }
}

/// Returns the checksum that a text has once the first place of another one in it
/// is all zeros.
fn sha256_without(text: &str, checksum: &str) -> String {
    let zeros = "0".repeat(checksum.len());
    sha256(text.replacen(checksum, &zeros, 1).as_bytes())
}

/// Returns the SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let description = Description {
            id: Ulid(7),
            tenant: "a \"tenant\" \u{1f980}".to_owned(),
            level: 2,
            parents: vec![Ulid(1), Ulid(2)],
            replication_epoch: 3,
            creator: "test".to_owned(),
        };
        let file = FileMeta {
            name: "strings.parquet".to_owned(),
            length: 4,
            sha256: sha256(b"text"),
            rows: 2,
            footer_length: 2,
            footer_crc32: 9,
        };
        Meta::new(
            &description,
            (i64::MIN, i64::MAX),
            Statistics::default(),
            vec![file],
        )
    }

    fn decode(text: &str) -> Result<Meta, BlockError> {
        Meta::decode(&Ulid(7).to_string(), text.as_bytes())
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let meta = meta();
        let text = String::from_utf8(meta.encode()).unwrap();
        assert_eq!(decode(&text).unwrap(), meta);
        let sealed = text.replace("  \"tenant\"", "  \"new\": [1],\n  \"tenant\"");
        let sealed = sealed.replace(&meta.sha256, &"0".repeat(64));
        let sealed = sealed.replace(&"0".repeat(64), &sha256(sealed.as_bytes()));
        assert_eq!(
            decode(&sealed).unwrap().files,
            meta.files,
            "more is ignored"
        );
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let bytes = meta().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let error = Meta::decode(&Ulid(7).to_string(), &damaged).unwrap_err();
                assert!(error.to_string().contains("meta.json"), "{error}");
            }
        }
    }

    #[test]
    fn others_are_named() {
        let text = String::from_utf8(meta().encode()).unwrap();
        let error = decode(&text.replace("\"version\": 1", "\"version\": 2")).unwrap_err();
        assert!(matches!(error, BlockError::Version { version: 2, .. }));
        let error = decode("{\"version\": 1, \"ulid\": \"x\", \"thanos\": {}}").unwrap_err();
        assert!(matches!(error, BlockError::Foreign { .. }), "{error}");
        let error = Meta::decode(&Ulid(8).to_string(), text.as_bytes()).unwrap_err();
        assert!(matches!(error, BlockError::Foreign { .. }), "{error}");
        for cut in 0..text.len() - 2 {
            let error = decode(&text[..cut.min(text.floor_char_boundary(cut))]).unwrap_err();
            assert!(matches!(error, BlockError::Damaged { .. }), "{error}");
        }
    }
}
