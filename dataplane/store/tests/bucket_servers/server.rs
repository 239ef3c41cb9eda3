//! Programs of the servers: built by a recipe, started on a free port, killed when dropped.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a server may take to start; its machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with a folder of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    _child: Child,
}

impl Server {
    /// Starts a program on a free port of this machine and waits until it listens.
    pub(crate) async fn start(command: impl Fn(SocketAddr, &std::path::Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut command = command(address, folder.path());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{command:?} ended with {ended:?}; see its standard error"
            );
            assert!(began.elapsed() < PATIENCE, "{command:?} does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            address,
            folder,
            _child: child,
        }
    }
}

/// Returns what `make stores` has built at a path.
pub(crate) fn built(path: &str) -> PathBuf {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/stores");
    let folder = std::env::var_os("STORES").map_or_else(|| PathBuf::from(usual), PathBuf::from);
    let built = folder.join(path);
    assert!(
        built.exists(),
        "{} is missing; run `make stores`",
        built.display()
    );
    built
}
