//! Google Cloud Storage.

use prometheus_client::registry::Registry;
use pyroscope_store::bucket::{Bucket, Error, Http, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_but_not_for_this_machine() {
    let store = fake_gcs::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut store = TcpStream::connect(store.address).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut store).await });
        String::from_utf8(head).unwrap()
    });
    let environment =
        |name: &str| (name == "HTTP_PROXY").then(|| format!("http://user:password@{address}"));
    let open = |url: &str| {
        let backend = fake_gcs::backend(url, "profiles", Http::default());
        let mut settings = Settings::new(backend);
        settings.patience = quick();
        Bucket::open(&settings, &environment, &mut Registry::default()).unwrap()
    };
    let far = open("http://store.example");
    far.put("a", bytes(10, 1)).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with("CONNECT store.example:80 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.to_lowercase().contains("proxy-authorization: basic "),
        "{asked}"
    );
    // The proxy takes no second connection.
    let near = open(&format!("http://{}", store.address));
    assert!(near.exists("a").await.unwrap());
}
