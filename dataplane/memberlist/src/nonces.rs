//! Where the nonces of encrypted messages come from.

use std::fmt;

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::encryption::NONCE;

/// An endless source of nonces for AES-GCM, which must never see one twice under the same key.
///
/// All nodes of a cluster encrypt with the same key and cannot agree on who uses which nonce, so nonces are random
/// bits, as in memberlist. A machine has no randomness, so its driver gives it a secret from the operating system,
/// and this derives the bits from it: nonce n is AES-256 of n under the secret, which nobody can tell from randomness.
/// Whoever knew a secret could only predict nonces, which are public anyway.
///
/// A source cannot be cloned, and one secret must make only one source: two with the same secret give the same
/// nonces. A seed or a configuration that is used again would do just that; hence this type, which is neither.
pub struct Nonces {
    cipher: Box<Aes256>,
    used: u64,
}

impl Nonces {
    /// Creates the source of a secret: 32 bytes from the operating system's random generator, used for nothing else.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self {
            cipher: Box::new(Aes256::new(&secret.into())),
            used: 0,
        }
    }

    /// Returns the next nonce.
    pub(crate) fn next(&mut self) -> [u8; NONCE] {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&self.used.to_be_bytes());
        self.used += 1;
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&block[..NONCE]);
        nonce
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nonces_do_not_repeat_and_differ_between_secrets() {
        let mut seen = BTreeSet::new();
        for secret in [[1; 32], [2; 32]] {
            let mut nonces = Nonces::from_secret(secret);
            assert!((0..10_000).all(|_| seen.insert(nonces.next())));
        }
    }
}
