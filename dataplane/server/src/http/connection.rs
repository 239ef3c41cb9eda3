//! One connection: its requests, and the end of its life.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{Router, http::HeaderValue, response::Response};
use hyper::{Version, body::Incoming, header, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::debug;

use super::life::{End, Life, Lifetimes};

/// Serves a connection until its peer or its life ends it, or until `shutdown`
/// and the answers to its open requests.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    builder: &auto::Builder<TokioExecutor>,
    lifetimes: Lifetimes,
    shutdown: CancellationToken,
) {
    let clock = Clock::start(lifetimes);
    let requests = clock.clone();
    let service = service_fn(move |request| requests.clone().answer(router.clone(), request));
    let stream = Watched {
        stream,
        clock: clock.clone(),
    };
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "connection ended with an error");
                }
                return;
            }
            () = shutdown.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            end = clock.end() => match end {
                End::WithNextAnswer => {}
                End::WhenAnswered => connection.as_mut().graceful_shutdown(),
                End::Now => return,
            }
        }
    }
}

/// A [`Life`] with a clock, shared by the connection and its requests.
#[derive(Debug, Clone)]
struct Clock {
    life: Arc<Mutex<Life>>,
    started: Instant,
}

impl Clock {
    fn start(lifetimes: Lifetimes) -> Self {
        Self {
            life: Arc::new(Mutex::new(Life::new(lifetimes.jittered(rand::random())))),
            started: Instant::now(),
        }
    }

    async fn answer(
        self,
        mut router: Router,
        request: hyper::Request<Incoming>,
    ) -> Result<Response, Infallible> {
        self.life.lock().began(request.version() == Version::HTTP_2);
        let open = Open {
            clock: self,
            is_answered: false,
        };
        let mut response = router.call(request).await.unwrap_or_else(|e| match e {});
        if open.answered() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }

    /// Waits until the connection is to be ended.
    async fn end(&self) -> End {
        loop {
            let now = self.started.elapsed();
            let (end, next) = {
                let mut life = self.life.lock();
                (life.poll(now), life.next_poll(now))
            };
            if let Some(end) = end {
                return end;
            }
            match next.and_then(|at| self.started.checked_add(at)) {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// A request that has no answer yet, and never gets one if it is dropped.
struct Open {
    clock: Clock,
    is_answered: bool,
}

impl Open {
    /// Ends the request; tells whether its answer is the connection's last.
    fn answered(mut self) -> bool {
        self.is_answered = true;
        self.end()
    }

    fn end(&self) -> bool {
        let now = self.clock.started.elapsed();
        self.clock.life.lock().answered(now)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_answered {
            self.end();
        }
    }
}

/// A stream that tells the life of its connection when bytes come.
struct Watched {
    stream: TcpStream,
    clock: Clock,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            let now = self.clock.started.elapsed();
            self.clock.life.lock().read(now);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
