//! How writes reach ingesters.

use std::time::Duration;

use ::ring::peers::Limits;
use contract::Config;

use crate::{admission::Bounds, distributor::ReplicationOptions};

/// Failures in a row after which an ingester is spared: a single one may be a
/// connection that broke.
const FAILURES: u32 = 3;

/// How long an ingester may say nothing while something is on its way to it.
/// Far beyond what a write takes, far below what a push may take.
const SILENCE: Duration = Duration::from_secs(1);

/// The waits between probes of an ingester that is down.
const FIRST_PROBE: Duration = Duration::from_millis(250);
const LONGEST_PROBE: Duration = Duration::from_secs(2);

/// Most bytes of one delivery of what an ingester missed.
const DELIVERY_BYTES: u64 = 1 << 20;

/// Returns how writes are replicated.
pub(crate) fn replication(config: &Config) -> ReplicationOptions {
    let distributor = &config.distributor;
    let timeout = distributor.pushtimeout.get();
    ReplicationOptions {
        timeout,
        peers: Limits {
            in_flight_bytes: distributor.ingester_max_inflight_bytes,
            failures: FAILURES,
            silence: SILENCE.min(timeout),
            first_probe: FIRST_PROBE,
            longest_probe: LONGEST_PROBE,
            queue_bytes: distributor.handoff.max_bytes,
            queue_age: distributor.handoff.max_age.get(),
            delivery_bytes: DELIVERY_BYTES,
        },
    }
}

/// Returns how much a distributor works on at once.
pub(crate) fn push_bounds(config: &Config) -> Bounds {
    let limits = &config.distributor.instance_limits;
    Bounds {
        requests: limits.max_inflight_push_requests as usize,
        bytes: usize::try_from(limits.max_inflight_push_requests_bytes).unwrap_or(usize::MAX),
    }
}
