//! Encryption: AES-GCM with one of several keys.
//!
//! ```text
//! version u8 | nonce, 12 bytes | ciphertext | tag, 16 bytes
//! ```

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};

use crate::error::{KeyError, WireError};

/// Bytes of a nonce.
pub const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes that [`EncryptionVersion::Unpadded`] adds.
pub(crate) const OVERHEAD: usize = 1 + NONCE + TAG;
const BLOCK: usize = 16;

/// The two forms of ciphertext; both are always understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionVersion {
    /// Version 0: padded to blocks of 16 bytes as in PKCS #7. Spoken by nodes of the first protocol version.
    Padded,
    /// Version 1: as long as the plain text. The one that is sent.
    Unpadded,
}

/// The keys of a cluster. The first one encrypts, each of them decrypts.
///
/// To change the key of a running cluster, [install](Self::install) the new one on all nodes, then
/// [use](Self::use_key) it on all, then [remove](Self::remove) the old one.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<Arc<Key>>,
}

impl Keyring {
    /// Most keys in a ring: each of them is tried on what nobody can read.
    pub const MAX_KEYS: usize = 16;

    /// Creates a ring of keys of 16, 24 or 32 bytes, the primary one first. An empty ring encrypts nothing until a
    /// key is installed.
    ///
    /// # Errors
    /// If a key has another length, or there are too many.
    pub fn new(keys: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for key in keys {
            ring.install(key.as_ref())?;
        }
        Ok(ring)
    }

    /// Adds a key; one that is there already stays where it is. The first key of an empty ring is the primary one.
    ///
    /// # Errors
    /// If the key does not have 16, 24 or 32 bytes, or the ring is full.
    pub fn install(&mut self, key: &[u8]) -> Result<(), KeyError> {
        if self.position(key).is_some() {
            return Ok(());
        }
        if self.keys.len() >= Self::MAX_KEYS {
            return Err(KeyError::Full {
                limit: Self::MAX_KEYS,
            });
        }
        self.keys.push(Arc::new(Key::new(key)?));
        Ok(())
    }

    /// Makes a key of the ring the primary one.
    ///
    /// # Errors
    /// If the ring does not have it.
    pub fn use_key(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let position = self.position(key).ok_or(KeyError::NotInstalled)?;
        self.keys[..=position].rotate_right(1);
        Ok(())
    }

    /// Removes a key; one that is not there is none to remove.
    ///
    /// # Errors
    /// If it is the primary one.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), KeyError> {
        match self.position(key) {
            Some(0) => Err(KeyError::Primary),
            Some(position) => {
                self.keys.remove(position);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns the keys, the primary one first.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &key.bytes[..])
    }

    /// Tells whether there is no key, so that nothing is encrypted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Encrypts `plain` with the primary key; `None` without one. Whoever decrypts it must name the same
    /// `authenticated` bytes.
    ///
    /// No two messages may be encrypted with the same key and the same nonce: that gives the key stream away, and
    /// with it the means to forge messages.
    pub fn seal(
        &self,
        version: EncryptionVersion,
        nonce: [u8; NONCE],
        plain: &[u8],
        authenticated: &[u8],
    ) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let mut sealed = Vec::with_capacity(OVERHEAD + BLOCK + plain.len());
        sealed.push(match version {
            EncryptionVersion::Padded => 0,
            EncryptionVersion::Unpadded => 1,
        });
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        if version == EncryptionVersion::Padded {
            let padding = BLOCK - plain.len() % BLOCK;
            sealed.resize(sealed.len() + padding, padding as u8);
        }
        let tag = key.encrypt(&nonce, authenticated, &mut sealed[1 + NONCE..])?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    /// Decrypts what was encrypted with any of the keys.
    ///
    /// # Errors
    /// If it cannot be ciphertext, or no key fits it and the `authenticated` bytes.
    pub fn open(&self, sealed: &[u8], authenticated: &[u8]) -> Result<Vec<u8>, WireError> {
        let (version, nonce, ciphertext, tag) = split(sealed).ok_or(WireError::NotEncrypted)?;
        let mut plain = Vec::new();
        for key in &self.keys {
            plain.clear();
            plain.extend_from_slice(ciphertext);
            if key.decrypt(nonce, authenticated, &mut plain, tag) {
                return match version {
                    EncryptionVersion::Padded => without_padding(plain),
                    EncryptionVersion::Unpadded => Ok(plain),
                };
            }
        }
        Err(WireError::UnknownKey)
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|known| *known.bytes == *key)
    }
}

type Sealed<'a> = (EncryptionVersion, &'a [u8; NONCE], &'a [u8], &'a [u8; TAG]);

fn split(sealed: &[u8]) -> Option<Sealed<'_>> {
    let (version, rest) = sealed.split_first()?;
    let version = match version {
        0 => EncryptionVersion::Padded,
        1 => EncryptionVersion::Unpadded,
        _ => return None,
    };
    let (nonce, rest) = rest.split_first_chunk()?;
    let (ciphertext, tag) = rest.split_last_chunk()?;
    Some((version, nonce, ciphertext, tag))
}

fn without_padding(mut plain: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let padding = plain.last().map_or(0, |&count| usize::from(count));
    if !(1..=BLOCK).contains(&padding) || padding > plain.len() {
        return Err(WireError::Malformed {
            what: "encrypted message",
            reason: "padding is not that of PKCS #7",
        });
    }
    plain.truncate(plain.len() - padding);
    Ok(plain)
}

/// One key, ready for use.
struct Key {
    bytes: Box<[u8]>,
    cipher: Cipher,
}

enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let length = |_| KeyError::Length { found: bytes.len() };
        let cipher = match bytes.len() {
            16 => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(bytes).map_err(length)?)),
            24 => Cipher::Aes192(Box::new(AesGcm::new_from_slice(bytes).map_err(length)?)),
            32 => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(bytes).map_err(length)?)),
            found => return Err(KeyError::Length { found }),
        };
        Ok(Self {
            bytes: bytes.into(),
            cipher,
        })
    }

    /// Encrypts in place and returns the tag; `None` if the message is longer than the cipher allows.
    fn encrypt(
        &self,
        nonce: &[u8; NONCE],
        authenticated: &[u8],
        message: &mut [u8],
    ) -> Option<[u8; TAG]> {
        let (nonce, message) = (&(*nonce).into(), message.into());
        let tag = match &self.cipher {
            Cipher::Aes128(key) => key.encrypt_inout_detached(nonce, authenticated, message),
            Cipher::Aes192(key) => key.encrypt_inout_detached(nonce, authenticated, message),
            Cipher::Aes256(key) => key.encrypt_inout_detached(nonce, authenticated, message),
        };
        tag.ok().map(Into::into)
    }

    /// Decrypts in place; returns false, and leaves nothing readable, if key or tag do not fit.
    fn decrypt(
        &self,
        nonce: &[u8; NONCE],
        authenticated: &[u8],
        message: &mut [u8],
        tag: &[u8; TAG],
    ) -> bool {
        let (nonce, message, tag) = (&(*nonce).into(), message.into(), &(*tag).into());
        match &self.cipher {
            Cipher::Aes128(key) => key.decrypt_inout_detached(nonce, authenticated, message, tag),
            Cipher::Aes192(key) => key.decrypt_inout_detached(nonce, authenticated, message, tag),
            Cipher::Aes256(key) => key.decrypt_inout_detached(nonce, authenticated, message, tag),
        }
        .is_ok()
    }
}
