//! Google Cloud Storage.

use pyroscope_store::bucket::{Error, Http};

use crate::suite::{behaves, broken};
use crate::target::{bytes, open, quick};
use crate::{fake_gcs, faults};

#[tokio::test]
async fn behaves_as_every_bucket() {
    let store = fake_gcs::start().await;
    behaves(&store.open(store.address, "", quick())).await;
    behaves(&store.open(store.address, "a/prefix", quick())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_what_networks_do() {
    faults::survives(&fake_gcs::start().await).await;
}

#[tokio::test]
async fn buckets_with_other_prefixes_see_nothing_of_each_other() {
    let store = fake_gcs::start().await;
    let [one, other] = ["one", "one/more"].map(|it| store.open(store.address, it, quick()));
    one.put("x", bytes(1, 1)).await.unwrap();
    assert!(!other.exists("x").await.unwrap());
    assert!(!other.exists("one/x").await.unwrap());
    other.put("y", bytes(1, 1)).await.unwrap();
    assert!(one.exists("more/y").await.unwrap());
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_an_object_that_does_not() {
    let store = fake_gcs::start().await;
    let url = format!("http://{}", store.address);
    let wrong = open(
        fake_gcs::backend(&url, "other", Http::default()),
        "",
        quick(),
    );
    for error in [
        broken(wrong.get("a", 1).await),
        broken(wrong.put("a", bytes(1, 1)).await),
        broken(wrong.exists("a").await),
        broken(wrong.head("a").await),
    ] {
        assert!(
            error.contains("NoSuchBucket") && error.contains("make the bucket"),
            "{error}"
        );
        assert!(error.contains("gcs bucket other"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_that_passes() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let backend = fake_gcs::backend(&format!("http://{free}"), "profiles", Http::default());
    let error = open(backend, "", quick()).get("a", 1).await.unwrap_err();
    assert!(matches!(error, Error::Transient { .. }), "{error:?}");
    assert!(
        error.to_string().contains("cannot connect to 127.0.0.1"),
        "{error}"
    );
}
