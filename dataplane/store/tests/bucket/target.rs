//! A store to test against, perhaps through a proxy, and the settings of an impatient client.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::registry::Registry;
use pyroscope_store::bucket::{Backend, Bucket, Http, Patience, Settings};

/// A store that listens somewhere, and how to open its bucket by another address.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// How long a hasty client waits for the head of an answer. Tests that hold answers up wait for
    /// it several times.
    pub(crate) head: Duration,
    pub(crate) backend: Box<dyn Fn(SocketAddr, Http) -> Backend + Send + Sync>,
}

impl Target {
    /// Opens the bucket by an address that leads to it. Buckets with another prefix see nothing of
    /// each other.
    pub(crate) fn open(&self, by: SocketAddr, prefix: &str, patience: Patience) -> Bucket {
        open((self.backend)(by, Http::default()), prefix, patience)
    }

    /// Opens the same bucket for a client that waits neither for late answers nor for slow ones.
    pub(crate) fn open_hasty(&self, by: SocketAddr, prefix: &str, patience: Patience) -> Bucket {
        let http = Http {
            head: Some(self.head),
            ..Http::default()
        };
        let patience = Patience {
            stall: Duration::from_millis(500),
            ..patience
        };
        open((self.backend)(by, http), prefix, patience)
    }
}

/// Patience that survives two faults in a row, pauses for nearly no time, and has enough of it for a
/// machine that does much else.
pub(crate) fn quick() -> Patience {
    Patience {
        operation: Duration::from_secs(300),
        stall: Duration::from_secs(60),
        retries: 4,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
    }
}

/// Opens a bucket.
pub(crate) fn open(backend: Backend, prefix: &str, patience: Patience) -> Bucket {
    let mut settings = Settings::new(backend);
    settings.prefix = prefix.to_owned();
    settings.patience = patience;
    Bucket::open(&settings, &|_| None, &mut Registry::default()).unwrap()
}

/// Returns bytes that do not repeat, the same for the same seed.
pub(crate) fn bytes(length: usize, seed: u64) -> bytes::Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
