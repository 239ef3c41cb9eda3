//! Brings every cluster of a scope to what its specification says, whenever one of
//! them, an object of theirs or their ring changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{Phase, PyroscopeCluster, PyroscopeClusterStatus};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::store::WriterDropped;
use kube::{Client, Resource, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::apply::{ApplyError, Writer};
use crate::awaited::Awaited;
use crate::freshness::Freshness;
use crate::metrics::Metrics;
use crate::observe::{self, Caches, Scope};
use crate::plan::plan;
use crate::poll::{Board, Poller, Seen};
use crate::render::{ConfigError, Platform, render};
use crate::status::{Facts, Failure, status};

/// A burst of changes, as when many pods start, is answered once.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Catches what a watch may have missed.
const RESYNC: Duration = Duration::from_secs(3600);
const CONCURRENCY: u16 = 8;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(120);
/// Clusters whose ring changed and that wait for the controller.
const WAKE_QUEUE: usize = 1024;

/// Why a reconciliation failed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("watch of the API server ended: {0}")]
    Watch(#[from] WriterDropped),
}

/// What every reconciliation works with.
struct Context {
    caches: Caches,
    platform: Platform,
    writer: Writer,
    board: Board,
    recorder: Recorder,
    metrics: Metrics,
    /// Failures in a row by cluster, for the pause before the next attempt.
    failures: Mutex<HashMap<String, u32>>,
    awaited: Mutex<Awaited>,
}

/// Runs the controller of one scope until `stop` is cancelled.
///
/// # Errors
///
/// Fails when the HTTP client for pods cannot be built.
pub(crate) async fn run(
    client: Client,
    scope: Scope,
    platform: Platform,
    metrics: Metrics,
    freshness: Freshness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (caches, watches) = observe::watch(&client, &scope);
    let board = Board::default();
    let (wake, mut woken) = mpsc::channel(WAKE_QUEUE);
    let poller = Poller::new(caches.clone(), board.clone(), metrics.clone(), wake)?;
    let context = Arc::new(Context {
        platform,
        writer: Writer::new(client.clone(), metrics.clone()),
        board,
        recorder: Recorder::new(client.clone(), reporter()),
        metrics,
        failures: Mutex::default(),
        awaited: Mutex::default(),
        caches: caches.clone(),
    });

    let clusters = observe::reported(watches.clusters, "PyroscopeCluster".to_owned());
    let mut controller = Controller::for_stream(clusters, caches.clusters.clone());
    for (resource, changes) in watches.children {
        let changes = observe::reported(changes, resource.kind.clone());
        controller = controller.owns_stream_with(changes, resource);
    }
    let run = controller
        .reconcile_on(stream::poll_fn(move |context| woken.poll_recv(context)))
        .with_config(
            Config::default()
                .debounce(DEBOUNCE)
                .concurrency(CONCURRENCY),
        )
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, retry, context)
        .for_each(|_| std::future::ready(()));
    let fresh = freshness.watch(client, scope, caches.clusters, stop.clone());
    // The controller ends last: it lets reconciliations finish.
    let background = async {
        tokio::join!(observe::drive(watches.pods), poller.run(stop), fresh);
    };
    tokio::select! {
        () = run => {}
        () = background => {}
    }
    Ok(())
}

fn reporter() -> Reporter {
    Reporter {
        controller: "pyroscope-operator".to_owned(),
        instance: std::env::var("POD_NAME").ok(),
    }
}

async fn reconcile(
    cluster: Arc<PyroscopeCluster>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let result = context.reconcile(&cluster).await;
    context
        .metrics
        .reconcile_seconds
        .observe(started.elapsed().as_secs_f64());
    context.metrics.reconciled(result.is_ok());
    result
}

fn retry(cluster: Arc<PyroscopeCluster>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let key = cluster.uid().unwrap_or_default();
    let mut failures = context.failures.lock();
    let count = failures.entry(key).or_default();
    let pause = backoff(*count);
    *count += 1;
    tracing::warn!(
        cluster = %cluster.name_any(),
        namespace = cluster.namespace(),
        %error,
        retry_in_seconds = pause.as_secs(),
        "reconciliation failed"
    );
    Action::requeue(pause)
}

/// Returns the pause after a number of failures in a row.
fn backoff(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.min(16));
    FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY)
}

impl Context {
    async fn reconcile(&self, cluster: &PyroscopeCluster) -> Result<Action, ReconcileError> {
        let uid = cluster.uid().unwrap_or_default();
        if cluster.metadata.deletion_timestamp.is_some() {
            // Owner references let the API server collect the objects.
            self.failures.lock().remove(&uid);
            self.awaited.lock().forget(&uid);
            return Ok(Action::await_change());
        }
        self.caches.ready().await?;
        let outcome = self.write_objects(cluster).await;
        self.report(cluster, outcome.as_ref().err()).await?;
        outcome?;
        self.failures.lock().remove(&uid);
        Ok(Action::requeue(RESYNC))
    }

    async fn write_objects(&self, cluster: &PyroscopeCluster) -> Result<(), ReconcileError> {
        let wanted = render(cluster, &self.platform)?;
        let found = self.caches.children_of(cluster);
        let steps = plan(wanted, &found);
        let (changed, result) = self.writer.carry_out(cluster, &steps, &found).await;
        self.awaited.lock().note(cluster, changed, &found);
        Ok(result?)
    }

    async fn report(
        &self,
        cluster: &PyroscopeCluster,
        error: Option<&ReconcileError>,
    ) -> Result<(), ReconcileError> {
        let uid = cluster.uid().unwrap_or_default();
        // Before the first round of questions the last answers count.
        let seen = self.board.read().get(&uid).cloned();
        let seen = seen.unwrap_or_else(|| Seen::reported(cluster));
        let found = self.caches.children_of(cluster);
        let facts = Facts {
            cluster,
            platform: &self.platform,
            stale: self.awaited.lock().stale(cluster, &found),
            found: &found,
            seen: &seen,
            failure: error.map(failure),
        };
        let new = status(&facts, Timestamp::now());
        if cluster.status.as_ref() != Some(&new) {
            self.writer.write_status(cluster, &new).await?;
            self.announce(cluster, &new).await;
        }
        Ok(())
    }

    /// Publishes what a person who looks at the cluster should know. Events are
    /// best effort: their loss changes nothing.
    async fn announce(&self, cluster: &PyroscopeCluster, new: &PyroscopeClusterStatus) {
        for event in events(cluster.status.as_ref(), new) {
            let published = self
                .recorder
                .publish(&event, &cluster.object_ref(&()))
                .await;
            if let Err(error) = published {
                tracing::warn!(%error, "cannot publish an event");
            }
        }
    }
}

fn failure(error: &ReconcileError) -> Failure {
    match error {
        ReconcileError::Config(error) => Failure::Config(error.to_string()),
        error => Failure::Apply(error.to_string()),
    }
}

/// Returns the events that a change of status is worth.
fn events(before: Option<&PyroscopeClusterStatus>, new: &PyroscopeClusterStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let phase_before = before.map(|it| it.phase);
    if phase_before != Some(new.phase) {
        let type_ = match new.phase {
            Phase::Degraded => EventType::Warning,
            _ => EventType::Normal,
        };
        events.push(event(type_, new.phase.as_str(), message(new, "Ready")));
    }
    for (kind, reason) in [("Ready", "ApplyFailed"), ("ConfigValid", "InvalidOverride")] {
        let holds = |status: &PyroscopeClusterStatus| {
            let mut conditions = status.conditions.iter();
            conditions.any(|it| it.type_ == kind && it.reason == reason)
        };
        if holds(new) && !before.is_some_and(holds) {
            events.push(event(EventType::Warning, reason, message(new, kind)));
        }
    }
    events
}

fn message(status: &PyroscopeClusterStatus, kind: &str) -> String {
    let condition = status.conditions.iter().find(|it| it.type_ == kind);
    // The API server takes 1 kB.
    condition.map_or_else(String::new, |it| it.message.chars().take(1000).collect())
}

fn event(type_: EventType, reason: &str, note: String) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Reconcile".to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests;
