//! Pushes, one profile a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench::node::unix_nanos;
use bench::push::{Corpus, Latency, Pushed};
use clap::Args;
use futures::future::try_join_all;
use hyper::body::Bytes;
use tokio_util::sync::CancellationToken;

use crate::Servers;
use crate::client::Client;

const METHOD: &str = "/push.v1.PusherService/Push";

#[derive(Clone, Debug, Args)]
pub(crate) struct Pushing {
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Profiles to push.
    #[arg(long)]
    profiles: usize,
    /// Profiles that were pushed before: these are later ones.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Clients, each of which waits for an answer before it goes on.
    #[arg(long)]
    clients: usize,
    /// Profiles a second of all clients together; without it as many as go.
    #[arg(long)]
    rate: Option<f64>,
}

/// What clients share.
struct Work {
    requests: Vec<Bytes>,
    next: AtomicUsize,
    bytes: AtomicU64,
    started: Instant,
    /// Time between two requests of all clients.
    pace: Option<Duration>,
    stop: CancellationToken,
}

impl Pushing {
    /// Makes the bodies of all requests, so that pushing is all that is left.
    pub(crate) fn prepare(&self) -> Result<Vec<Bytes>> {
        let (corpus, now) = (Corpus::new()?, unix_nanos());
        let all = self.skip + self.profiles;
        Ok((self.skip..all)
            .map(|number| corpus.request(number, all, now))
            .collect())
    }

    pub(crate) async fn run(
        &self,
        requests: Vec<Bytes>,
        stop: CancellationToken,
    ) -> Result<Pushed> {
        let work = Arc::new(Work {
            requests,
            next: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            started: Instant::now(),
            pace: self.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            stop,
        });
        let targets = self.servers.targets.iter().cycle().take(self.clients);
        let clients = targets.map(|target| work.clone().push(Client::new(target)));
        let seconds = try_join_all(clients).await?.concat();
        Ok(Pushed {
            profiles: seconds.len(),
            bytes: work.bytes.load(Ordering::Relaxed),
            seconds: work.started.elapsed().as_secs_f64(),
            latency: Latency::of(seconds),
        })
    }
}

impl Work {
    /// Pushes as one client until nothing is left, and returns how long each push
    /// took.
    async fn push(self: Arc<Self>, mut client: Client) -> Result<Vec<f64>> {
        let mut seconds = Vec::new();
        while let Some((number, body)) = self.take() {
            let due = self.due(number).await;
            self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            let (status, answer) = client.call(METHOD, body).await?;
            let answer = String::from_utf8_lossy(&answer);
            ensure!(status.is_success(), "push {number}: {status}: {answer}");
            seconds.push(due.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    fn take(&self) -> Option<(usize, Bytes)> {
        if self.stop.is_cancelled() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Some((number, self.requests.get(number)?.clone()))
    }

    /// Waits until a request is due. One that is late counts from when it was due:
    /// a server that is slow must not slow down its own measurement.
    async fn due(&self, number: usize) -> Instant {
        let Some(pace) = self.pace else {
            return Instant::now();
        };
        let due = self.started + pace * u32::try_from(number).unwrap_or(u32::MAX);
        tokio::time::sleep_until(due.into()).await;
        due
    }
}
