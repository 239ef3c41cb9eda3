//! The floor of `make bench BENCH=push`: the HTTP stack of the data plane,
//! receiving what it receives, inflating it and walking it once. It checks and
//! keeps nothing, so no server that does can cost less.

mod walk;

use std::cell::RefCell;
use std::convert::Infallible;
use std::hint::black_box;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use libdeflater::Decompressor;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// The executable's own allocator, as that of `pyroscope`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Largest profile, in bytes; the same as the default limit of a distributor.
const MAX_PROFILE_BYTES: usize = 4 << 20;

#[derive(Debug, Parser)]
struct Args {
    /// Address to serve on.
    #[arg(long)]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let router = Router::new()
        .route("/push.v1.PusherService/Push", post(push))
        .route("/ready", get(|| async { "ready" }));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, router.clone()));
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // The client notices what becomes of its connection.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|e| match e {})) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    drop(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn push(body: Bytes) -> Response {
    match profiles(&body) {
        Ok(sum) => {
            black_box(sum);
            let protobuf = HeaderValue::from_static("application/proto");
            ([(header::CONTENT_TYPE, protobuf)], Bytes::new()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
    }
}

/// Walks every profile of a request.
fn profiles(body: &[u8]) -> Result<u64> {
    thread_local! {
        static INFLATER: RefCell<(Decompressor, Vec<u8>)> =
            RefCell::new((Decompressor::new(), Vec::new()));
    }
    let mut sum = 0;
    INFLATER.with_borrow_mut(|(inflater, plain)| {
        walk::raw_profiles(body, |gzip| {
            let len = uncompressed_len(gzip)?;
            if plain.len() < len {
                plain.resize(len, 0);
            }
            let len = inflater.gzip_decompress(gzip, &mut plain[..len])?;
            sum ^= walk::profile(&plain[..len])?;
            Ok(())
        })
    })?;
    Ok(sum)
}

/// Reads the length that ends every gzip file.
fn uncompressed_len(gzip: &[u8]) -> Result<usize> {
    let length = gzip.last_chunk().context("not a gzip file")?;
    let length = u32::from_le_bytes(*length) as usize;
    anyhow::ensure!(length <= MAX_PROFILE_BYTES, "{length} bytes are too many");
    Ok(length)
}
