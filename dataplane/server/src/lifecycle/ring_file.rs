//! The file in which an instance remembers its ring: a checksum (XXH3-64, most
//! significant byte first) and the encoded descriptor.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use prost::Message as _;
use proto::ring::Desc;
use xxhash_rust::xxh3::xxh3_64;

/// Reads the ring; an empty one when there is no file.
///
/// # Errors
///
/// Fails when the file cannot be read or is damaged.
pub(super) fn read(file: &Path) -> io::Result<Desc> {
    let content = match fs::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Desc::default()),
        Err(error) => return Err(error),
    };
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (checksum, encoded) = content
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("it is too short"))?;
    if u64::from_be_bytes(*checksum) != xxh3_64(encoded) {
        return Err(damaged("its checksum does not match"));
    }
    Desc::decode(encoded).map_err(|error| damaged(&error.to_string()))
}

/// Replaces the file as a whole, so that a crash leaves the old or the new one.
///
/// # Errors
///
/// Fails when the file cannot be written; the old one is still there then.
pub(super) fn write(file: &Path, ring: &Desc) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let encoded = ring.encode_to_vec();
    let fresh = file.with_extension("tmp");
    let mut out = fs::File::create(&fresh)?;
    out.write_all(&xxh3_64(&encoded).to_be_bytes())?;
    out.write_all(&encoded)?;
    out.sync_all()?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use proto::ring::InstanceDesc;

    use super::*;

    #[test]
    fn a_damaged_file_is_an_error_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data").join("ring");
        assert_eq!(read(&file).unwrap(), Desc::default());
        let ring = Desc {
            ingesters: [("a".to_owned(), InstanceDesc::default())].into(),
        };
        write(&file, &ring).unwrap();
        assert_eq!(read(&file).unwrap(), ring);
        let mut content = fs::read(&file).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(&file, &content).unwrap();
        assert!(read(&file).is_err());
        fs::write(&file, [0; 3]).unwrap();
        assert!(read(&file).is_err());
    }
}
