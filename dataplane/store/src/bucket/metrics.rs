//! Metrics of a bucket, under the names by which dashboards of the original know them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::error::{Error, Operation};

/// Seconds; the bounds are the original's.
const SECONDS: [f64; 15] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 300.0,
];

/// What is done with one bucket.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    bucket: Arc<str>,
    operations: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    transferred: Family<Labels, Histogram>,
    fetched: Family<Labels, Counter>,
    last_upload: Family<BucketLabel, Gauge<f64, AtomicU64>>,
    retries: Family<RetryLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    bucket: Arc<str>,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BucketLabel {
    bucket: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    bucket: Arc<str>,
    operation: &'static str,
    cause: &'static str,
}

impl Metrics {
    /// Registers the metrics of a bucket, which are 0 for every operation from the start.
    pub(super) fn register(bucket: &str, registry: &mut Registry) -> Self {
        let new = Self {
            bucket: bucket.into(),
            operations: Family::default(),
            failures: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            transferred: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(32768.0, 2.0, 16))
            }),
            fetched: Family::default(),
            last_upload: Family::default(),
            retries: Family::default(),
        };
        new.register_in(registry);
        for operation in Operation::ALL {
            let labels = new.labels(operation);
            drop(new.operations.get_or_create(&labels));
            drop(new.failures.get_or_create(&labels));
        }
        new
    }

    fn register_in(&self, registry: &mut Registry) {
        registry.register(
            "objstore_bucket_operations",
            "Operations on the bucket",
            self.operations.clone(),
        );
        registry.register(
            "objstore_bucket_operation_failures",
            "Operations on the bucket that failed, other than by an object that is not there",
            self.failures.clone(),
        );
        registry.register(
            "objstore_bucket_operation_duration_seconds",
            "Duration of successful operations on the bucket, repeated requests included",
            self.seconds.clone(),
        );
        registry.register(
            "objstore_bucket_operation_transferred_bytes",
            "Bytes of one operation on the bucket",
            self.transferred.clone(),
        );
        registry.register(
            "objstore_bucket_operation_fetched_bytes",
            "Bytes read from the bucket",
            self.fetched.clone(),
        );
        registry.register(
            "objstore_bucket_last_successful_upload_time",
            "Seconds since 1970 of the last upload that was verified",
            self.last_upload.clone(),
        );
        registry.register(
            "pyroscope_bucket_retries",
            "Requests to the bucket that were repeated",
            self.retries.clone(),
        );
    }

    /// Counts an operation that has ended.
    pub(super) fn done<T>(&self, operation: Operation, result: &Result<T, Error>, took: Duration) {
        let labels = self.labels(operation);
        self.operations.get_or_create(&labels).inc();
        match result {
            Ok(_) => self
                .seconds
                .get_or_create(&labels)
                .observe(took.as_secs_f64()),
            // That something is not there is an answer.
            Err(error) if error.is_not_found() => {}
            Err(_) => {
                self.failures.get_or_create(&labels).inc();
            }
        }
    }

    /// Counts bytes that were read.
    pub(super) fn read(&self, operation: Operation, bytes: u64) {
        let labels = self.labels(operation);
        self.fetched.get_or_create(&labels).inc_by(bytes);
        self.transferred
            .get_or_create(&labels)
            .observe(bytes as f64);
    }

    /// Counts bytes that were uploaded and verified.
    pub(super) fn uploaded(&self, bytes: u64, now: SystemTime) {
        let labels = self.labels(Operation::Upload);
        self.transferred
            .get_or_create(&labels)
            .observe(bytes as f64);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let bucket = BucketLabel {
            bucket: Arc::clone(&self.bucket),
        };
        self.last_upload
            .get_or_create(&bucket)
            .set(since.as_secs_f64());
    }

    /// Counts a request that is repeated.
    pub(super) fn repeated(&self, operation: Operation, cause: &'static str) {
        let labels = RetryLabels {
            bucket: Arc::clone(&self.bucket),
            operation: operation.name(),
            cause,
        };
        self.retries.get_or_create(&labels).inc();
    }

    fn labels(&self, operation: Operation) -> Labels {
        Labels {
            bucket: Arc::clone(&self.bucket),
            operation: operation.name(),
        }
    }
}
