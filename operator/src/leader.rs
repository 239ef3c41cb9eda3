//! Leader election by a Lease: at most one process at a time changes clusters.
//!
//! ```text
//! Standby ──take──▶ Leader ──cannot renew in time, or taken over──▶ the process ends
//! ```
//! Every write carries the resource version that was read, so that of two processes
//! that want the lease one gets a conflict. Whether a lease has run out is judged by
//! this process's own clock since it last saw the lease change, never by comparing
//! clocks of different machines.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use tokio_util::sync::CancellationToken;

/// How long others wait for a silent holder.
const DURATION: Duration = Duration::from_secs(15);
/// How long the holder tries to renew before it gives up: shorter than
/// [`DURATION`], so that it has stopped when another takes over.
const DEADLINE: Duration = Duration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(2);
const REQUEST: Duration = Duration::from_secs(4);

/// Why the lease is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaderError {
    #[error("another process holds the lease {0}")]
    TakenOver(String),
    #[error("lease {name} could not be renewed in time; the last attempt failed: {reason}")]
    Expired { name: String, reason: String },
}

/// A candidate for the lease, and its holder once [`Elector::acquire`] returns.
pub(crate) struct Elector {
    api: Api<Lease>,
    name: String,
    claim: Claim,
}

impl Elector {
    pub(crate) fn new(client: Client, namespace: &str, name: String, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            claim: Claim {
                identity,
                observed: None,
            },
        }
    }

    /// Waits until this process holds the lease.
    pub(crate) async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => tracing::debug!(lease = self.name, "another process holds the lease"),
                Err(reason) => tracing::warn!(lease = self.name, reason, "cannot take the lease"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Keeps the lease until `stop` is cancelled, then gives it up.
    ///
    /// # Errors
    ///
    /// Fails when the lease is lost; the process must end at once.
    pub(crate) async fn hold(&mut self, stop: CancellationToken) -> Result<(), LeaderError> {
        let mut renewed = Instant::now();
        let mut pause = RENEWAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.release().await;
                    return Ok(());
                }
                () = tokio::time::sleep(pause) => {}
            }
            let started = Instant::now();
            match self.attempt().await {
                Ok(true) => (renewed, pause) = (started, RENEWAL),
                Ok(false) => return Err(LeaderError::TakenOver(self.name.clone())),
                Err(reason) if renewed.elapsed() + RETRY > DEADLINE => {
                    let name = self.name.clone();
                    return Err(LeaderError::Expired { name, reason });
                }
                Err(reason) => {
                    tracing::warn!(lease = self.name, reason, "cannot renew the lease");
                    pause = RETRY;
                }
            }
        }
    }

    /// Takes or renews the lease; `false` when another process holds it.
    async fn attempt(&mut self) -> Result<bool, String> {
        match tokio::time::timeout(REQUEST, self.try_write()).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer in {} s", REQUEST.as_secs())),
        }
    }

    async fn try_write(&mut self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let Some(spec) = self.claim.on(spec, Instant::now(), Timestamp::now()) else {
            return Ok(false);
        };
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: found.as_ref().and_then(ResourceExt::resource_version),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        };
        let written = match found {
            Some(_) => {
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await
            }
            None => self.api.create(&PostParams::default(), &lease).await,
        };
        match written {
            Ok(_) => Ok(true),
            // The next attempt sees who was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => self.holds().await,
            Err(error) => Err(error),
        }
    }

    async fn holds(&self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        let holder = found.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.as_deref() == Some(&self.claim.identity))
    }

    /// Lets the next process take the lease at once. Best effort: it runs out
    /// anyway.
    async fn release(&mut self) {
        let emptied = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.claim.identity) {
                spec.holder_identity = Some(String::new());
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(REQUEST, emptied).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "lease given up"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "cannot give up the lease"),
            Err(_) => tracing::warn!(lease = self.name, "cannot give up the lease in time"),
        }
    }
}

/// Decides when a lease may be taken.
#[derive(Debug)]
struct Claim {
    identity: String,
    /// The last state of the lease that was different, and when it was first seen.
    observed: Option<(Seen, Instant)>,
}

type Seen = (Option<String>, Option<MicroTime>);

impl Claim {
    /// Returns what to write over a lease in state `found`, or nothing when another
    /// process holds it.
    fn on(
        &mut self,
        found: Option<&LeaseSpec>,
        now: Instant,
        time: Timestamp,
    ) -> Option<LeaseSpec> {
        let holder = found.and_then(|spec| spec.holder_identity.clone());
        let ours = holder.as_deref() == Some(&self.identity);
        if let Some(found) = found
            && !ours
            && holder.as_deref().is_some_and(|it| !it.is_empty())
            && !self.ran_out(found, now)
        {
            return None;
        }
        let before = found.cloned().unwrap_or_default();
        let time = Some(MicroTime(time));
        Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if ours {
                before.acquire_time
            } else {
                time.clone()
            },
            renew_time: time,
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours)),
            ..LeaseSpec::default()
        })
    }

    fn ran_out(&mut self, found: &LeaseSpec, now: Instant) -> bool {
        let seen = (found.holder_identity.clone(), found.renew_time.clone());
        let duration = found
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DURATION, Duration::from_secs);
        match &self.observed {
            Some((before, since)) if *before == seen => {
                now.saturating_duration_since(*since) > duration
            }
            _ => {
                self.observed = Some((seen, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(identity: &str) -> Claim {
        Claim {
            identity: identity.to_owned(),
            observed: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn absent_and_released_leases_are_taken() {
        let now = Instant::now();
        let taken = claim("a").on(None, now, at(1)).unwrap();
        assert_eq!(taken.holder_identity.as_deref(), Some("a"));
        let released = LeaseSpec {
            holder_identity: Some(String::new()),
            ..taken
        };
        let taken = claim("b").on(Some(&released), now, at(2)).unwrap();
        assert_eq!(
            (taken.holder_identity.as_deref(), taken.lease_transitions),
            (Some("b"), Some(2))
        );
    }

    #[test]
    fn own_lease_is_renewed_and_keeps_its_beginning() {
        let now = Instant::now();
        let taken = claim("a").on(None, now, at(1)).unwrap();
        let renewed = claim("a").on(Some(&taken), now, at(9)).unwrap();
        assert_eq!(renewed.acquire_time, taken.acquire_time);
        assert_eq!(renewed.renew_time, Some(MicroTime(at(9))));
        assert_eq!(renewed.lease_transitions, taken.lease_transitions);
    }

    #[test]
    fn lease_of_another_is_taken_when_it_stands_still() {
        let start = Instant::now();
        let held = claim("a").on(None, start, at(1)).unwrap();
        let mut b = claim("b");
        assert_eq!(b.on(Some(&held), start, at(1)), None);
        assert_eq!(b.on(Some(&held), start + DURATION, at(1)), None);
        let later = start + DURATION + Duration::from_millis(1);
        assert!(b.on(Some(&held), later, at(1)).is_some());
    }

    #[test]
    fn lease_of_another_that_moves_is_left_whatever_its_clock_says() {
        let start = Instant::now();
        let mut held = claim("a").on(None, start, at(1)).unwrap();
        let mut b = claim("b");
        for round in 0..10 {
            held.renew_time = Some(MicroTime(at(round)));
            let now = start + DURATION * u32::try_from(round).unwrap();
            assert_eq!(b.on(Some(&held), now, at(1_000_000)), None);
        }
    }
}
