//! Metrics, under the names of the original.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use pyroscope_store::bucket::{Bucket, Depth, Http, Settings};

use crate::fake_gcs;
use crate::proxy::{Fault, Proxy};
use crate::target::{bytes, quick};

#[tokio::test]
async fn what_is_done_is_counted() {
    let store = fake_gcs::start().await;
    let proxy = Proxy::start(store.address).await;
    let mut settings = Settings::new((store.backend)(proxy.address, Http::default()));
    settings.patience = quick();
    let mut registry = Registry::default();
    let bucket = Bucket::open(&settings, &|_| None, &mut registry).unwrap();
    let value = |line: &str| {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let found = text
            .lines()
            .find_map(|it| it.strip_prefix(line))
            .map(str::to_owned);
        found
            .unwrap_or_else(|| panic!("no {line} in {text}"))
            .trim()
            .parse::<f64>()
            .unwrap()
    };
    let of = |name: &str, operation: &str| {
        value(&format!(
            "objstore_bucket_{name}{{bucket=\"profiles\",operation=\"{operation}\"}}"
        ))
    };
    assert_eq!(of("operations_total", "iter"), 0.0);

    bucket.put("a", bytes(1000, 1)).await.unwrap();
    bucket.get("a", 1000).await.unwrap();
    bucket.get_range("a", 0..10).await.unwrap();
    assert!(bucket.get("b", 1000).await.is_err());
    assert!(!bucket.exists("b").await.unwrap());
    bucket.list("", Depth::One, None).await.unwrap();
    proxy.inject(usize::MAX, Fault::Answer(500, "", ""), |_| true);
    assert!(bucket.head("a").await.is_err());

    assert_eq!(of("operations_total", "upload"), 1.0);
    assert_eq!(of("operations_total", "get"), 2.0);
    assert_eq!(of("operations_total", "exists"), 1.0);
    assert_eq!(of("operations_total", "iter"), 1.0);
    // That something is not there is an answer.
    assert_eq!(of("operation_failures_total", "get"), 0.0);
    assert_eq!(of("operation_failures_total", "exists"), 0.0);
    assert_eq!(of("operation_failures_total", "attributes"), 1.0);
    assert_eq!(of("operation_fetched_bytes_total", "get"), 1000.0);
    assert_eq!(of("operation_fetched_bytes_total", "get_range"), 10.0);
    assert_eq!(of("operation_transferred_bytes_sum", "upload"), 1000.0);
    assert_eq!(of("operation_duration_seconds_count", "get"), 1.0);
    assert!(value("objstore_bucket_last_successful_upload_time{bucket=\"profiles\"}") > 1.7e9);
    let retries = "pyroscope_bucket_retries_total{bucket=\"profiles\",operation=\"attributes\",cause=\"transient\"}";
    assert_eq!(value(retries), 4.0);
}
