use std::time::Duration;

use proto::ring::Desc;

use crate::lifecycler::{LifecyclerConfig, Now};
use crate::ring::is_fresh;
use crate::{State, desc};

/// Why an instance does not take traffic yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// This instance is not in the ring.
    #[error("this instance is not in the ring")]
    NotRegistered,
    /// This instance owns no tokens.
    #[error("this instance owns no tokens in the ring")]
    NoTokens,
    /// An instance has not been heard of for longer than the timeout.
    #[error("instance {0} past heartbeat timeout")]
    Stale(String),
    /// An instance is not ACTIVE.
    #[error("instance {id} in state {state}")]
    NotActive {
        /// The instance.
        id: String,
        /// Its state.
        state: State,
    },
    /// All is well, but not for long enough.
    #[error("waiting for {0:?} after being ready")]
    TooEarly(Duration),
}

/// Remembers since when an instance could be ready, and that it was.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readiness {
    /// Something is missing.
    Unmet,
    /// All conditions hold since then (monotonic).
    Since(Duration),
    /// Was ready once and stays so.
    Latched,
}

impl Readiness {
    pub(crate) fn check(
        &mut self,
        config: &LifecyclerConfig,
        desc: &Desc,
        now: Now,
    ) -> Result<(), NotReady> {
        let since = match *self {
            Self::Latched => return Ok(()),
            Self::Since(since) => since,
            Self::Unmet => now.monotonic,
        };
        if let Err(reason) = conditions(config, desc, now) {
            *self = Self::Unmet;
            return Err(reason);
        }
        if now.monotonic.saturating_sub(since) < config.min_ready_duration {
            *self = Self::Since(since);
            return Err(NotReady::TooEarly(config.min_ready_duration));
        }
        *self = Self::Latched;
        Ok(())
    }
}

fn conditions(config: &LifecyclerConfig, ring: &Desc, now: Now) -> Result<(), NotReady> {
    match ring.ingesters.get(&config.id) {
        None => return Err(NotReady::NotRegistered),
        Some(own) if own.tokens.is_empty() => return Err(NotReady::NoTokens),
        Some(_) => {}
    }
    for (id, instance) in desc::live(ring) {
        if *id != config.id && !config.readiness_check_ring_health {
            continue;
        }
        if !is_fresh(instance.timestamp, config.heartbeat_timeout, now.unix) {
            return Err(NotReady::Stale(id.clone()));
        }
        if State::of(instance) != State::Active {
            return Err(NotReady::NotActive {
                id: id.clone(),
                state: State::of(instance),
            });
        }
    }
    Ok(())
}
