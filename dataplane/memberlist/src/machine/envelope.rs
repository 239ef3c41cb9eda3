//! The outermost wrappers, which need what the whole cluster shares: label, keys, dialect.

use std::borrow::Cow;

use bytes::Bytes;

use super::Machine;
use crate::config::Dialect;
use crate::encryption::{EncryptionVersion, Keyring, OVERHEAD};
use crate::error::WireError;
use crate::label;
use crate::message::{Message, kind};
use crate::{compress, packet};

impl Machine {
    /// Returns the keys, unless this machine was made [without](Self::new).
    pub fn keyring(&self) -> Option<&Keyring> {
        self.config.keyring.as_ref()
    }

    /// Returns the keys for change. Readers of streams that exist keep the keys that they were made with.
    pub fn keyring_mut(&mut self) -> Option<&mut Keyring> {
        self.config.keyring.as_mut()
    }

    /// Returns the keys while input and output are encrypted.
    pub(super) fn active_keys(&self) -> Option<&Keyring> {
        self.keyring().filter(|keys| !keys.is_empty())
    }

    /// Returns what encryption may add to a packet, also before the first key is installed: what is queued by then must
    /// still fit.
    pub(super) fn encryption_room(&self) -> usize {
        self.keyring().map_or(0, |_| OVERHEAD)
    }

    fn encrypts(&self) -> bool {
        self.config.verify_outgoing && self.active_keys().is_some()
    }

    /// Wraps the body of a packet: `label( encrypt( crc( compress( body ))))`.
    pub(super) fn wrap_packet(&mut self, with_crc: bool, body: Vec<u8>) -> Vec<u8> {
        let compression = self.config.compression;
        if !self.encrypts() {
            return packet::encode(&self.config.label, compression, with_crc, body);
        }
        let plain = packet::encode("", compression, with_crc, body);
        let authenticated = self.config.label.clone().into_bytes();
        let mut wrapped = label::header(&self.config.label);
        wrapped.extend_from_slice(&self.seal(&plain, &authenticated));
        wrapped
    }

    /// Removes the wrappers that [`packet::decode`] does not know.
    pub(super) fn unwrap_packet<'a>(&self, packet: &'a [u8]) -> Result<Cow<'a, [u8]>, WireError> {
        let packet = self.label.strip(packet)?;
        let Some(keys) = self.active_keys() else {
            return Ok(Cow::Borrowed(packet));
        };
        match keys.open(packet, self.config.label.as_bytes()) {
            Ok(plain) => Ok(Cow::Owned(plain)),
            Err(_) if !self.config.verify_incoming => Ok(Cow::Borrowed(packet)),
            // A plain ping begins like a ciphertext.
            Err(_) if Message::decode(&Bytes::copy_from_slice(packet)).is_ok() => {
                Err(WireError::NotEncrypted)
            }
            Err(refused) => Err(refused),
        }
    }

    /// Wraps what goes over a stream: `label( encrypt( compress( body )))`. Only the opener sends the label.
    pub(super) fn wrap_stream(&mut self, opens: bool, body: Vec<u8>) -> Vec<u8> {
        let compressed = self
            .config
            .compression
            .and_then(|algorithm| match self.config.dialect {
                Dialect::Dskit => compress::shrink(algorithm, &body),
                Dialect::Classic => compress::wrap(algorithm, &body),
            });
        let body = compressed.unwrap_or(body);
        let mut wrapped = match opens {
            true => label::header(&self.config.label),
            false => Vec::new(),
        };
        if !self.encrypts() {
            wrapped.extend_from_slice(&body);
            return wrapped;
        }
        let header = sealed_header(OVERHEAD + body.len());
        let authenticated = [&header, self.config.label.as_bytes()].concat();
        wrapped.extend_from_slice(&header);
        wrapped.extend_from_slice(&self.seal(&body, &authenticated));
        wrapped
    }

    fn seal(&mut self, plain: &[u8], authenticated: &[u8]) -> Vec<u8> {
        let nonces = self.nonces.as_mut();
        let nonce = nonces.map(|nonces| nonces.next());
        let nonce = nonce.expect("a machine with keys is made with nonces");
        self.active_keys()
            .and_then(|keys| keys.seal(EncryptionVersion::Unpadded, nonce, plain, authenticated))
            .expect("messages are shorter than the 64 GiB that the cipher allows")
    }
}

/// Returns what stands before the ciphertext on a stream, and is authenticated with it.
fn sealed_header(len: usize) -> [u8; 5] {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let [a, b, c, d] = len.to_be_bytes();
    [kind::ENCRYPT, a, b, c, d]
}
