//! TLS between nodes: secret, mutual, and with certificates that change.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/metered.rs"]
mod metered;
#[path = "support/peer.rs"]
mod peer;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certificates::{Authority, Files};
use metered::Metered;
use peer::Peer;
use prometheus_client::registry::Registry;
use proto::ring::InstanceState;
use pyroscope_gossip::{Config, Gossip, TlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const LOOPBACK: &[&str] = &["127.0.0.1"];

fn with_tls(config: Config, tls: TlsConfig) -> Config {
    Config {
        tls: Some(tls),
        ..config
    }
}

fn active(id: &str) -> proto::ring::InstanceDesc {
    instance(id, InstanceState::Active, unix_now(), &[7])
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_one_authority_converge_and_leave() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.sign(LOOPBACK), &authority.pem);
    let metered = Metered::start(with_tls(config("seed"), files.config())).await;
    let seed = &metered.node;
    let mut nodes = Vec::new();
    for index in 0..3 {
        let joining = joining(&format!("node-{index}"), seed.advertised());
        nodes.push(start(with_tls(joining, files.config())).await);
    }
    for (index, node) in nodes.iter().enumerate() {
        register(node, active(&format!("node-{index}")));
    }
    for node in nodes.iter().chain([seed]) {
        until_alive(node, 4).await;
        until_ids(node, &["node-0", "node-1", "node-2"]).await;
    }
    let left = nodes.pop().unwrap();
    unregister(&left, "node-2");
    left.shutdown().await;
    until_ids(seed, &["node-0", "node-1"]).await;
    until_alive(seed, 3).await;
    let expiry = "pyroscope_memberlist_tls_certificate_expiry_timestamp_seconds";
    assert!(metered.metric(expiry) > unix_now() as u64);
    let failed = "pyroscope_memberlist_refused_total{reason=\"tls_handshake\"}";
    assert_eq!(metered.metric(failed), 0);
}

/// Shakes hands as a stranger does; the error says why it was not let in.
async fn greet(node: SocketAddr, client: ClientConfig) -> std::io::Result<()> {
    let name = ServerName::IpAddress(node.ip().into());
    let connection = TcpStream::connect(node).await?;
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(name, connection)
        .await?;
    // Neither packet nor stream, so that the node closes the connection.
    stream.write_all(&[9]).await?;
    let mut answer = Vec::new();
    let reading = timeout(PATIENCE, stream.read_to_end(&mut answer));
    match reading.await.unwrap() {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

fn client(
    authority: &Authority,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let pem = authority.pem.as_bytes();
    roots
        .add(CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_stay_out() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.sign(LOOPBACK), &ours.pem);
    let metered = Metered::start(with_tls(config("node"), files.config())).await;
    let node = &metered.node;
    let to = node.advertised();

    let error = greet(to, client(&ours).with_no_client_auth()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    let pair = theirs.sign(LOOPBACK);
    let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let forged = client(&ours).with_client_auth_cert(chain, key).unwrap();
    let error = greet(to, forged).await.unwrap_err().to_string();
    assert!(error.contains("alert"), "{error}");
    let failed = "pyroscope_memberlist_refused_total{reason=\"tls_handshake\"}";
    metered.until_metric(failed, |count| count == 2).await;

    // Nodes that do not speak TLS, or trust others, neither get in nor out.
    let foreign = Files::new(&theirs.sign(LOOPBACK), &theirs.pem);
    for config in [
        joining("plain", to),
        with_tls(joining("foreign", to), foreign.config()),
    ] {
        let stranger = start(Config {
            max_join_retries: 1,
            abort_if_join_fails: true,
            ..config
        })
        .await;
        timeout(PATIENCE, stranger.failed()).await.unwrap();
        assert_eq!((alive(&node.members()), alive(&stranger.members())), (1, 1));
    }
    metered.until_metric(failed, |count| count >= 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_for_an_address_or_a_name() {
    let authority = Authority::new("ours");
    let named = Files::new(&authority.sign(&["gossip.local"]), &authority.pem);
    let seed = start(with_tls(config("seed"), named.config())).await;
    let by_address = start(Config {
        max_join_retries: 1,
        abort_if_join_fails: true,
        ..with_tls(joining("by-address", seed.advertised()), named.config())
    })
    .await;
    timeout(PATIENCE, by_address.failed()).await.unwrap();
    assert!(!by_address.joined());

    let mut settings = Vec::new();
    settings.push(TlsConfig {
        server_name: "gossip.local".into(),
        ..named.config()
    });
    settings.push(TlsConfig {
        insecure_skip_verify: true,
        ..named.config()
    });
    for tls in settings {
        let node = start(with_tls(joining("node", seed.advertised()), tls)).await;
        assert!(node.joined());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_while_nodes_run() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = Files::new(&old.sign(LOOPBACK), &old.pem);
    let metered = Metered::start(with_tls(config("seed"), files.config())).await;
    let seed = &metered.node;
    let failures = "pyroscope_memberlist_tls_reload_failures_total";
    assert_eq!(metered.metric(failures), 0);

    // Half of the new pair is there: the old one stays in use.
    let pair = new.sign(LOOPBACK);
    files.write("cert.pem", &pair.cert);
    metered.until_metric(failures, |count| count >= 1).await;
    let before = Files::new(&old.sign(LOOPBACK), &old.pem);
    let first = start(with_tls(
        joining("first", seed.advertised()),
        before.config(),
    ))
    .await;
    assert!(first.joined());

    // The whole pair, and peers that trust both authorities.
    files.write("ca.pem", &format!("{}{}", old.pem, new.pem));
    files.write("key.pem", &pair.key);
    let to = seed.advertised();
    let seen = async {
        let only_new = || {
            let pair = old.sign(LOOPBACK);
            let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            client(&new).with_client_auth_cert(chain, key).unwrap()
        };
        while greet(to, only_new()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap();
    let after = Files::new(&new.sign(LOOPBACK), &new.pem);
    let second = start(with_tls(joining("second", to), after.config())).await;
    assert!(second.joined());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_work_are_named() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.sign(LOOPBACK), &authority.pem);
    let other = Files::new(&authority.sign(LOOPBACK), "no certificate");
    let missing = files.path("missing.pem");
    for (tls, named) in [
        (
            TlsConfig {
                cert_path: missing.clone(),
                ..files.config()
            },
            "missing.pem",
        ),
        (
            TlsConfig {
                key_path: other.path("key.pem"),
                ..files.config()
            },
            "cert.pem",
        ),
        (
            TlsConfig {
                key_path: files.path("cert.pem"),
                ..files.config()
            },
            "private key",
        ),
        (
            TlsConfig {
                ca_path: other.path("ca.pem"),
                ..files.config()
            },
            "ca.pem",
        ),
        (
            TlsConfig {
                key_path: Default::default(),
                ..files.config()
            },
            "tls-key-path",
        ),
        (
            TlsConfig {
                server_name: "no name".into(),
                ..files.config()
            },
            "tls-server-name",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = with_tls(config("node"), tls);
        let result = Gossip::start(config, listener, &mut Registry::default(), 1).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_joins_and_is_joined_with_tls() {
    let authority = Authority::new("ours");
    let rust_files = Files::new(&authority.sign(LOOPBACK), &authority.pem);
    let go_files = Files::new(&authority.sign(LOOPBACK), &authority.pem);
    let flag = |name: &str, file: &str| format!("-{name}={}", go_files.path(file).display());
    let tls = [
        flag("tls-cert-path", "cert.pem"),
        flag("tls-key-path", "key.pem"),
        flag("tls-ca-path", "ca.pem"),
    ];
    let flags = |more: &[&str]| -> Vec<String> {
        let more = more.iter().map(|flag| (*flag).to_owned());
        tls.iter().cloned().chain(more).collect()
    };
    let metered = Metered::start(with_tls(config("rust"), rust_files.config())).await;
    let rust = &metered.node;
    register(rust, active("rust-0"));
    let join = format!("-join={}", rust.advertised());
    let more = flags(&["-id=go-0", &join, "-heartbeat-period=1s"]);
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let go = Peer::start(&more).await;
    go.until_ids(&["go-0", "rust-0"]).await;
    until_ids(rust, &["go-0", "rust-0"]).await;

    let seed = go.address().parse().unwrap();
    let second = start(with_tls(joining("second", seed), rust_files.config())).await;
    register(&second, active("rust-1"));
    go.until_ids(&["go-0", "rust-0", "rust-1"]).await;
    until_ids(rust, &["go-0", "rust-0", "rust-1"]).await;
    until_alive(rust, 3).await;
    go.until("itself to be ACTIVE", |seen| {
        seen.ring["go-0"].state == "ACTIVE"
    })
    .await;
    go.leave().await;
    until_ids(rust, &["rust-0", "rust-1"]).await;
    // Go nodes present their certificate when they dial.
    let failed = "pyroscope_memberlist_refused_total{reason=\"tls_handshake\"}";
    assert_eq!(metered.metric(failed), 0);
}
