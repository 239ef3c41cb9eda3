//! A connection to a peer, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// First step in which incoming bytes are read: most messages are small, and
/// many connections may be open.
const FIRST_CHUNK: usize = 2 << 10;
/// Largest step in which incoming bytes are read.
const CHUNK: usize = 32 << 10;

/// A connection, as bytes that the peer sent or gets.
#[derive(Debug)]
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Reads once into `buffer`, behind what is there; 0 at the end. The more
    /// has been `received`, the more room is made.
    pub(crate) async fn read_chunk(
        &mut self,
        buffer: &mut Vec<u8>,
        received: usize,
    ) -> io::Result<usize> {
        let start = buffer.len();
        buffer.resize(start + received.clamp(FIRST_CHUNK, CHUNK), 0);
        let result = self.read(&mut buffer[start..]).await;
        buffer.truncate(start + *result.as_ref().unwrap_or(&0));
        result
    }

    /// Writes and says that nothing follows. The receiver knows the end of a
    /// packet by this alone, and an abort would make it lose the packet.
    pub(crate) async fn write_and_finish(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.shutdown().await
    }

    /// Waits until the peer closes a connection on which it has nothing to
    /// say. Closing with tickets of TLS unread would abort it, and a later
    /// connection resumes with them.
    pub(crate) async fn drain(&mut self) {
        if let Self::Tls(stream) = self {
            let mut rest = [0; 512];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
