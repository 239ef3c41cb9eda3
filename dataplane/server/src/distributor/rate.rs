//! Token buckets that bound what each tenant may push.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;

use crate::rpc::TenantId;

/// Tenants remembered before those with full buckets are dropped.
const MAX_IDLE_TENANTS: usize = 10_000;

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
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate.bytes_per_second).min(rate.burst_bytes);
        self.filled_at = now;
    }
}

/// One bucket per tenant.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

impl RateLimiter {
    /// Takes `bytes` from the tenant's bucket; false when it holds too few, and
    /// then nothing is taken.
    pub(crate) fn allow(&self, tenant: &TenantId, rate: Rate, bytes: usize, now: Instant) -> bool {
        if rate.bytes_per_second <= 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_IDLE_TENANTS && !buckets.contains_key(tenant) {
            buckets.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.tokens < rate.burst_bytes
            });
        }
        let bucket = buckets.entry(tenant.clone()).or_insert_with(|| Bucket {
            tokens: rate.burst_bytes,
            filled_at: now,
        });
        bucket.fill(rate, now);
        let wanted = bytes as f64;
        let allowed = bucket.tokens >= wanted;
        if allowed {
            bucket.tokens -= wanted;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert!(limiter.allow(&anonymous(), rate, 50, now));
        assert!(!limiter.allow(&anonymous(), rate, 1, now));
        let later = now + Duration::from_millis(100);
        assert!(limiter.allow(&anonymous(), rate, 10, later));
        assert!(!limiter.allow(&anonymous(), rate, 1, later));
    }

    #[test]
    fn a_refused_push_takes_nothing() {
        let limiter = RateLimiter::default();
        let rate = Rate {
            bytes_per_second: 1.0,
            burst_bytes: 50.0,
        };
        let now = Instant::now();
        assert!(!limiter.allow(&anonymous(), rate, 51, now));
        assert!(limiter.allow(&anonymous(), rate, 50, now));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rate = Rate {
            bytes_per_second: 0.0,
            burst_bytes: 0.0,
        };
        assert!(RateLimiter::default().allow(&anonymous(), rate, usize::MAX, Instant::now()));
    }
}
