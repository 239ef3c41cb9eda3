//! The HTTP server: HTTP/1.1 and HTTP/2 without TLS on one listener.

mod connection;
mod life;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

pub(crate) use life::Lifetimes;

/// Limits of the server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections served at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Longest wait for the first byte of a connection.
    pub first_byte_timeout: Duration,
    /// How long connections live.
    pub lifetimes: Lifetimes,
    /// Longest wait for open requests when the server stops.
    pub graceful_shutdown_timeout: Duration,
}

/// Serves `router` on `listener` until `shutdown`, then lets open requests
/// finish for as long as the limits allow.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let open = TaskTracker::new();
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let builder = Arc::new(connection_builder(&limits));
    loop {
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = Arc::clone(&connections).acquire_owned() => permit,
        };
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        let router = router.clone();
        let builder = Arc::clone(&builder);
        let shutdown = shutdown.clone();
        let patience = limits.first_byte_timeout;
        let lifetimes = limits.lifetimes;
        open.spawn(async move {
            let _permit = permit;
            let silent = tokio::select! {
                () = shutdown.cancelled() => true,
                silent = is_silent(&stream, patience) => silent,
            };
            if silent {
                return;
            }
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "cannot set TCP_NODELAY");
            }
            connection::serve(stream, router, &builder, lifetimes, shutdown).await;
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(limits.graceful_shutdown_timeout, open.wait())
        .await
        .is_err()
    {
        warn!("requests are still open after the graceful shutdown timeout");
    }
}

/// Tells whether nothing comes from the peer within `patience`. Telling HTTP/1
/// from HTTP/2 waits for the first bytes without a limit of its own.
async fn is_silent(stream: &TcpStream, patience: Duration) -> bool {
    let mut first = [0];
    let peeked = tokio::time::timeout(patience, stream.peek(&mut first)).await;
    !matches!(peeked, Ok(Ok(1)))
}

fn connection_builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The life of a connection bounds both what is idle and heads. This
        // timer of hyper's is one for both, and the last resort.
        .header_read_timeout(head_timeout(&limits.lifetimes));
    builder
        .http2()
        .timer(TokioTimer::new())
        .adaptive_window(true)
        .max_concurrent_streams(1024)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

/// Returns when a connection of HTTP/1 that does not send a request is cut off.
fn head_timeout(lifetimes: &Lifetimes) -> Option<Duration> {
    let Lifetimes { head, idle, .. } = *lifetimes;
    (!head.is_zero() && !idle.is_zero()).then(|| head.saturating_add(idle))
}

/// Waits after a failed accept: errors such as "too many open files" would
/// otherwise turn the loop into a busy one.
async fn pause_after(error: &io::Error) {
    let of_the_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !of_the_peer {
        warn!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
