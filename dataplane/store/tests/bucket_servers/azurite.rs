//! Azure Blob Storage, spoken by Azurite.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pyroscope_store::bucket::{Azure, AzureAccess, Backend, Error, Http};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::faults;
use crate::server::{Server, built};
use crate::suite::{behaves, broken};
use crate::target::{Target, bytes, open, quick};

const CONTAINER: &str = "profiles";
const ACCOUNT: &str = "writer";
/// A key of our own, in base64.
const KEY: &str = "bm90aGluZyBpcyBzZWN1cmVkIGJ5IHRoaXMga2V5Lg==";

async fn start() -> Server {
    let command = |address: SocketAddr, folder: &Path| {
        let mut command = Command::new(built("azurite/node"));
        command.arg(built("azurite/node_modules/azurite/dist/src/blob/main.js"));
        command.args(["--blobHost", "127.0.0.1"]);
        command.args(["--blobPort", &address.port().to_string()]);
        command.arg("--location").arg(folder);
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        command
    };
    let server = Server::start(command).await;
    make_container(server.address).await;
    server
}

/// Makes the container, for which the bucket has no operation: that is its owner's work.
async fn make_container(address: SocketAddr) {
    let date = jiff::Timestamp::now()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let version = "2023-11-03";
    let resource = format!("/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container");
    let to_sign =
        format!("PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n{resource}");
    let key = BASE64_STANDARD.decode(KEY).unwrap();
    let signature = BASE64_STANDARD.encode(hmac(&key, to_sign.as_bytes()));
    let request = format!(
        "PUT /{ACCOUNT}/{CONTAINER}?restype=container HTTP/1.1\r\nhost: {address}\r\n\
         x-ms-date: {date}\r\nx-ms-version: {version}\r\ncontent-length: 0\r\n\
         authorization: SharedKey {ACCOUNT}:{signature}\r\nconnection: close\r\n\r\n"
    );
    let mut store = TcpStream::connect(address).await.unwrap();
    store.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    store.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// HMAC-SHA-256 with a key that is shorter than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

fn azure(by: SocketAddr, key: &str, container: &str, http: Http) -> Backend {
    let connection = format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint=http://{by}/{ACCOUNT};"
    );
    Backend::Azure(Azure {
        container: container.to_owned(),
        account: String::new(),
        endpoint_suffix: String::new(),
        access: AzureAccess::ConnectionString(connection.into()),
        http,
    })
}

fn target(server: &Server) -> Target {
    Target {
        address: server.address,
        head: Duration::from_secs(4),
        backend: Box::new(|by, http| azure(by, KEY, CONTAINER, http)),
    }
}

#[tokio::test]
async fn behaves_as_every_bucket() {
    let server = start().await;
    let target = target(&server);
    behaves(&target.open(server.address, "", quick())).await;
    behaves(&target.open(server.address, "a/prefix", quick())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_what_networks_do() {
    let server = start().await;
    faults::survives(&target(&server)).await;
}

#[tokio::test]
async fn wrong_keys_and_containers_are_told_apart() {
    let server = start().await;
    let other_key = BASE64_STANDARD.encode("another key");
    let denied = azure(server.address, &other_key, CONTAINER, Http::default());
    let error = open(denied, "", quick()).get("a", 1).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    let missing = azure(server.address, KEY, "other", Http::default());
    let missing = open(missing, "", quick());
    for error in [
        broken(missing.get("a", 1).await),
        broken(missing.put("a", bytes(1, 1)).await),
        broken(missing.exists("a").await),
    ] {
        assert!(error.contains("ContainerNotFound"), "{error}");
        assert!(error.contains("azure bucket other"), "{error}");
    }
}
