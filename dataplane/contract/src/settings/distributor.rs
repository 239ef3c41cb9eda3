//! Settings of the way from a distributor to the ingesters.

use super::{Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "distributor.handoff.max-bytes",
        "distributor.handoff.max_bytes",
        Kind::SIZE,
        "Most bytes of profiles that wait in memory for one ingester that missed them, until it is back; 0 keeps none. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "distributor.handoff.max-age",
        "distributor.handoff.max_age",
        Kind::Duration,
        "How long a profile waits for an ingester that missed it before it is dropped. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "distributor.ingester-max-inflight-bytes",
        "distributor.ingester_max_inflight_bytes",
        Kind::SIZE,
        "Most bytes on their way to one ingester; more are handed off, or refused with 503 if no quorum is left. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "distributor.instance-limits.max-inflight-push-requests",
        "distributor.instance_limits.max_inflight_push_requests",
        Kind::COUNT,
        "Most pushes that a distributor works on at once; more are refused with 503. 0 is no limit. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "distributor.instance-limits.max-inflight-push-requests-bytes",
        "distributor.instance_limits.max_inflight_push_requests_bytes",
        Kind::SIZE,
        "Most bytes, as received and as decompressed, of the pushes that a distributor works on at once, unless one of the largest takes more; beyond it pushes are refused with 503. Not a flag of Grafana Pyroscope.",
    ),
];
