use std::sync::Arc;

use anyhow::Context as _;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::controller;
use crate::freshness::Freshness;
use crate::leader::Elector;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::render::Platform;
use crate::serve::{Pages, serve};

/// First minor version of Kubernetes whose StatefulSets can delete their claims.
const CLAIM_RETENTION: u32 = 27;

/// Runs the operator until it is told to stop or loses its lease.
///
/// # Errors
///
/// Fails when the API server cannot be reached at the start, when the metrics
/// address is taken, and when the lease is lost.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let mut registry = Registry::with_prefix("pyroscope_operator");
    let metrics = Metrics::new(&mut registry);
    let freshness = Freshness::default();
    let pages = Pages {
        registry: Arc::new(registry),
        freshness: freshness.clone(),
    };
    let listener = TcpListener::bind(options.metrics_addr)
        .await
        .with_context(|| format!("cannot listen on {}", options.metrics_addr))?;
    let server = tokio::spawn(serve(listener, pages, stop.clone()));

    let client = Client::try_default()
        .await
        .context("cannot find out how to reach the API server")?;
    let result = lead(&options, client, metrics, freshness, stop.clone()).await;
    stop.cancel();
    server.await??;
    result
}

/// Waits for the lease, if there is one, and runs the controllers while it lasts.
async fn lead(
    options: &Options,
    client: Client,
    metrics: Metrics,
    freshness: Freshness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if !options.leader_elect {
        metrics.leader.set(1);
        return control(options, client, metrics, freshness, stop).await;
    }
    let mut elector = Elector::new(
        client.clone(),
        &options.lease_namespace,
        options.lease_name.clone(),
        options.identity.clone(),
    );
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = elector.acquire() => {}
    }
    tracing::info!(
        lease = options.lease_name,
        identity = options.identity,
        "leading"
    );
    metrics.leader.set(1);
    let released = CancellationToken::new();
    let controlled = async {
        let result = control(options, client, metrics, freshness, stop).await;
        // Only now may another process begin.
        released.cancel();
        result
    };
    let held = elector.hold(released.clone());
    tokio::pin!(held, controlled);
    tokio::select! {
        lost = &mut held => Ok(lost?),
        result = &mut controlled => {
            held.await?;
            result
        }
    }
}

async fn control(
    options: &Options,
    client: Client,
    metrics: Metrics,
    freshness: Freshness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let platform = platform(options, &client).await?;
    let controllers = TaskTracker::new();
    for scope in options.scopes() {
        tracing::info!(?scope, image = platform.default_image, "watching clusters");
        let run = controller::run(
            client.clone(),
            scope,
            platform.clone(),
            metrics.clone(),
            freshness.clone(),
            stop.clone(),
        );
        let stop = stop.clone();
        controllers.spawn(async move {
            if let Err(error) = run.await {
                tracing::error!(%error, "controller failed");
                stop.cancel();
            }
        });
    }
    controllers.close();
    controllers.wait().await;
    anyhow::ensure!(stop.is_cancelled(), "the controllers ended unasked");
    Ok(())
}

async fn platform(options: &Options, client: &Client) -> anyhow::Result<Platform> {
    let version = client
        .apiserver_version()
        .await
        .context("cannot ask the API server for its version")?;
    let digits: String = version
        .minor
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let minor: u32 = digits.parse().unwrap_or(u32::MAX);
    tracing::info!(kubernetes = version.git_version, "connected");
    Ok(Platform {
        default_image: options.default_image.clone(),
        claim_retention: minor >= CLAIM_RETENTION,
    })
}

fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}
