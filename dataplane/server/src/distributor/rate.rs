//! Token buckets that bound what each tenant may push.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::rpc::TenantId;

/// Tenants remembered before those with full buckets are dropped.
const MAX_IDLE_TENANTS: usize = 10_000;

/// Longest wait that a refused push is told.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The rate of one tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Bytes per second; zero or less means no limit.
    pub bytes_per_second: f64,
    /// Bytes that may be pushed at once.
    pub burst_bytes: f64,
}

#[derive(Debug)]
struct Bucket {
    /// As of the last push; it may change with the tenant's limits.
    rate: Rate,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.burst_bytes,
            filled_at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let filled = self.tokens + elapsed * self.rate.bytes_per_second;
        self.tokens = filled.min(self.rate.burst_bytes);
        self.filled_at = now;
    }
}

/// One bucket per tenant.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of_tenants: HashMap<TenantId, Bucket>,
    /// How many there were after full ones were dropped last.
    in_use: usize,
}

impl Buckets {
    /// Returns the tenant's bucket as filled by `now`.
    fn of(&mut self, tenant: &TenantId, rate: Rate, now: Instant) -> &mut Bucket {
        if self.of_tenants.len() > MAX_IDLE_TENANTS + 2 * self.in_use {
            self.of_tenants.retain(|_, bucket| {
                bucket.fill(now);
                bucket.tokens < bucket.rate.burst_bytes
            });
            self.in_use = self.of_tenants.len();
        }
        let bucket = self
            .of_tenants
            .entry(tenant.clone())
            .or_insert_with(|| Bucket::full(rate, now));
        bucket.rate = rate;
        bucket.fill(now);
        bucket
    }
}

impl RateLimiter {
    /// Takes `bytes` from the tenant's bucket.
    ///
    /// # Errors
    ///
    /// How long to wait until the bucket holds enough, or is full when it can
    /// never hold that much; nothing is taken then.
    pub(crate) fn take(
        &self,
        tenant: &TenantId,
        rate: Rate,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Duration> {
        if rate.bytes_per_second <= 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock();
        let bucket = buckets.of(tenant, rate, now);
        let wanted = bytes as f64;
        if bucket.tokens < wanted {
            let missing = wanted.min(rate.burst_bytes) - bucket.tokens;
            return Err(wait(missing / rate.bytes_per_second));
        }
        bucket.tokens -= wanted;
        Ok(())
    }
}

/// Returns a wait of so many seconds, of no more than [`MAX_WAIT`].
fn wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT))
}

/// Writes a size as the original does: one decimal below ten, none above.
pub(super) fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024.0 {
        return format!("{bytes:.0} B");
    }
    let mut number = bytes / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    if number < 10.0 {
        format!("{number:.1} {unit}")
    } else {
        format!("{number:.0} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::rpc::{Rpc, Tenancy};

    fn anonymous() -> TenantId {
        let rpc = Rpc::new(Tenancy::new(false), 1);
        rpc.context(&HeaderMap::new()).unwrap().tenant
    }

    #[test]
    fn a_burst_empties_the_bucket_and_time_fills_it() {
        let limiter = RateLimiter::default();
        let rate = Rate {
            bytes_per_second: 100.0,
            burst_bytes: 50.0,
        };
        let now = Instant::now();
        assert_eq!(limiter.take(&anonymous(), rate, 50, now), Ok(()));
        let wait = Duration::from_millis(100);
        assert_eq!(limiter.take(&anonymous(), rate, 10, now), Err(wait));
        let later = now + wait;
        assert_eq!(limiter.take(&anonymous(), rate, 10, later), Ok(()));
        assert!(limiter.take(&anonymous(), rate, 1, later).is_err());
    }

    #[test]
    fn a_refused_push_takes_nothing() {
        let limiter = RateLimiter::default();
        let rate = Rate {
            bytes_per_second: 1.0,
            burst_bytes: 50.0,
        };
        let now = Instant::now();
        assert_eq!(
            limiter.take(&anonymous(), rate, 51, now),
            Err(Duration::ZERO),
            "no wait helps against a push that is too large"
        );
        assert_eq!(limiter.take(&anonymous(), rate, 50, now), Ok(()));
        assert_eq!(
            limiter.take(&anonymous(), rate, 1000, now),
            Err(Duration::from_secs(50))
        );
        let slow = Rate {
            bytes_per_second: 1e-300,
            ..rate
        };
        assert_eq!(limiter.take(&anonymous(), slow, 1, now), Err(MAX_WAIT));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rate = Rate {
            bytes_per_second: 0.0,
            burst_bytes: 0.0,
        };
        let limiter = RateLimiter::default();
        let all = limiter.take(&anonymous(), rate, usize::MAX, Instant::now());
        assert_eq!(all, Ok(()));
    }

    #[test]
    fn sizes_are_those_of_the_original() {
        assert_eq!(size(4.0 * 1024.0 * 1024.0), "4.0 MiB");
        assert_eq!(size(1.5 * 1024.0 * 1024.0), "1.5 MiB");
        assert_eq!(size(20.0 * 1024.0), "20 KiB");
        assert_eq!(size(700.0), "700 B");
        assert_eq!(size(1e300).split(' ').nth(1), Some("PiB"));
    }
}
