//! Heavy queries: each merges all CPU profiles of all series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use bench::node::unix_nanos;
use bench::push::{Latency, Queried};
use clap::Args;
use futures::future::try_join_all;
use prost::Message;
use proto::querier::v1::SelectMergeStacktracesRequest;
use tokio_util::sync::CancellationToken;

use crate::Servers;
use crate::client::Client;

const METHOD: &str = "/querier.v1.QuerierService/SelectMergeStacktraces";
const PROFILE_TYPE: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const HOUR: i64 = 3_600_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct Querying {
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Queries to make.
    #[arg(long)]
    queries: usize,
    /// Clients, each of which waits for an answer before it goes on.
    #[arg(long)]
    clients: usize,
}

/// What clients share.
struct Work {
    left: AtomicUsize,
    bytes: AtomicU64,
    stop: CancellationToken,
}

impl Querying {
    pub(crate) async fn run(&self, stop: CancellationToken) -> Result<Queried> {
        let work = Arc::new(Work {
            left: AtomicUsize::new(self.queries),
            bytes: AtomicU64::new(0),
            stop,
        });
        let targets = self.servers.targets.iter().cycle().take(self.clients);
        let clients = targets.map(|target| work.clone().query(Client::new(target)));
        let seconds = try_join_all(clients).await?.concat();
        let bytes = work.bytes.load(Ordering::Relaxed) as f64;
        Ok(Queried {
            queries: seconds.len(),
            answer_bytes: bytes / seconds.len().max(1) as f64,
            latency: Latency::of(seconds),
        })
    }
}

impl Work {
    /// Queries as one client until that is enough, and returns how long each query
    /// took.
    async fn query(self: Arc<Self>, mut client: Client) -> Result<Vec<f64>> {
        let mut seconds = Vec::new();
        while self.take() {
            let now = unix_nanos() / 1_000_000;
            let request = SelectMergeStacktracesRequest {
                profile_type_id: PROFILE_TYPE.to_owned(),
                label_selector: "{}".to_owned(),
                start: now - HOUR,
                end: now + HOUR,
                ..SelectMergeStacktracesRequest::default()
            };
            let started = Instant::now();
            let (status, answer) = client.call(METHOD, request.encode_to_vec().into()).await?;
            seconds.push(started.elapsed().as_secs_f64());
            let text = String::from_utf8_lossy(&answer);
            ensure!(status.is_success(), "query: {status}: {text}");
            self.bytes.fetch_add(answer.len() as u64, Ordering::Relaxed);
        }
        Ok(seconds)
    }

    fn take(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        !self.stop.is_cancelled()
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
    }
}
