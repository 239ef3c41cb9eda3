//! Where clients send requests to, and when these may fail.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use rand::{RngExt as _, rngs::StdRng};

/// Whether something may fail, now and then.
#[derive(Clone, Debug, Default)]
pub struct Excuse {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    active: AtomicUsize,
    begun: AtomicUsize,
}

/// What may fail may fail while this lives.
#[derive(Debug)]
#[must_use]
pub struct Excused {
    counts: Arc<Counts>,
}

/// How an excuse stood when a request began.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    excused: bool,
    begun: usize,
}

impl Excuse {
    /// Allows failures until the result is dropped.
    pub fn begin(&self) -> Excused {
        self.counts.active.fetch_add(1, Ordering::SeqCst);
        self.counts.begun.fetch_add(1, Ordering::SeqCst);
        Excused {
            counts: Arc::clone(&self.counts),
        }
    }

    fn is_active(&self) -> bool {
        self.counts.active.load(Ordering::SeqCst) > 0
    }

    /// Notes how it stands when a request begins.
    pub fn mark(&self) -> Mark {
        Mark {
            excused: self.is_active(),
            begun: self.counts.begun.load(Ordering::SeqCst),
        }
    }

    /// Whether a request that began at `mark` and ends now may fail.
    pub fn covers(&self, mark: Mark) -> bool {
        mark.excused || self.counts.begun.load(Ordering::SeqCst) != mark.begun
    }
}

impl Drop for Excused {
    fn drop(&mut self) {
        self.counts.active.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One process that clients talk to.
#[derive(Debug)]
pub struct Endpoint {
    /// `http://host:port`.
    pub url: String,
    /// While it is down, by the will of the test.
    pub down: Excuse,
}

/// Processes that do the same, as behind a load balancer that knows at once
/// which of them are down.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    all: Arc<Mutex<Vec<Arc<Endpoint>>>>,
}

impl Endpoints {
    /// Creates endpoints at `host:port` each.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let endpoints = Self::default();
        for address in addresses {
            endpoints.add(address);
        }
        endpoints
    }

    /// Adds one at `host:port`.
    pub fn add(&self, address: &str) {
        self.all.lock().push(Arc::new(Endpoint {
            url: format!("http://{address}"),
            down: Excuse::default(),
        }));
    }

    /// Takes one out of service while the result lives; what it was asked before
    /// may fail.
    pub fn down(&self, number: usize) -> Excused {
        self.all.lock()[number].down.begin()
    }

    /// Returns those in service.
    pub fn up(&self) -> Vec<Arc<Endpoint>> {
        let all = self.all.lock();
        all.iter()
            .filter(|endpoint| !endpoint.down.is_active())
            .cloned()
            .collect()
    }

    /// Picks one of those in service.
    pub fn pick(&self, random: &mut StdRng) -> Option<Arc<Endpoint>> {
        let up = self.up();
        (!up.is_empty()).then(|| Arc::clone(&up[random.random_range(0..up.len())]))
    }
}
