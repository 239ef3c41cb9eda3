//! Datagrams, which carry the packets of the classic dialect.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::incoming::Acceptor;

/// Largest datagram.
const MAX_DATAGRAM: usize = 64 << 10;
/// Pause after a socket failed.
const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

/// Receives for ever.
pub(super) async fn receive(acceptor: Arc<Acceptor>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => acceptor.receive_datagram(&buffer[..length], peer),
            Err(error) => {
                tracing::debug!(%error, "cannot receive a datagram");
                tokio::time::sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// Sends a datagram from the first socket that can reach `to`.
///
/// # Errors
///
/// Fails at once when the system's buffer is full: gossip repeats itself.
pub(super) fn send(sockets: &[Arc<UdpSocket>], to: SocketAddr, payload: &[u8]) -> io::Result<()> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for socket in sockets {
        let same_family = socket.local_addr()?.is_ipv4() == to.is_ipv4();
        if same_family {
            result = socket.try_send_to(payload, to).map(drop);
            if result.is_ok() {
                break;
            }
        }
    }
    result
}
