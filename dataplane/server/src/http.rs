//! The HTTP server: HTTP/1.1 and HTTP/2 without TLS on one listener.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::{debug, warn};

/// Limits of the server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections served at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Longest wait for the first byte of a connection and for the head of an
    /// HTTP/1 request.
    pub read_header_timeout: Duration,
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
    let graceful = GracefulShutdown::new();
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
        let watcher = graceful.watcher();
        let router = router.clone();
        let builder = Arc::clone(&builder);
        let shutdown = shutdown.clone();
        let patience = limits.read_header_timeout;
        tokio::spawn(async move {
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
            serve_connection(stream, router, &builder, watcher).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.graceful_shutdown_timeout, graceful.shutdown())
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
        .header_read_timeout(limits.read_header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .adaptive_window(true)
        .max_concurrent_streams(1024)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    builder: &auto::Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|e| match e {})) }
    });
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "connection ended with an error");
    }
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
